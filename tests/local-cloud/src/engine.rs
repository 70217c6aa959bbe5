//! Engines, and which real server stands for each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A database engine under RDS's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseEngine {
    /// `postgres`.
    Postgres,
    /// `aurora-postgresql`.
    AuroraPostgresql,
    /// `mariadb`.
    Mariadb,
    /// `mysql`; MariaDB plays it.
    Mysql,
    /// `aurora-mysql`; MariaDB plays it.
    AuroraMysql,
}

/// The program that plays an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Postgres,
    Mariadb,
}

impl DatabaseEngine {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Postgres, Self::AuroraPostgresql, Self::Mariadb, Self::Mysql, Self::AuroraMysql];

    /// RDS's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
            Self::AuroraMysql => "aurora-mysql",
        }
    }

    /// Whether its instances live in a cluster that holds the data.
    pub fn is_aurora(self) -> bool {
        match self {
            Self::AuroraPostgresql | Self::AuroraMysql => true,
            Self::Postgres | Self::Mariadb | Self::Mysql => false,
        }
    }

    /// The version that its snapshots have when nothing else is asked for.
    pub fn usual_version(self) -> &'static str {
        match self {
            Self::Postgres | Self::AuroraPostgresql => "15.8",
            Self::Mariadb => "10.11.9",
            Self::Mysql => "8.0.39",
            Self::AuroraMysql => "8.0.mysql_aurora.3.07.1",
        }
    }

    /// The longest master password that RDS takes for it.
    pub(crate) fn longest_password(self) -> usize {
        match self.family() {
            Family::Postgres => 128,
            Family::Mariadb => 41,
        }
    }

    /// The port that RDS gives it.
    pub(crate) fn usual_port(self) -> u16 {
        match self.family() {
            Family::Postgres => 5432,
            Family::Mariadb => 3306,
        }
    }

    pub(crate) fn license(self) -> &'static str {
        match self.family() {
            Family::Postgres => "postgresql-license",
            Family::Mariadb => "general-public-license",
        }
    }

    pub(crate) fn family(self) -> Family {
        match self {
            Self::Postgres | Self::AuroraPostgresql => Family::Postgres,
            Self::Mariadb | Self::Mysql | Self::AuroraMysql => Family::Mariadb,
        }
    }
}

impl fmt::Display for DatabaseEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for DatabaseEngine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|engine| engine.name() == text);
        found.ok_or_else(|| format!("the engine {text} is not played"))
    }
}
