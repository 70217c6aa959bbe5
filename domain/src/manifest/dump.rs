//! What a dump of a database server holds, and how it is written.

use serde::{Deserialize, Serialize};

use super::count::TableCount;

/// What of a database server a dump holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dump {
    /// How it is written.
    pub format: DumpFormat,
    /// What it holds.
    pub content: DumpContent,
    /// The database; absent where it holds what belongs to the whole server, or all databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Objects in it: entries of a custom-format archive, statements that create something in SQL.
    pub objects: u64,
    /// Rows of each table whose rows it holds.
    pub tables: Vec<TableCount>,
}

/// How a dump is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DumpFormat {
    /// `pg_dump`'s custom format, for `pg_restore`.
    Custom,
    /// SQL, for the engine's client.
    Sql,
}

/// What a dump holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DumpContent {
    /// Roles or users and what they are granted.
    Globals,
    /// A database, or all of them.
    Databases,
    /// A database without the rows of its largest tables.
    WithoutLargeTables,
    /// The rows of one large table.
    LargeTable,
}
