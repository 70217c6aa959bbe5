//! Ids of EC2's form.

/// A new id of EC2's form: a prefix and 17 hex digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-0{}", &digits[..16])
}
