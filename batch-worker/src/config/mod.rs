//! Everything that a run depends on, read once from the command line and the environment, all problems reported together.
//!
//! What several subcommands have in common is here: where an export goes and how artifacts are written. What one of them has by itself is in its module.

mod database;
mod disk;
mod record;
mod verify;

use archive::{Codec, Compression};
use domain::failure::Kind;
use domain::id::AccountId;
use domain::part::{MAX_PART_BYTES, MIN_PART_BYTES};

pub use self::database::{DatabaseConfig, LoginByHand, PasswordPlace};
pub use self::disk::{ExportConfig, Subject};
pub use self::record::RecordConfig;
pub use self::verify::VerifyConfig;
use crate::cli::{Cli, Command, PlaceArgs, WritingArgs};
use crate::destination::Destination;
use domain::failure::{Error, Result};

/// More of them only cost memory.
const MAX_THREADS: usize = 256;

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// Export a volume or device.
    Export(Box<ExportConfig>),
    /// Dump a database server.
    Database(Box<DatabaseConfig>),
    /// Record what AWS itself wrote.
    Record(Box<RecordConfig>),
    /// Verify an export.
    Verify(VerifyConfig),
}

/// Where an export goes, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it goes.
    pub destination: Destination,
    /// Where the claim is.
    pub plan: Option<(Destination, String)>,
    /// Which of the plan's units it is.
    pub unit_key: Option<String>,
    /// The account that the bucket must belong to.
    pub bucket_owner: Option<AccountId>,
    /// Whether Batch runs this: a failure is then left in the bucket for whoever asks.
    pub in_batch: bool,
}

/// How artifacts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// How members are made.
    pub compression: Compression,
    /// Compressor threads.
    pub compress_threads: usize,
    /// Size of the first parts of an upload, where it is not planned here.
    pub part_bytes: Option<u64>,
}

/// What is wrong with the options, gathered.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn take<T, E: ToString>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }

    fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }

    fn finish<T>(self, value: Option<T>) -> Result<T> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Error::new(Kind::InvalidSettings, self.0.join("; "))),
        }
    }
}

impl Config {
    /// Checks the options and reads the environment by `variable`.
    pub fn new(cli: Cli, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        match cli.command {
            Command::Volume(arguments) => {
                let subject = Subject::Volume(arguments.volume_id);
                ExportConfig::new(subject, arguments.export, variable).map(|config| Self::Export(Box::new(config)))
            }
            Command::Device(arguments) => {
                let subject = Subject::Device(arguments.path);
                ExportConfig::new(subject, arguments.export, variable).map(|config| Self::Export(Box::new(config)))
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

impl Place {
    fn new(arguments: PlaceArgs, variable: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Option<Self> {
        let destination = problems.take(arguments.dest.parse::<Destination>());
        let plan = arguments.plan.as_deref().and_then(|url| problems.take(Destination::of_object(url)));
        if let (Some(plan), Some(destination)) = (&plan, &destination) {
            problems.require(same_bucket(&plan.0, destination), || {
                format!("--plan is in {}, and --dest in {destination}: both belong in one bucket", plan.0)
            });
        }
        problems.require(plan.is_some() || arguments.unit_key.is_none(), || {
            "--unit-key names a unit of a plan: give --plan, too".to_owned()
        });
        Some(Self {
            destination: destination?,
            plan,
            unit_key: arguments.unit_key,
            bucket_owner: arguments.bucket_owner,
            in_batch: in_batch(variable),
        })
    }
}

impl Writing {
    fn new(arguments: &WritingArgs, problems: &mut Problems) -> Option<Self> {
        let compression = compression(arguments, problems);
        let compress_threads = arguments.compress_threads.unwrap_or_else(cpus);
        require_threads(problems, "--compress-threads", compress_threads);
        if let Some(bytes) = arguments.part_bytes {
            problems.require((MIN_PART_BYTES..=MAX_PART_BYTES).contains(&bytes), || {
                format!("--part-bytes {bytes}: S3 takes {MIN_PART_BYTES} to {MAX_PART_BYTES}")
            });
        }
        Some(Self { compression: compression?, compress_threads, part_bytes: arguments.part_bytes })
    }
}

fn compression(arguments: &WritingArgs, problems: &mut Problems) -> Option<Compression> {
    let codec = match &arguments.codec {
        Some(name) => problems.take(name.parse::<Codec>())?,
        None => Codec::Gzip,
    };
    let level = arguments.level.unwrap_or_else(|| codec.default_level());
    let member_bytes = arguments.member_bytes.unwrap_or(archive::codec::DEFAULT_MEMBER_BYTES);
    problems.take(Compression::new(codec, level, member_bytes))
}

fn require_threads(problems: &mut Problems, option: &str, threads: usize) {
    problems.require((1..=MAX_THREADS).contains(&threads), || format!("{option} {threads}: use 1 to {MAX_THREADS}"));
}

fn same_bucket(one: &Destination, other: &Destination) -> bool {
    match (one, other) {
        (Destination::S3 { bucket: one, .. }, Destination::S3 { bucket: other, .. }) => one == other,
        _ => false,
    }
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn in_batch(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    variable("AWS_BATCH_JOB_ATTEMPT").is_some()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

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
    fn the_plans_own_command_is_accepted() {
        let config = config(&[
            "volume",
            "--volume-id",
            "vol-0123456789abcdef0",
            "--dest",
            "s3://backups/data/ebs/x/",
            "--plan",
            "s3://backups/claims/exp-0123456789abcdef0123.json",
            "--unit-key",
            "vol-0aaaaaaaaaaaaaaaa",
            "--bucket-owner",
            "123456789012",
            "--codec",
            "gzip",
            "--level",
            "6",
            "--readers",
            "64",
            "--part-bytes",
            "16777216",
            "--expect-bytes",
            "1073741824",
        ])
        .unwrap();
        let Config::Export(config) = config else {
            panic!("an export");
        };
        assert_eq!(config.reading.readers, 64);
        assert_eq!(config.place.plan.unwrap().1, "exp-0123456789abcdef0123.json");
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
