//! How many rows there are.

use serde::{Deserialize, Serialize};

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableCount {
    /// The table, with its schema or database: `public.orders`.
    pub name: String,
    pub rows: u64,
}
