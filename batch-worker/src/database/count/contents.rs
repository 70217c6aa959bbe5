//! What a dump is found to hold, and how that differs from what a manifest says.

use std::collections::BTreeMap;

use domain::manifest::{Dump, TableCount};

/// What a dump is found to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contents {
    /// Entries of an archive, or statements that create something.
    pub(crate) objects: u64,
    /// Rows of each table.
    pub(crate) tables: BTreeMap<String, u64>,
}

/// Why a dump cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Contents {
    pub(crate) fn tables(&self) -> Vec<TableCount> {
        self.tables.iter().map(|(name, rows)| TableCount { name: name.clone(), rows: *rows }).collect()
    }

    /// How it differs from what a manifest says of it.
    pub(crate) fn difference(&self, dump: &Dump) -> Option<String> {
        if self.objects != dump.objects {
            return Some(format!("it holds {} objects, the manifest says {}", self.objects, dump.objects));
        }
        let listed: BTreeMap<&str, u64> = dump.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
        for (name, rows) in &self.tables {
            match listed.get(name.as_str()) {
                Some(listed) if listed == rows => {}
                Some(listed) => return Some(format!("it holds {rows} rows of {name}, the manifest says {listed}")),
                None => return Some(format!("it holds {rows} rows of {name}, which the manifest does not list")),
            }
        }
        let lacks = listed.keys().find(|name| !self.tables.contains_key(**name))?;
        Some(format!("it lacks the rows of {lacks}, which the manifest lists"))
    }
}
