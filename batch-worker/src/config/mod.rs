//! Everything that a run depends on, read once from the command line and the environment, all problems reported
//! together.
//!
//! What several subcommands have in common is in `place` and `writing`; what one of them has by itself is in the module
//! of its name.

mod database;
mod disk;
mod place;
mod problem;
mod record;
mod verify;
mod writing;

use domain::failure::Result;

pub use self::database::{DatabaseConfig, LoginByHand, PasswordPlace};
pub use self::disk::{DiskConfig, DiskSource};
pub use self::place::Place;
pub use self::record::RecordConfig;
pub use self::verify::VerifyConfig;
pub use self::writing::Writing;
use crate::cli::{Cli, Command};

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// Export a volume or device.
    Disk(Box<DiskConfig>),
    /// Dump a database server.
    Database(Box<DatabaseConfig>),
    /// Record what AWS itself wrote.
    Record(Box<RecordConfig>),
    /// Verify an export.
    Verify(VerifyConfig),
}

impl Config {
    /// Checks the options and reads the environment by `variable`.
    pub fn new(cli: Cli, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        match cli.command {
            Command::Volume(arguments) => {
                let source = DiskSource::Volume(arguments.volume_id);
                DiskConfig::new(source, arguments.disk, variable).map(|config| Self::Disk(Box::new(config)))
            }
            Command::Device(arguments) => {
                let source = DiskSource::Device(arguments.path);
                DiskConfig::new(source, arguments.disk, variable).map(|config| Self::Disk(Box::new(config)))
            }
            Command::Database(arguments) => {
                DatabaseConfig::new(arguments, variable).map(|config| Self::Database(Box::new(config)))
            }
            Command::Record(arguments) => {
                RecordConfig::new(arguments, variable).map(|config| Self::Record(Box::new(config)))
            }
            Command::Verify(arguments) => VerifyConfig::new(arguments, variable).map(Self::Verify),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};
    use domain::failure::Kind;

    use super::*;

    fn config(arguments: &[&str]) -> Result<Config> {
        let cli = Cli::try_parse_from(std::iter::once(&"batch-worker").chain(arguments)).unwrap();
        Config::new(cli, &|_| None)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_problems_are_reported_together() {
        let error = config(&[
            "device",
            "x.img",
            "--dest",
            "ftp://x",
            "--codec",
            "lzma",
            "--readers",
            "0",
            "--part-bytes",
            "1",
            "--unit-key",
            "vol-1",
        ])
        .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidSettings);
        for part in ["ftp:", "lzma", "--readers 0", "--part-bytes 1", "--unit-key"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_plan_of_another_bucket_is_refused() {
        let error = config(&["device", "x.img", "--dest", "s3://backups/x/", "--plan", "s3://other/claims/e.json"]);
        assert!(error.unwrap_err().to_string().contains("one bucket"));
    }

    #[test]
    fn checksum_mode_needs_s3() {
        let error = config(&["verify", "file:///x/manifest.json", "--mode", "checksum"]);
        assert!(error.unwrap_err().to_string().contains("readback"));
    }
}
