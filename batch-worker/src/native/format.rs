//! The formats in which AWS exports.

/// What RDS writes.
pub(super) const PARQUET: &str = "parquet";

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing that is counted.
    Opaque,
    /// Compressed lines of DynamoDB's JSON, an item each.
    Json,
    /// Compressed lines of Ion text, an item each.
    Ion,
    /// Rows of Parquet.
    Parquet,
}

impl Content {
    /// What an object of that name in an export of that format holds.
    pub(crate) fn of(format: &str, key: &str) -> Self {
        match format {
            PARQUET if key.strip_suffix(".parquet").is_some() => Self::Parquet,
            "DYNAMODB_JSON" if key.strip_suffix(".gz").is_some() => Self::Json,
            "ION" if key.strip_suffix(".gz").is_some() => Self::Ion,
            _ => Self::Opaque,
        }
    }
}
