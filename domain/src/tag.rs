//! The tags that mark what an export created. They are given in the call that creates a resource, never later;
//! and what a tag of the operator's own may be.

/// Tag key whose value is the [`ExportId`](crate::id::ExportId).
pub const EXPORT_ID: &str = "backup-export:export-id";
/// Tag key whose value is the [`ExecutionArn`](crate::id::ExecutionArn): two executions never clean up each other's
/// resources.
pub const EXECUTION: &str = "backup-export:execution";
/// Tag key whose value names the volume, database or table within the export.
pub const VOLUME_KEY: &str = "backup-export:volume-key";

/// Tag key by which the owner of a database chooses its method: `dump`, `parquet` or `auto`. AWS Backup copies it from
/// the resource to the recovery point.
pub const METHOD: &str = "backup-export:method";

/// What all our keys begin with.
const OURS: &str = "backup-export:";
/// What all of AWS's own keys begin with.
const RESERVED: &str = "aws:";
/// A resource takes fifty tags, of which ours are three and its name.
pub const MOST_OF_USER: usize = 46;

/// The longest key.
const MAX_KEY_CHARS: usize = 128;
/// The longest value.
pub const MAX_VALUE_CHARS: usize = 256;

/// Why a key or value cannot be an operator's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTag {
    /// EC2's limits.
    #[error("a key has 1 to {MAX_KEY_CHARS} characters, a value up to {MAX_VALUE_CHARS}")]
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
    match key.chars().count() {
        _ if lower.starts_with(RESERVED) => Err(InvalidTag::Reserved),
        _ if lower.starts_with(OURS) => Err(InvalidTag::Ours),
        1..=MAX_KEY_CHARS => Ok(()),
        _ => Err(InvalidTag::Length),
    }
}

/// Whether an operator may put this tag on a resource.
pub fn check(key: &str, value: &str) -> Result<(), InvalidTag> {
    check_key(key)?;
    if value.chars().count() > MAX_VALUE_CHARS { Err(InvalidTag::Length) } else { Ok(()) }
}
