//! What a target gets of an event: the whole of it, a part, or a text with parts filled in.

use serde_json::Value;

use crate::stack::TargetInput;

/// The rule that sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) name: &'a str,
    pub(super) arn: &'a str,
}

/// The text that a target gets.
pub(super) fn render(input: &TargetInput, event: &Value, sender: Sender<'_>) -> String {
    match input {
        TargetInput::Event => event.to_string(),
        TargetInput::Constant(text) => text.clone(),
        TargetInput::Path(path) => part(event, path).map(Value::to_string).unwrap_or_default(),
        TargetInput::Transformer { paths, template } => {
            fill(template, |variable| match (variable, paths.get(variable)) {
                (_, Some(path)) => part(event, path).cloned(),
                ("aws.events.rule-name", None) => Some(sender.name.into()),
                ("aws.events.rule-arn", None) => Some(sender.arn.into()),
                ("aws.events.event.json", None) => Some(event.clone()),
                (_, None) => None,
            })
        }
    }
}

/// The part of an event at a path such as `$.detail.items[0].name`.
fn part<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = event;
    for step in path.strip_prefix('$')?.split('.').skip(1) {
        let (name, indices) = step.split_once('[').unwrap_or((step, ""));
        value = value.get(name)?;
        for index in indices.split(['[', ']']).filter(|index| !index.is_empty()) {
            value = value.get(index.parse::<usize>().ok()?)?;
        }
    }
    Some(value)
}

/// Fills the `<variables>` of a template in. Text within quotes gets the value's text, escaped; elsewhere the value
/// stands as JSON. A variable that the event does not have is empty.
fn fill(template: &str, value: impl Fn(&str) -> Option<Value>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut quoted = false;
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        let after = &rest[character.len_utf8()..];
        let variable = after.split_once('>').filter(|(name, _)| {
            character == '<' && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        });
        if let Some((name, tail)) = variable {
            let json = match value(name) {
                Some(Value::String(text)) if quoted => {
                    let json = Value::String(text).to_string();
                    json[1..json.len() - 1].to_owned()
                }
                Some(value) => value.to_string(),
                None => String::new(),
            };
            out.push_str(&json);
            rest = tail;
            continue;
        }
        out.push(character);
        rest = after;
        if character == '\\' {
            let escaped = rest.chars().next();
            out.extend(escaped);
            rest = &rest[escaped.map_or(0, char::len_utf8)..];
        } else if character == '"' {
            quoted = !quoted;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SENDER: Sender<'_> = Sender { name: "rule", arn: "arn:rule" };

    fn transformed(template: &str) -> String {
        let event = json!({"detail": {"name": "a \"b\"", "list": [{"n": 1}, {"n": 2}], "none": null}});
        let paths = [
            ("name", "$.detail.name"),
            ("second", "$.detail.list[1].n"),
            ("list", "$.detail.list"),
            ("gone", "$.detail.gone"),
        ]
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .into();
        render(&TargetInput::Transformer { paths, template: template.to_owned() }, &event, SENDER)
    }

    #[test]
    fn variables_are_filled_in() {
        assert_eq!(transformed(r#""<name> ended""#), r#""a \"b\" ended""#);
        assert_eq!(
            transformed(r#"{"n": <second>, "name": <name>, "list": <list>}"#),
            r#"{"n": 2, "name": "a \"b\"", "list": [{"n":1},{"n":2}]}"#
        );
        assert_eq!(
            transformed("\"1 < 2 <gone>\"\n\"<aws.events.rule-name> \\\"<second>\\\"\""),
            "\"1 < 2 \"\n\"rule \\\"2\\\"\""
        );
    }

    #[test]
    fn a_path_is_a_part_of_the_event() {
        let event = json!({"detail": {"a": {"b": 1}}});
        assert_eq!(render(&TargetInput::Path("$.detail.a".into()), &event, SENDER), r#"{"b":1}"#);
        assert_eq!(render(&TargetInput::Constant("{}".into()), &event, SENDER), "{}");
    }
}
