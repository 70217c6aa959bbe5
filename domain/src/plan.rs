//! The plan of an export: everything that is decided before anything is created.
//!
//! [`Plan`] is what travels through the state machine as `$.plan`, what the claim keeps for whoever must clean up after
//! a dead execution, and what the worker reads about the recovery point. It is made once, by
//! [`planning::plan`](crate::planning::plan).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AvailabilityZone, BucketName, ExecutionArn, ExportId, VolumeId};
use crate::key::{MANIFEST, Prefix};
use crate::name::{self, Names};
use crate::recovery_point::RecoveryPoint;
use crate::source::Source;

/// The only schema version so far.
pub const SCHEMA_VERSION: u32 = 1;

/// What the state machine does next: the output of the plan Lambda.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "lowercase")]
pub enum Decision {
    /// Export by this plan, whose claim is held.
    Export(Box<Plan>),
    /// There is nothing to do.
    #[serde(rename_all = "camelCase")]
    Skip {
        /// Why.
        reason: String,
        /// The export, where the input named a recovery point.
        export_id: Option<ExportId>,
    },
    /// An execution died on this export: clean up after it, then plan again.
    Clean {
        /// Its plan.
        previous: Box<Plan>,
    },
}

/// How one recovery point is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The export.
    pub export_id: ExportId,
    /// The execution that works on it.
    pub execution: ExecutionArn,
    /// 0, or what a person asked for.
    pub generation: u32,
    /// When the execution started.
    pub started_at: Timestamp,
    /// What is exported.
    pub recovery_point: RecoveryPoint,
    /// Where it goes.
    pub bucket: BucketName,
    /// The account that the bucket must belong to.
    pub bucket_owner: AccountId,
    /// What every object under `data/` begins with.
    pub prefix: Prefix,
    /// The row that says that the export is finished.
    pub catalog_key: String,
    /// The pointer to the newest finished export of the resource.
    pub latest_key: String,
    /// The claim.
    pub claim_key: String,
    /// What is restored and exported by itself. Never empty.
    pub units: Vec<Unit>,
    /// Zones in which volumes and databases may be made, in the order in which they are tried. Never empty.
    pub placements: Vec<Placement>,
    /// How volumes are made.
    pub volume_options: VolumeOptions,
    /// How the worker archives.
    pub worker_options: WorkerOptions,
    /// Batch job definition of the worker.
    pub export_job_definition: String,
    /// Batch job definition of the verifier.
    pub verify_job_definition: String,
    /// How the export is verified.
    pub verify: VerifyMode,
    /// Whether the recovery point goes once the export is verified.
    pub delete_recovery_point: bool,
    /// What is kept all the same.
    #[serde(default)]
    pub retention: Retention,
    /// The operator's own tags, put on restored volumes beside ours.
    #[serde(default)]
    pub resource_tags: BTreeMap<String, String>,
    /// The shortest wait between two looks at something that takes time.
    pub poll_seconds: u32,
}

/// One piece of the recovery point: a volume, a database server, a table. It is restored, exported and verified by
/// itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Its name within the export: the source volume's id, the database's or the table's name.
    pub key: String,
    /// What it is made of, and how.
    pub source: Source,
    /// What its artifacts' keys begin with.
    pub prefix: Prefix,
    /// What its indexes' keys begin with.
    pub index_prefix: Prefix,
    /// Name of the Batch job that exports it.
    pub export_job_name: String,
    /// Name of the Batch job that verifies it.
    pub verify_job_name: String,
    /// How long it may take until there is something that the worker can read.
    pub restore_timeout_seconds: u32,
    /// How long one attempt of the export may take.
    pub export_timeout_seconds: u32,
    /// How long one attempt of the verification may take.
    pub verify_timeout_seconds: u32,
    /// How long the export may take with its waiting in the queue and its further attempts.
    pub export_task_seconds: u32,
    /// The same for the verification.
    pub verify_task_seconds: u32,
}

/// A zone and the Batch queue whose instances are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The zone.
    pub availability_zone: AvailabilityZone,
    /// ARN of the queue.
    pub job_queue: String,
}

/// How volumes are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeOptions {
    /// EBS volume type: `gp3`, `gp2`, `io1`, `io2`.
    pub volume_type: String,
    /// MiB/s, gp3 only.
    pub throughput_mib: Option<u32>,
    /// I/O operations a second; not for gp2.
    pub iops: Option<u32>,
    /// MiB/s at which EC2 loads the snapshot by itself, at a price.
    pub initialization_rate_mib: Option<u32>,
    /// The key that encrypts the volumes, in place of the snapshot's.
    pub kms_key_id: Option<String>,
}

/// How the worker archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerOptions {
    /// `gzip` or `zstd`.
    pub codec: String,
    /// Compression level.
    pub level: u32,
    /// Threads that read ahead.
    pub readers: u32,
}

/// Which recovery points are kept although their exports are verified and deletion is on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How many other usable recovery points of the same resource the vault must hold.
    pub minimum_recovery_points: u32,
    /// A tag that the recovery point must carry, with the value `true`.
    pub only_tagged: Option<String>,
}

/// How an export is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyMode {
    /// A separate job downloads, decompresses and compares every hash.
    Readback,
    /// S3's own full-object checksums and sizes are compared with the manifest.
    Checksum,
    /// Not at all.
    None,
}

impl VerifyMode {
    /// The name in settings, plans and the worker's options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Readback => "readback",
            Self::Checksum => "checksum",
            Self::None => "none",
        }
    }
}

/// What a restore made, for the worker to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Restored {
    #[serde(rename_all = "camelCase")]
    Volume {
        /// It.
        volume_id: VolumeId,
    },
    /// A database server that answers.
    Database {
        /// Its host name.
        host: String,
        port: u16,
    },
    /// Objects that AWS itself wrote into the bucket.
    Objects {
        /// What their keys begin with.
        prefix: String,
    },
}

impl Plan {
    /// The unit of that key.
    pub fn unit(&self, key: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.key == key)
    }

    /// The names of what this execution makes.
    pub fn names(&self) -> Names {
        Names::new(&self.export_id, &self.execution)
    }

    /// The [token](name::client_token) of a call that makes something for `unit` in a zone.
    pub fn client_token(&self, unit: &Unit, zone: &str) -> String {
        name::client_token(&self.export_id, &self.execution, &unit.key, zone)
    }

    /// The worker's arguments that export `unit` from what `restored` made of it.
    pub fn export_command(&self, unit: &Unit, restored: &Restored) -> Vec<String> {
        let mut command: Vec<String> = match restored {
            Restored::Volume { volume_id } => vec!["volume".into(), "--volume-id".into(), volume_id.to_string()],
            Restored::Database { host, port } => {
                vec!["database".into(), "--host".into(), host.clone(), "--port".into(), port.to_string()]
            }
            Restored::Objects { prefix } => vec!["record".into(), "--objects".into(), self.s3_uri(prefix)],
        };
        let mut option = |name: &str, value: String| command.extend([name.to_owned(), value]);
        option("--dest", self.s3_uri(unit.prefix.as_str()));
        option("--plan", self.s3_uri(&self.claim_key));
        option("--unit-key", unit.key.clone());
        option("--bucket-owner", self.bucket_owner.to_string());
        if matches!(restored, Restored::Objects { .. }) {
            return command;
        }
        let size_bytes = unit.source.size_bytes();
        let part_bytes = crate::part::PartPlan::for_source(size_bytes)
            .ok()
            .and_then(|plan| plan.part_bytes(1))
            .unwrap_or(crate::part::MAX_PART_BYTES);
        option("--codec", self.worker_options.codec.clone());
        option("--level", self.worker_options.level.to_string());
        option("--part-bytes", part_bytes.to_string());
        if matches!(restored, Restored::Volume { .. }) {
            option("--readers", self.worker_options.readers.to_string());
            option("--expect-bytes", size_bytes.to_string());
        }
        command
    }

    /// The worker's arguments that verify the export of `unit`.
    pub fn verify_command(&self, unit: &Unit) -> Vec<String> {
        [
            "verify",
            &self.s3_uri(&unit.manifest_key()),
            "--mode",
            self.verify.name(),
            "--bucket-owner",
            self.bucket_owner.as_str(),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn s3_uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// How long to wait before look number `turn` (from 0) at something that takes time.
    ///
    /// Waits double to a minute. A Step Functions execution may have 25,000 events and one turn takes about ten, so
    /// with many units the waits grow further: all units together look at most a thousand times within
    /// `within_seconds`.
    pub fn wait_seconds(&self, turn: u32, within_seconds: u32) -> u32 {
        const TURNS: u32 = 1_000;
        let doubled = self.poll_seconds.saturating_mul(1 << turn.min(6));
        let units = u32::try_from(self.units.len()).unwrap_or(TURNS).max(1);
        let least = within_seconds / (TURNS / units).max(1);
        doubled.min(60.max(self.poll_seconds)).max(least).max(1)
    }
}

impl Unit {
    /// The manifest whose existence means that this unit is exported.
    pub fn manifest_key(&self) -> String {
        self.prefix.key(MANIFEST)
    }
}
