//! Everything that a run depends on, read once from the command line and the environment, all problems reported together.

use std::path::PathBuf;

use archive::{Codec, Compression};
use domain::failure::Kind;
use domain::id::{AccountId, VolumeId};
use domain::part::{MAX_PART_BYTES, MIN_PART_BYTES};

use crate::attach::device::DeviceTree;
use crate::cli::{Cli, Command, ExportArgs, Mode, VerifyArgs};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::source;

/// More would leave too little of the 512 MiB for the upload.
const MAX_READ_AHEAD_BYTES: usize = 128 << 20;
/// More threads than this only cost memory.
const MAX_READERS: usize = 1024;
const MAX_THREADS: usize = 256;

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// Export a volume or device.
    Export(Box<ExportConfig>),
    /// Verify an export.
    Verify(VerifyConfig),
}

/// The disk that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A volume that is to be attached.
    Volume(VolumeId),
    /// A device or image file that is here.
    Device(PathBuf),
}

/// How an export is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportConfig {
    /// The disk.
    pub subject: Subject,
    /// Where it goes.
    pub destination: Destination,
    /// Where the claim is.
    pub plan: Option<(Destination, String)>,
    /// Which of the plan's volumes it is.
    pub volume_key: Option<String>,
    /// The account that the bucket must belong to.
    pub bucket_owner: Option<AccountId>,
    /// How members are made.
    pub compression: Compression,
    /// How much is read ahead.
    pub reading: source::Options,
    /// Compressor threads.
    pub compress_threads: usize,
    /// Size of the first parts of an upload, where it is not planned here.
    pub part_bytes: Option<u64>,
    /// The least size of the disk.
    pub expect_bytes: Option<u64>,
    /// Where devices are looked for.
    pub devices: DeviceTree,
    /// Whether Batch runs this: a failure is then left in the bucket for whoever asks.
    pub in_batch: bool,
}

/// How an export is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyConfig {
    /// Where the export is.
    pub folder: Destination,
    /// The manifest's name there.
    pub name: String,
    /// How it is verified.
    pub mode: Mode,
    /// The account that the bucket must belong to.
    pub bucket_owner: Option<AccountId>,
    /// Decompressor threads.
    pub threads: usize,
    /// Whether Batch runs this.
    pub in_batch: bool,
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
            Command::Verify(arguments) => VerifyConfig::new(arguments, variable).map(Self::Verify),
        }
    }
}

impl ExportConfig {
    fn new(subject: Subject, arguments: ExportArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let destination = problems.take(arguments.dest.parse::<Destination>());
        let plan = arguments.plan.as_deref().and_then(|url| problems.take(Destination::of_object(url)));
        let compression = compression(&arguments, &mut problems);
        let access = match subject {
            Subject::Volume(_) => source::Access::ThrowAway,
            Subject::Device(_) => source::Access::Untouched,
        };
        let mut reading = source::Options::for_access(access);
        reading.readers = arguments.readers.unwrap_or(reading.readers);
        reading.read_ahead_bytes = arguments.read_ahead_bytes.unwrap_or(reading.read_ahead_bytes);
        let compress_threads = arguments.compress_threads.unwrap_or_else(cpus);
        problems.require((1..=MAX_READERS).contains(&reading.readers), || {
            format!("--readers {}: use 1 to {MAX_READERS}", reading.readers)
        });
        problems.require(reading.read_ahead_bytes <= MAX_READ_AHEAD_BYTES, || {
            format!("--read-ahead-bytes {}: use at most {MAX_READ_AHEAD_BYTES}", reading.read_ahead_bytes)
        });
        require_threads(&mut problems, "--compress-threads", compress_threads);
        if let Some(bytes) = arguments.part_bytes {
            problems.require((MIN_PART_BYTES..=MAX_PART_BYTES).contains(&bytes), || {
                format!("--part-bytes {bytes}: S3 takes {MIN_PART_BYTES} to {MAX_PART_BYTES}")
            });
        }
        if let (Some(plan), Some(destination)) = (&plan, &destination) {
            problems.require(same_bucket(&plan.0, destination), || {
                format!("--plan is in {}, and --dest in {destination}: both belong in one bucket", plan.0)
            });
        }
        problems.require(plan.is_some() || arguments.volume_key.is_none(), || {
            "--volume-key names a volume of a plan: give --plan, too".to_owned()
        });
        let config = destination.zip(compression).map(|(destination, compression)| Self {
            subject,
            destination,
            plan,
            volume_key: arguments.volume_key,
            bucket_owner: arguments.bucket_owner,
            compression,
            reading,
            compress_threads,
            part_bytes: arguments.part_bytes,
            expect_bytes: arguments.expect_bytes,
            devices: devices(variable),
            in_batch: in_batch(variable),
        });
        problems.finish(config)
    }
}

impl VerifyConfig {
    fn new(arguments: VerifyArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let threads = arguments.threads.unwrap_or_else(cpus);
        require_threads(&mut problems, "--threads", threads);
        let place = problems.take(Destination::of_object(&arguments.manifest));
        if let (Mode::Checksum, Some((Destination::Directory(_), _))) = (arguments.mode, &place) {
            problems.0.push(
                "--mode checksum asks S3 for its checksums: a directory has none, use --mode readback".to_owned(),
            );
        }
        let config = place.map(|(folder, name)| Self {
            folder,
            name,
            mode: arguments.mode,
            bucket_owner: arguments.bucket_owner,
            threads,
            in_batch: in_batch(variable),
        });
        problems.finish(config)
    }
}

fn compression(arguments: &ExportArgs, problems: &mut Problems) -> Option<Compression> {
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

fn devices(variable: &dyn Fn(&str) -> Option<String>) -> DeviceTree {
    let mut tree = DeviceTree::default();
    if let Some(directory) = variable("BACKUP_EXPORT_DEV_BY_ID_DIR") {
        tree.by_id = directory.into();
    }
    if let Some(directory) = variable("BACKUP_EXPORT_SYSFS_DIR") {
        tree.sysfs = directory.into();
    }
    tree
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
            "--volume-key",
            "vol-1",
        ])
        .unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidSettings);
        for part in ["ftp:", "lzma", "--readers 0", "--part-bytes 1", "--volume-key"] {
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
            "--volume-key",
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
        assert_eq!(config.plan.unwrap().1, "exp-0123456789abcdef0123.json");
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
