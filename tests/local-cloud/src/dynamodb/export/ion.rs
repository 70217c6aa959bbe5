//! Items in Ion's text form, as an export of format ION has them: one a line, each behind its own version marker.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The line of an item.
pub(super) fn line(item: &Value) -> String {
    let mut out = String::from("$ion_1_0 {Item:");
    if let Some(attributes) = item.as_object() {
        structure(attributes, &mut out);
    }
    out.push('}');
    out
}

fn structure(attributes: &Map<String, Value>, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in attributes.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        symbol(name, out);
        out.push(':');
        attribute(value, out);
    }
    out.push('}');
}

/// A field name: bare when Ion reads it as an identifier, else quoted.
fn symbol(name: &str, out: &mut String) {
    let keywords = ["true", "false", "null", "nan"];
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let plain = starts && characters.all(|c| c.is_ascii_alphanumeric() || c == '_') && !keywords.contains(&name);
    if plain {
        out.push_str(name);
    } else {
        quoted(name, '\'', out);
    }
}

/// An attribute of DynamoDB's form: an object with its type as the only key.
fn attribute(value: &Value, out: &mut String) {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        out.push_str("null");
        return;
    };
    let text = value.as_str().unwrap_or_default();
    match kind.as_str() {
        "S" => quoted(text, '"', out),
        "N" => out.push_str(&decimal(text)),
        "B" => blob(text, out),
        "BOOL" => out.push_str(if value == true { "true" } else { "false" }),
        "M" => structure(value.as_object().unwrap_or(&Map::new()), out),
        "L" => list(value, out, attribute),
        "SS" | "NS" | "BS" => {
            // Sets are lists with an annotation.
            out.push_str("$dynamodb_");
            out.push_str(kind);
            out.push_str("::");
            list(value, out, |element, out| {
                let text = element.as_str().unwrap_or_default();
                match kind.as_str() {
                    "SS" => quoted(text, '"', out),
                    "NS" => out.push_str(&decimal(text)),
                    _ => blob(text, out),
                }
            });
        }
        _ => out.push_str("null"),
    }
}

fn list(value: &Value, out: &mut String, mut element: impl FnMut(&Value, &mut String)) {
    out.push('[');
    for (index, each) in value.as_array().into_iter().flatten().enumerate() {
        if index > 0 {
            out.push(',');
        }
        element(each, out);
    }
    out.push(']');
}

fn blob(base64: &str, out: &mut String) {
    out.push_str("{{");
    out.push_str(base64);
    out.push_str("}}");
}

/// A number as an Ion decimal: with a point, and `d` before an exponent; `e` would make it a float.
fn decimal(number: &str) -> String {
    match number.split_once(['e', 'E']) {
        Some((digits, exponent)) => format!("{digits}d{}", exponent.trim_start_matches('+')),
        None if number.contains('.') => number.to_owned(),
        None => format!("{number}."),
    }
}

fn quoted(text: &str, mark: char, out: &mut String) {
    out.push(mark);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == mark => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a string cannot fail.
                write!(out, "\\u{:04x}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push(mark);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_has_its_ion_form() {
        let item = json!({
            "Id": {"N": "103"}, "price": {"N": "-1.5"}, "huge": {"N": "1E+20"}, "a b": {"S": "say \"it\"\n"},
            "raw": {"B": "aGk="}, "yes": {"BOOL": true}, "nothing": {"NULL": true}, "true": {"L": [{"S": "x"}, {"N": "1"}]},
            "map": {"M": {"k": {"BOOL": false}}}, "names": {"SS": ["a", "b"]}, "numbers": {"NS": ["1"]}, "blobs": {"BS": ["aGk="]},
        });
        let line = line(&item);
        for part in [
            "$ion_1_0 {Item:{",
            "Id:103.",
            "price:-1.5",
            "huge:1d20",
            r#"'a b':"say \"it\"\n""#,
            "raw:{{aGk=}}",
            "yes:true",
            "nothing:null",
            r#"'true':["x",1.]"#,
            "map:{k:false}",
            r#"names:$dynamodb_SS::["a","b"]"#,
            "numbers:$dynamodb_NS::[1.]",
            "blobs:$dynamodb_BS::[{{aGk=}}]",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains('\n'));
    }
}
