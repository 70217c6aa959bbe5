//! What AWS itself wrote: Parquet of RDS, items of DynamoDB.

use serde::{Deserialize, Serialize};

use super::count::TableCount;
use super::object::SmallObject;

/// An export that AWS itself wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Native {
    /// `parquet`, `DYNAMODB_JSON` or `ION`.
    pub format: String,
    /// ARN of the DynamoDB export, or identifier of the RDS export task.
    pub export: String,
    /// What the keys of its objects begin with.
    pub prefix: String,
    /// How many objects there are.
    pub objects: u64,
    /// Their size.
    pub bytes: u64,
    /// Items or rows in them, as they were counted.
    pub items: u64,
    /// Rows of each table, as they were counted.
    pub tables: Vec<TableCount>,
    /// The object that lists all objects, a line of JSON ([`NativeObject`]) for each.
    pub listing: SmallObject,
}

/// An object that AWS wrote, in the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeObject {
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, lowercase hex.
    pub sha256: String,
    /// Its ETag, as S3 shows it.
    pub etag: String,
    /// Items or rows in it; absent where it holds none by its nature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
}
