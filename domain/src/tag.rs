//! The tags that mark what an export created. They are given in the call that creates a resource, never later;
//! and what a tag of the operator's own may be.

use crate::limit::{Limit, TAG_KEY_CHARACTERS, TAG_VALUE_CHARACTERS};

/// Tag key whose value is the [`ExportId`](crate::id::ExportId).
pub const EXPORT_ID: &str = "backup-export:export-id";
/// Tag key whose value is the [`ExecutionArn`](crate::id::ExecutionArn): two executions never clean up each other's
/// resources.
pub const EXECUTION: &str = "backup-export:execution";
/// Tag key whose value names the volume, database or table within the export.
pub const UNIT_KEY: &str = "backup-export:volume-key";

/// Tag key by which the owner of a database chooses its method: `dump`, `parquet` or `auto`. AWS Backup copies it from
/// the resource to the recovery point.
pub const METHOD: &str = "backup-export:method";

/// What all our keys begin with.
const OURS: &str = "backup-export:";
/// What all of AWS's own keys begin with.
const RESERVED: &str = "aws:";

/// Why a key or value cannot be an operator's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// EC2's limits.
    #[error(
        "a key has {} to {} characters, a value up to {}",
        TAG_KEY_CHARACTERS.least, TAG_KEY_CHARACTERS.most, TAG_VALUE_CHARACTERS.most
    )]
    Length,
    /// AWS's own.
    #[error("keys that begin with {RESERVED} belong to AWS")]
    Reserved,
    /// By ours, resources are found and deleted.
    #[error("keys that begin with {OURS} are how exports find what they created")]
    Ours,
}

/// Whether `key` may be the key of an operator's tag.
pub fn check_key(key: &str) -> Result<(), InvalidTag> {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with(RESERVED) {
        Err(InvalidTag::Reserved)
    } else if lower.starts_with(OURS) {
        Err(InvalidTag::Ours)
    } else {
        check_length(key, TAG_KEY_CHARACTERS)
    }
}

/// Whether an operator may put this tag on a resource.
pub fn check(key: &str, value: &str) -> Result<(), InvalidTag> {
    check_key(key)?;
    check_length(value, TAG_VALUE_CHARACTERS)
}

fn check_length(text: &str, limit: Limit) -> Result<(), InvalidTag> {
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    if limit.contains(characters) { Ok(()) } else { Err(InvalidTag::Length) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::golden;

    /// The CDK app reads them there: conditions of roles name our keys, and settings with a reserved one are refused.
    #[test]
    fn the_golden_file_has_the_keys_that_the_cdk_app_names() {
        let keys = json!({"exportId": EXPORT_ID, "execution": EXECUTION, "reserved": [RESERVED, OURS]});
        golden::assert("tags.json", &keys);
    }

    #[test]
    fn keys_are_reserved_in_any_case_and_texts_have_a_length() {
        assert_eq!(check_key("AWS:team"), Err(InvalidTag::Reserved));
        assert_eq!(check_key("Backup-Export:export-id"), Err(InvalidTag::Ours));
        for (key, value) in [("", ""), (&*"k".repeat(129), ""), ("key", &*"v".repeat(257))] {
            let told = check(key, value).unwrap_err();
            assert_eq!(told, InvalidTag::Length);
            assert_eq!(told.to_string(), "a key has 1 to 128 characters, a value up to 256");
        }
        assert_eq!(check(&"k".repeat(128), &"ü".repeat(256)), Ok(()));
    }
}
