//! EventBridge event patterns: exact values, `prefix`, `suffix`, `wildcard`, `equals-ignore-case`, `anything-but`,
//! `exists` and `numeric`, in nested objects, with `$or`. A pattern that uses anything else is refused when its rule is
//! deployed.

use serde_json::{Map, Value};

/// Operators on text; `anything-but` may hold one of them.
const TEXT_OPERATORS: [&str; 4] = ["prefix", "suffix", "wildcard", "equals-ignore-case"];

/// What is wrong with a pattern: where, and what.
pub(super) fn problem(pattern: &Value) -> Option<String> {
    let Value::Object(fields) = pattern else { return Some("a pattern must be an object".to_owned()) };
    if fields.is_empty() {
        return Some("a pattern must name a field".to_owned());
    }
    fields.iter().find_map(|(name, expected)| {
        let found = match expected {
            Value::Array(options) if options.is_empty() => Some("an empty list matches nothing".to_owned()),
            Value::Array(options) if name == "$or" => options.iter().find_map(problem),
            Value::Array(options) => options.iter().find_map(option_problem),
            Value::Object(_) => problem(expected),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Some("a value must stand in a list".to_owned())
            }
        };
        found.map(|found| format!("{name}: {found}"))
    })
}

fn option_problem(option: &Value) -> Option<String> {
    let Value::Object(operator) = option else {
        return option.is_array().then(|| "a list stands in a list".to_owned());
    };
    let Some((name, operand)) = single(operator) else { return Some("one operator at a time".to_owned()) };
    let known = match name {
        "exists" => operand.is_boolean(),
        "numeric" => numeric_terms(operand).is_some(),
        "anything-but" => match operand {
            Value::Object(inner) => single(inner)
                .is_some_and(|(name, operand)| TEXT_OPERATORS.contains(&name) && texts(operand).next().is_some()),
            Value::Array(options) => {
                !options.is_empty() && options.iter().all(|each| each.is_string() || each.is_number())
            }
            Value::String(_) | Value::Number(_) => true,
            Value::Null | Value::Bool(_) => false,
        },
        "prefix" | "suffix" => operand.is_string() || operand.get("equals-ignore-case").is_some_and(Value::is_string),
        _ => TEXT_OPERATORS.contains(&name) && operand.is_string(),
    };
    (!known).then(|| format!("{option} is not an operator that is played here"))
}

fn single(operator: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, operand) = operator.iter().next().filter(|_| operator.len() == 1)?;
    Some((name, operand))
}

/// Whether an event matches a pattern.
pub(super) fn matches(pattern: &Value, event: &Value) -> bool {
    let Value::Object(fields) = pattern else { return false };
    fields.iter().all(|(name, expected)| {
        if name == "$or" {
            return expected.as_array().is_some_and(|options| options.iter().any(|option| matches(option, event)));
        }
        let actual = event.get(name);
        match expected {
            Value::Object(_) => match actual {
                Some(Value::Array(items)) => items.iter().any(|item| matches(expected, item)),
                Some(value) => matches(expected, value),
                None => matches(expected, &Value::Null),
            },
            Value::Array(options) => options.iter().any(|option| field_matches(option, actual)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    })
}

fn field_matches(option: &Value, actual: Option<&Value>) -> bool {
    if let Some(exists) = option.get("exists").and_then(Value::as_bool) {
        return actual.is_some_and(|value| !value.is_object()) == exists;
    }
    match actual {
        None => false,
        Some(Value::Array(items)) => items.iter().any(|item| value_matches(option, item)),
        Some(value) => value_matches(option, value),
    }
}

fn value_matches(option: &Value, value: &Value) -> bool {
    let Value::Object(operator) = option else { return option == value };
    operator.iter().all(|(name, operand)| match name.as_str() {
        "anything-but" => match operand {
            Value::Array(options) => !options.contains(value),
            Value::Object(inner) => {
                !inner.iter().any(|(name, operand)| texts(operand).any(|operand| text_matches(name, operand, value)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => operand != value,
        },
        "numeric" => numeric_matches(operand, value),
        _ => text_matches(name, operand, value),
    })
}

/// The values of an operand that is one or a list.
fn texts(operand: &Value) -> impl Iterator<Item = &Value> {
    match operand {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    }
    .iter()
    .filter(|each| each.is_string())
}

fn text_matches(operator: &str, operand: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let (operand, fold) = match operand.get("equals-ignore-case") {
        Some(inner) => (inner, true),
        None => (operand, operator == "equals-ignore-case"),
    };
    let Some(operand) = operand.as_str() else { return false };
    let (operand, text) =
        if fold { (operand.to_lowercase(), text.to_lowercase()) } else { (operand.to_owned(), text.to_owned()) };
    match operator {
        "prefix" => text.starts_with(&operand),
        "suffix" => text.ends_with(&operand),
        "wildcard" => wildcard_matches(&operand, &text),
        "equals-ignore-case" => text == operand,
        _ => false,
    }
}

/// `*` stands for any run of characters, `\*` and `\\` for themselves; nothing else is special, unlike in a glob.
fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let mut pieces = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => pieces.push(String::new()),
            '\\' => pieces.last_mut().into_iter().for_each(|piece| piece.extend(characters.next())),
            other => pieces.last_mut().into_iter().for_each(|piece| piece.push(other)),
        }
    }
    let Some((last, others)) = pieces.split_last() else { return false };
    let Some((first, middle)) = others.split_first() else { return text == last };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        let Some((_, after)) = rest.split_once(piece.as_str()) else { return false };
        rest = after;
    }
    rest.ends_with(last.as_str())
}

fn numeric_terms(operand: &Value) -> Option<Vec<(&str, f64)>> {
    let terms = operand.as_array().filter(|terms| !terms.is_empty())?;
    terms
        .chunks(2)
        .map(|term| {
            let [operator, bound] = term else { return None };
            let operator = operator.as_str().filter(|operator| ["<", "<=", "=", ">=", ">"].contains(operator))?;
            Some((operator, bound.as_f64()?))
        })
        .collect()
}

fn numeric_matches(operand: &Value, value: &Value) -> bool {
    let (Some(terms), Some(value)) = (numeric_terms(operand), value.as_f64()) else { return false };
    terms.into_iter().all(|(operator, bound)| match operator {
        "<" => value < bound,
        "<=" => value <= bound,
        ">=" => value >= bound,
        ">" => value > bound,
        _ => (value - bound).abs() < f64::EPSILON,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_match_as_eventbridge_does() {
        let event = json!({"source": "aws.backup", "resources": ["arn:1", "arn:2"],
            "detail": {"state": "COMPLETED", "size": 5, "createdBy": {"plan": "p"}, "output": r#"{"deep":{"state":"exported"}}"#, "gone": null}});
        let state = |option: Value| json!({"detail": {"state": [option]}});
        for (pattern, expected) in [
            (json!({"source": ["aws.backup"]}), true),
            (json!({"source": ["aws.ec2"]}), false),
            (json!({"resources": ["arn:2"]}), true),
            (json!({"resources": [{"suffix": ":3"}]}), false),
            (json!({"detail": {"state": ["ABORTED", "COMPLETED"]}}), true),
            (state(json!({"anything-but": ["COMPLETED"]})), false),
            (state(json!({"anything-but": "COMPLETED"})), false),
            (state(json!({"anything-but": {"prefix": "FAIL"}})), true),
            (state(json!({"anything-but": {"suffix": ["X", "TED"]}})), false),
            (state(json!({"anything-but": {"wildcard": "*MPL*"}})), false),
            (state(json!({"prefix": "COM"})), true),
            (state(json!({"prefix": {"equals-ignore-case": "com"}})), true),
            (state(json!({"prefix": "com"})), false),
            (state(json!({"suffix": "ETED"})), true),
            (state(json!({"suffix": {"equals-ignore-case": "eted"}})), true),
            (state(json!({"equals-ignore-case": "completed"})), true),
            (state(json!({"wildcard": "C*T*D"})), true),
            (state(json!({"wildcard": "C?MPLETED"})), false),
            (state(json!({"wildcard": "C*X*D"})), false),
            (json!({"detail": {"output": [{"wildcard": "*\"state\":\"exported\"*"}]}}), true),
            (json!({"detail": {"output": [{"wildcard": "*\"state\": \"exported\"*"}]}}), false),
            (json!({"detail": {"output": [{"wildcard": "*\"state\":\"failed\"*"}]}}), false),
            (json!({"detail": {"createdBy": {"plan": [{"exists": true}]}}}), true),
            (json!({"detail": {"createdBy": {"job": [{"exists": false}]}}}), true),
            (json!({"detail": {"none": {"job": [{"exists": false}]}}}), true),
            (json!({"detail": {"none": [{"anything-but": "x"}]}}), false),
            (json!({"detail": {"gone": [null]}}), true),
            (json!({"detail": {"size": [{"numeric": [">", 1, "<=", 5]}]}}), true),
            (
                json!({"detail": {"state": [{"prefix": "COM"}]}, "$or": [{"source": ["x"]}, {"source": ["aws.backup"]}]}),
                true,
            ),
        ] {
            assert_eq!(problem(&pattern), None, "{pattern}");
            assert_eq!(matches(&pattern, &event), expected, "{pattern}");
        }
    }

    #[test]
    fn stars_may_be_escaped() {
        assert!(wildcard_matches(r"a\*b", "a*b") && !wildcard_matches(r"a\*b", "axb"));
        assert!(wildcard_matches("*", "") && wildcard_matches("a*a", "aa") && !wildcard_matches("a*a", "a"));
    }

    #[test]
    fn a_pattern_that_would_never_match_is_refused() {
        for (pattern, word) in [
            (json!([]), "object"),
            (json!({}), "field"),
            (json!({"detail": {"state": "COMPLETED"}}), "detail: state: a value must stand in a list"),
            (json!({"detail": {"state": []}}), "empty"),
            (json!({"source": [{"startswith": "aws"}]}), "startswith"),
            (json!({"source": [{"wildcard": 5}]}), "wildcard"),
            (json!({"source": [{"anything-but": {"exists": true}}]}), "anything-but"),
            (json!({"detail": {"size": [{"numeric": ["about", 5]}]}}), "numeric"),
            (json!({"$or": [{"source": "aws"}]}), "source"),
        ] {
            let found = problem(&pattern);
            assert!(found.as_ref().is_some_and(|found| found.contains(word)), "{pattern}: {found:?}");
        }
    }
}
