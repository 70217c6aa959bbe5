//! Matching: globs, as Batch and fault rules write them, and EventBridge event patterns.
//!
//! The event patterns are the subset that backup rules use: exact values, `prefix`, `suffix`, `anything-but`,
//! `exists`, `equals-ignore-case`, `wildcard` and `numeric`, in nested objects, with `$or`.

use serde_json::Value;

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters and `?` for one.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether an event matches an EventBridge pattern.
pub(crate) fn event_matches(pattern: &Value, event: &Value) -> bool {
    let Value::Object(fields) = pattern else { return false };
    fields.iter().all(|(name, expected)| {
        if name == "$or" {
            return expected
                .as_array()
                .is_some_and(|options| options.iter().any(|option| event_matches(option, event)));
        }
        let actual = event.get(name);
        match expected {
            Value::Object(_) => match actual {
                Some(Value::Array(items)) => items.iter().any(|item| event_matches(expected, item)),
                Some(value) => event_matches(expected, value),
                None => event_matches(expected, &Value::Null),
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
        "prefix" => both_text(operand, value, |operand, text| text.starts_with(operand)),
        "suffix" => both_text(operand, value, |operand, text| text.ends_with(operand)),
        "wildcard" => both_text(operand, value, glob_matches),
        "equals-ignore-case" => both_text(operand, value, str::eq_ignore_ascii_case),
        "anything-but" => match operand {
            Value::Array(options) => !options.iter().any(|option| value_matches(option, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                !value_matches(operand, value)
            }
        },
        "numeric" => numeric_matches(operand, value),
        _ => false,
    })
}

fn both_text(operand: &Value, value: &Value, holds: impl Fn(&str, &str) -> bool) -> bool {
    matches!((operand.as_str(), value.as_str()), (Some(operand), Some(text)) if holds(operand, text))
}

fn numeric_matches(operand: &Value, value: &Value) -> bool {
    let (Some(terms), Some(value)) = (operand.as_array(), value.as_f64()) else { return false };
    terms.chunks(2).all(|term| {
        let [operator, bound] = term else { return false };
        let (Some(operator), Some(bound)) = (operator.as_str(), bound.as_f64()) else { return false };
        match operator {
            "<" => value < bound,
            "<=" => value <= bound,
            "=" => (value - bound).abs() < f64::EPSILON,
            ">=" => value >= bound,
            ">" => value > bound,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn globs_match_as_batch_writes_them() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("Host EC2*", "Host EC2 (instance i-1) terminated.", true),
            ("Host EC2*", "Essential container exited", false),
            ("7?", "75", true),
            ("7?", "7", false),
            ("*a*b", "xaxxbab", true),
            ("a*b", "ac", false),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn event_patterns_match_as_eventbridge_does() {
        let event = json!({"source": "aws.backup", "resources": ["arn:1", "arn:2"],
            "detail": {"state": "COMPLETED", "size": 5, "createdBy": {"plan": "p"}}});
        for (pattern, expected) in [
            (json!({"source": ["aws.backup"]}), true),
            (json!({"source": ["aws.ec2"]}), false),
            (json!({"resources": ["arn:2"]}), true),
            (json!({"detail": {"state": ["ABORTED", "COMPLETED"]}}), true),
            (json!({"detail": {"state": [{"anything-but": ["COMPLETED"]}]}}), false),
            (json!({"detail": {"state": [{"anything-but": {"prefix": "FAIL"}}]}}), true),
            (json!({"detail": {"createdBy": {"plan": [{"exists": true}]}}}), true),
            (json!({"detail": {"createdBy": {"job": [{"exists": false}]}}}), true),
            (json!({"detail": {"gone": {"job": [{"exists": false}]}}}), true),
            (json!({"detail": {"size": [{"numeric": [">", 1, "<=", 5]}]}}), true),
            (
                json!({"detail": {"state": [{"prefix": "COM"}]}, "$or": [{"source": ["x"]}, {"source": ["aws.backup"]}]}),
                true,
            ),
        ] {
            assert_eq!(event_matches(&pattern, &event), expected, "{pattern}");
        }
    }
}
