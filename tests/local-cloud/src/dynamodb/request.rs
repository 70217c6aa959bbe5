//! What requests to DynamoDB say, and how it tells times.

use serde_json::Value;

use crate::wire::ApiError;

/// A text that a request must have.
pub(super) fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let member = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
        let message =
            format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
        ApiError::new(400, "ValidationException", message)
    })
}

/// The name of a table that is named by its name or its ARN.
pub(super) fn table_name(name_or_arn: &str) -> &str {
    match name_or_arn.split_once(":table/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => name_or_arn,
    }
}

/// Seconds of the epoch, as the JSON protocol tells times.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this era are exact in a double")]
pub(super) fn epoch_seconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_by_name_or_arn() {
        for text in [
            "orders",
            "arn:aws:dynamodb:us-east-1:1:table/orders",
            "arn:aws:dynamodb:us-east-1:1:table/orders/export/0-a",
        ] {
            assert_eq!(table_name(text), "orders");
        }
    }
}
