//! What a stopped database server left.

use std::path::{Path, PathBuf};

use crate::engine::DatabaseEngine;

/// What a stopped server left, to become a recovery point or to be opened again.
#[derive(Debug, Clone)]
pub struct DatabaseSource {
    pub engine: DatabaseEngine,
    /// The version that RDS is to tell; the usual one of the engine when absent.
    pub engine_version: Option<String>,
    /// The directory in which the server kept everything.
    pub directory: PathBuf,
    /// The name of the instance or cluster that was backed up.
    pub name: String,
    pub master_user: String,
    /// The storage that the instance had, in GiB.
    pub allocated_storage_gib: u32,
    /// Days for which automated backups are kept; restored instances take it over.
    pub backup_retention_days: u32,
    /// Whether the backup is of a cluster. Aurora's always are; of other engines, Multi-AZ clusters.
    pub is_cluster: bool,
}

impl DatabaseSource {
    pub(super) fn new(engine: DatabaseEngine, directory: &Path, master_user: &str) -> Self {
        Self {
            engine,
            engine_version: None,
            directory: directory.to_owned(),
            name: "production".to_owned(),
            master_user: master_user.to_owned(),
            allocated_storage_gib: 20,
            backup_retention_days: 7,
            is_cluster: engine.is_aurora(),
        }
    }

    /// The same as the backup of another instance or cluster.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same with another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.engine_version = Some(version.to_owned());
        self
    }
}
