//! The command line, as people and Batch type it. What it means is decided in [`crate::config`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::id::{AccountId, VolumeId};

const EXAMPLES: &str = "\
Examples:
  Export a disk image to a directory, and check it:
    batch-worker device disk.img --dest file:///srv/exports/disk/
    batch-worker verify file:///srv/exports/disk/manifest.json

  Export a block device to S3 (root can mount its filesystems; without root they become raw images):
    batch-worker device /dev/nvme1n1 --dest s3://backups/data/by-hand/web-1/ --bucket-owner 123456789012

  Attach a volume to this EC2 instance, export it, detach it:
    batch-worker volume --volume-id vol-0123456789abcdef0 --dest s3://backups/data/by-hand/vol-0123456789abcdef0/

  Dump every database of a PostgreSQL server (needs pg_dump and psql; TLS is required):
    batch-worker database --host db.example.com --engine postgres --user admin --password-file secret --dest s3://backups/data/by-hand/db/

Exit codes: 0 done, 2 wrong options or settings, 65 verification failed or AWS's own export left something out, 66 the disk or manifest
is not there, 70 internal error, 74 a disk read failed, 75 S3, EC2 or the server failed (try again), 76 the dump tool failed, is missing
or too old, 77 access denied or wrong bucket, 143 stopped.";

/// Exports disks and databases as files with an index and a manifest, and proves what it wrote.
#[derive(Debug, Parser)]
#[command(name = "batch-worker", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach an EBS volume to this instance, export it, detach it.
    Volume(VolumeArgs),
    /// Export a block device or image file that is already here. Nothing is written to it.
    Device(DeviceArgs),
    /// Dump every database of a server with the engine's own tool, and count what is in the dumps.
    Database(DatabaseArgs),
    /// Check an export that AWS itself wrote (DynamoDB, RDS to Parquet), and write the manifest for it.
    Record(RecordArgs),
    /// Read an export back and compare it with its manifest.
    Verify(VerifyArgs),
}

/// `batch-worker volume`.
#[derive(Debug, Args)]
pub struct VolumeArgs {
    /// The volume, in the zone of this instance.
    #[arg(long, value_name = "vol-…")]
    pub volume_id: VolumeId,
    #[command(flatten)]
    pub disk: DiskArgs,
}

/// `batch-worker device`.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// Block device or image file.
    pub path: PathBuf,
    #[command(flatten)]
    pub disk: DiskArgs,
}

/// `batch-worker database`.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The server's host name. Connections need TLS; with BACKUP_EXPORT_RDS_CA_BUNDLE (a file) its certificate is
    /// verified, too.
    #[arg(long, value_name = "HOST")]
    pub host: String,
    /// Its port. [default: 5432 or 3306, by the engine]
    #[arg(long)]
    pub port: Option<u16>,
    /// postgres, mysql, mariadb, aurora-postgresql or aurora-mysql. With --plan, the plan says it.
    #[arg(long, value_name = "NAME", conflicts_with = "plan", required_unless_present = "plan")]
    pub engine: Option<domain::engine::Engine>,
    /// The user, who must be able to read everything. With --plan, the plan says it.
    #[arg(long, value_name = "NAME", conflicts_with = "plan", required_unless_present = "plan")]
    pub user: Option<String>,
    /// The SSM parameter (SecureString) that holds the password. With --plan, the plan says it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["plan", "password_file"])]
    pub password_parameter: Option<String>,
    /// A file that holds the password.
    #[arg(long, value_name = "PATH", conflicts_with = "plan")]
    pub password_file: Option<PathBuf>,
    /// The server is a throw-away copy: let the user grant itself what reading everything takes. With --plan, it always
    /// is.
    #[arg(long)]
    pub throw_away: bool,
    /// Artifacts of one PostgreSQL database that are written at the same time, when it has large tables. [default: 4]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// PostgreSQL tables of this size get an artifact of their own. [default: 4294967296]
    #[arg(long, value_name = "BYTES")]
    pub large_table_bytes: Option<u64>,
    /// How long to wait until the server takes the password: it was just set. [default: 300]
    #[arg(long, value_name = "N")]
    pub login_seconds: Option<u64>,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// `batch-worker record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// What the keys of the objects that AWS wrote begin with: s3://bucket/prefix/.
    #[arg(long, value_name = "URL")]
    pub objects: String,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What `volume` and `device` share.
#[derive(Debug, Args)]
pub struct DiskArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub writing: WritingArgs,
    /// Threads that read ahead. [default: 64 for a restored volume, 8 for a device]
    #[arg(long, value_name = "N")]
    pub readers: Option<usize>,
    /// Bytes held in memory ahead of the archive writer. [default: 33554432]
    #[arg(long, value_name = "BYTES")]
    pub read_ahead_bytes: Option<usize>,
    /// The least size that the disk must have.
    #[arg(long, value_name = "BYTES")]
    pub expect_bytes: Option<u64>,
}

/// Where an export goes, and whose it is.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Where the export goes: s3://bucket/prefix/ or file:///directory/.
    #[arg(long, value_name = "URL")]
    pub dest: String,
    /// The claim that holds the plan: what the manifest says of the recovery point.
    #[arg(long, value_name = "s3://…/claims/exp-….json")]
    pub plan: Option<String>,
    /// Which of the plan's units this is. Not needed when it has one.
    #[arg(long, value_name = "KEY")]
    pub unit_key: Option<String>,
    /// The account that the bucket must belong to.
    #[arg(long, value_name = "ACCOUNT")]
    pub bucket_owner: Option<AccountId>,
}

/// How artifacts are written.
#[derive(Debug, Args)]
pub struct WritingArgs {
    /// gzip (readable everywhere) or zstd (faster). [default: gzip]
    #[arg(long, value_name = "NAME")]
    pub codec: Option<String>,
    /// Compression level: gzip 1 to 12, zstd 1 to 22. [default: gzip 6, zstd 3]
    #[arg(long)]
    pub level: Option<i32>,
    /// Uncompressed bytes in each member. [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    pub member_bytes: Option<u32>,
    /// Compressor threads. [default: one for each CPU]
    #[arg(long, value_name = "N")]
    pub compress_threads: Option<usize>,
    /// Size of the first parts of an upload. [default: planned from the size of the source]
    #[arg(long, value_name = "BYTES")]
    pub part_bytes: Option<u64>,
}

/// `batch-worker verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The manifest: s3://bucket/prefix/manifest.json or file:///directory/manifest.json.
    pub manifest: String,
    /// How it is verified.
    #[arg(long, value_enum, default_value_t = Mode::Readback)]
    pub mode: Mode,
    /// The account that the bucket must belong to.
    #[arg(long, value_name = "ACCOUNT")]
    pub bucket_owner: Option<AccountId>,
    /// Decompressor threads. [default: one for each CPU]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How an export is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Download, decompress and compare every hash.
    Readback,
    /// Compare S3's own sizes and checksums with the manifest, without reading the objects.
    Checksum,
}
