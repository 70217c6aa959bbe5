//! Database engines as RDS names them, and what follows from one: the tools that dump it, its port.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A database engine, as RDS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Engine {
    /// `postgres`.
    Postgres,
    /// `mysql`.
    Mysql,
    /// `mariadb`.
    Mariadb,
    /// `aurora-postgresql`.
    AuroraPostgresql,
    /// `aurora-mysql`.
    AuroraMysql,
}

/// An engine whose databases are neither dumped nor exported here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an engine that can be exported: postgres, mysql, mariadb, aurora-postgresql and aurora-mysql are"
)]
pub struct UnknownEngine(pub String);

/// The tools and the dialect that an engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `pg_dump`.
    Postgresql,
    /// `mariadb-dump`.
    Mysql,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 5] = [Self::Postgres, Self::Mysql, Self::Mariadb, Self::AuroraPostgresql, Self::AuroraMysql];

    /// RDS's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::AuroraPostgresql => "aurora-postgresql",
            Self::AuroraMysql => "aurora-mysql",
        }
    }

    /// The tools that dump it.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Postgres | Self::AuroraPostgresql => Dialect::Postgresql,
            Self::Mysql | Self::Mariadb | Self::AuroraMysql => Dialect::Mysql,
        }
    }

    /// Whether it is one of Aurora's, whose instances live in clusters.
    pub const fn is_aurora(self) -> bool {
        matches!(self, Self::AuroraPostgresql | Self::AuroraMysql)
    }

    /// What RDS calls the parameter groups of a version that runs events of a restored copy unless it is told not to,
    /// `mysql8.0`. MySQL does so from version 8 on. Older ones, and MariaDB, run them only where somebody said so, in a
    /// group that a restored copy does not have.
    pub fn family_that_runs_events(self, version: &str) -> Option<String> {
        let (major, rest) = version.split_once('.')?;
        let (Self::Mysql | Self::AuroraMysql, 8..) = (self, major.parse::<u32>().ok()?) else {
            return None;
        };
        let minor = rest.split('.').next()?;
        Some(format!("{self}{major}.{minor}"))
    }

    /// The port that is asked for, whatever the original had.
    pub const fn port(self) -> u16 {
        match self.dialect() {
            Dialect::Postgresql => 5432,
            Dialect::Mysql => 3306,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        Self::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| UnknownEngine(name.to_owned()))
    }
}

impl TryFrom<String> for Engine {
    type Error = UnknownEngine;

    fn try_from(name: String) -> Result<Self, UnknownEngine> {
        name.parse()
    }
}

impl From<Engine> for String {
    fn from(engine: Engine) -> Self {
        engine.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_the_names_of_rds() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
            assert_eq!(serde_json::to_string(&engine).unwrap(), format!("{:?}", engine.name()));
        }
        assert!("oracle-ee".parse::<Engine>().unwrap_err().to_string().contains("oracle-ee"));
    }
}
