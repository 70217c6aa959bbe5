//! Everything that a run depends on, read once from the command line and the environment, all problems reported together.

use std::path::PathBuf;
use std::time::Duration;

use archive::{Codec, Compression};
use domain::failure::Kind;
use domain::id::{AccountId, VolumeId};
use domain::part::{MAX_PART_BYTES, MIN_PART_BYTES};
use domain::source::Engine;

use crate::attach::device::DeviceTree;
use crate::cli::{Cli, Command, DatabaseArgs, ExportArgs, Mode, PlaceArgs, RecordArgs, VerifyArgs, WritingArgs};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::source;

/// More would leave too little of the 512 MiB for the upload.
const MAX_READ_AHEAD_BYTES: usize = 128 << 20;
/// More threads than this only cost memory.
const MAX_READERS: usize = 1024;
const MAX_THREADS: usize = 256;
/// Artifacts of one database at once. Each has an upload and compressors of its own, which share what memory there is.
const DEFAULT_JOBS: usize = 4;
const MAX_JOBS: usize = 16;
/// Above this a table takes longer by itself than other tables together usually do.
const DEFAULT_LARGE_TABLE_BYTES: u64 = 4 << 30;
/// A password that was just reset reaches the server within a minute or two.
const DEFAULT_LOGIN_SECONDS: u64 = 300;

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

/// The disk that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A volume that is to be attached.
    Volume(VolumeId),
    /// A device or image file that is here.
    Device(PathBuf),
}

/// How an export of a disk is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportConfig {
    /// The disk.
    pub subject: Subject,
    /// Where it goes.
    pub place: Place,
    /// How artifacts are written.
    pub writing: Writing,
    /// How much is read ahead.
    pub reading: source::Options,
    /// The least size of the disk.
    pub expect_bytes: Option<u64>,
    /// Where devices are looked for.
    pub devices: DeviceTree,
}

/// How a database server is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Its host name.
    pub host: String,
    /// Its port, where it is not the engine's own.
    pub port: Option<u16>,
    /// Who logs in by which password, where no plan says it.
    pub by_hand: Option<LoginByHand>,
    /// Whether the server is a throw-away copy, on which rights may be granted.
    pub throw_away: bool,
    /// Artifacts at once.
    pub jobs: usize,
    /// From this size on a table is an artifact of its own.
    pub large_table_bytes: u64,
    /// How long to wait until the server takes the password.
    pub login_within: Duration,
    /// The certificates that may have signed the server's.
    pub ca_bundle: Option<PathBuf>,
    /// Where it goes.
    pub place: Place,
    /// How artifacts are written.
    pub writing: Writing,
}

/// A login that no plan knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginByHand {
    /// The engine.
    pub engine: Engine,
    /// The user.
    pub user: String,
    /// Where the password is.
    pub password: PasswordPlace,
}

/// Where a password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordPlace {
    /// In an SSM parameter of that name.
    Parameter(String),
    /// In a file.
    File(PathBuf),
}

/// How an export of AWS's own is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// What its keys begin with.
    pub objects: Destination,
    /// Where the manifest goes.
    pub place: Place,
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

impl ExportConfig {
    fn new(subject: Subject, arguments: ExportArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let place = Place::new(arguments.place, variable, &mut problems);
        let writing = Writing::new(&arguments.writing, &mut problems);
        let access = match subject {
            Subject::Volume(_) => source::Access::ThrowAway,
            Subject::Device(_) => source::Access::Untouched,
        };
        let mut reading = source::Options::for_access(access);
        reading.readers = arguments.readers.unwrap_or(reading.readers);
        reading.read_ahead_bytes = arguments.read_ahead_bytes.unwrap_or(reading.read_ahead_bytes);
        problems.require((1..=MAX_READERS).contains(&reading.readers), || {
            format!("--readers {}: use 1 to {MAX_READERS}", reading.readers)
        });
        problems.require(reading.read_ahead_bytes <= MAX_READ_AHEAD_BYTES, || {
            format!("--read-ahead-bytes {}: use at most {MAX_READ_AHEAD_BYTES}", reading.read_ahead_bytes)
        });
        let config = place.zip(writing).map(|(place, writing)| Self {
            subject,
            place,
            writing,
            reading,
            expect_bytes: arguments.expect_bytes,
            devices: devices(variable),
        });
        problems.finish(config)
    }
}

impl DatabaseConfig {
    fn new(arguments: DatabaseArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let throw_away = arguments.throw_away || arguments.place.plan.is_some();
        let by_plan = arguments.place.plan.is_some();
        let place = Place::new(arguments.place, variable, &mut problems);
        let writing = Writing::new(&arguments.writing, &mut problems);
        let password = match (arguments.password_parameter, arguments.password_file) {
            (Some(name), _) => Some(PasswordPlace::Parameter(name)),
            (None, Some(path)) => Some(PasswordPlace::File(path)),
            (None, None) => None,
        };
        problems.require(by_plan || password.is_some(), || {
            "without --plan, give --password-file or --password-parameter".to_owned()
        });
        let by_hand = arguments
            .engine
            .zip(arguments.user)
            .zip(password)
            .map(|((engine, user), password)| LoginByHand { engine, user, password });
        let jobs = arguments.jobs.unwrap_or(DEFAULT_JOBS);
        problems.require((1..=MAX_JOBS).contains(&jobs), || format!("--jobs {jobs}: use 1 to {MAX_JOBS}"));
        // The tools take a host of that kind for a directory of sockets, which have no TLS.
        problems.require(!arguments.host.is_empty() && !arguments.host.starts_with(['/', '-', '@']), || {
            format!("--host {:?} is not a host name", arguments.host)
        });
        let config = place.zip(writing).map(|(place, writing)| Self {
            host: arguments.host,
            port: arguments.port,
            by_hand,
            throw_away,
            jobs,
            large_table_bytes: arguments.large_table_bytes.unwrap_or(DEFAULT_LARGE_TABLE_BYTES),
            login_within: Duration::from_secs(arguments.login_seconds.unwrap_or(DEFAULT_LOGIN_SECONDS)),
            ca_bundle: variable("BACKUP_EXPORT_RDS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from),
            place,
            writing,
        });
        problems.finish(config)
    }
}

impl RecordConfig {
    fn new(arguments: RecordArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let objects = problems.take(arguments.objects.parse::<Destination>());
        problems.require(arguments.place.plan.is_some(), || {
            "record needs --plan: it says what AWS was asked to export".to_owned()
        });
        let place = Place::new(arguments.place, variable, &mut problems);
        if let (Some(objects), Some(place)) = (&objects, &place) {
            problems.require(
                same_bucket(objects, &place.destination) && objects.prefix().starts_with(place.destination.prefix()),
                || format!("--objects {objects} does not lie under --dest {}", place.destination),
            );
        }
        problems.finish(objects.zip(place).map(|(objects, place)| Self { objects, place }))
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
