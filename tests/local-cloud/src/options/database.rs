//! How RDS behaves: how long things take, and what can be had.

use std::time::Duration;

use crate::engine::DatabaseEngine;

/// How RDS behaves.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// How long an instance or a cluster is `creating`, at least: its server must start as well.
    pub creation: Duration,
    /// What a new instance goes through between `creating` and `available`, each state for the time of a modification.
    /// RDS takes a first backup of an instance that has automated backups.
    pub after_creation: Vec<String>,
    /// How long a change is pending, and how long it is then made (`resetting-master-credentials`).
    pub modification: Duration,
    /// How long an instance or a cluster is `deleting`, at least.
    pub deletion: Duration,
    /// The most that one page of a list holds; RDS's own limit is 100.
    pub page_size: usize,
    /// The subnet groups that exist; every name passes when absent.
    pub subnet_groups: Option<Vec<String>>,
    /// The instance classes that can be ordered.
    pub classes: Vec<OrderableClass>,
}

/// An instance class that can be ordered.
#[derive(Debug, Clone)]
pub struct OrderableClass {
    pub name: String,
    /// For which engines; for all when empty.
    pub engines: Vec<DatabaseEngine>,
    /// For which major versions (`15`, `8.0`); for all when empty.
    pub major_versions: Vec<String>,
    /// In which zones; in all when empty.
    pub zones: Vec<String>,
}

impl OrderableClass {
    /// A class that can be had for some engines (for all when there are none), in all versions and zones.
    pub fn new(name: &str, engines: &[DatabaseEngine]) -> Self {
        Self { name: name.to_owned(), engines: engines.to_vec(), major_versions: Vec::new(), zones: Vec::new() }
    }
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        let plain = [DatabaseEngine::Postgres, DatabaseEngine::Mariadb, DatabaseEngine::Mysql];
        Self {
            creation: Duration::from_millis(300),
            after_creation: vec!["backing-up".to_owned()],
            modification: Duration::from_millis(150),
            deletion: Duration::from_millis(150),
            page_size: 100,
            subnet_groups: None,
            classes: vec![
                // Aurora has no micro and no small class.
                OrderableClass::new("db.t4g.micro", &plain),
                OrderableClass::new("db.t4g.small", &plain),
                OrderableClass::new("db.t4g.medium", &[]),
                OrderableClass::new("db.t4g.large", &[]),
                OrderableClass::new("db.m6g.large", &plain),
                OrderableClass::new("db.r6g.large", &[]),
                OrderableClass::new("db.r6g.xlarge", &[]),
            ],
        }
    }
}
