//! Recovery points as tests put them into the vaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a recovery point differs from an ordinary, completed one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryPointOptions {
    /// `Status`: COMPLETED, PARTIAL, CREATING, EXPIRED, ….
    pub status: String,
    /// `StatusMessage`.
    pub status_message: Option<String>,
    /// Its own tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is encrypted; the key's ARN.
    pub kms_key_arn: Option<String>,
    /// `StorageClass`: WARM or COLD.
    pub storage_class: String,
    /// Whether the snapshots are in the archive tier: `CreateVolume` refuses them.
    pub archived: bool,
    /// `ResourceType`, when it is not the usual one of the kind.
    pub resource_type: Option<String>,
    /// `ResourceArn`, when it is not derived: the ARN of the volume or instance that was backed up.
    pub resource_arn: Option<String>,
    /// RFC 3339 time of the backup; now, when absent.
    pub created_at: Option<String>,
    /// What `DeleteRecoveryPoint` does.
    pub deletion: Deletion,
    /// What becomes of a volume made of its snapshots.
    pub volumes: VolumeFate,
    /// What becomes of databases that are restored from it.
    pub databases: DatabaseFate,
    /// Volume size in GiB; the image's size rounded up, when absent. Of a database: its allocated storage.
    pub size_gib: Option<u32>,
    /// What becomes of a table made of it.
    pub restored_table: TableFate,
}

impl Default for RecoveryPointOptions {
    fn default() -> Self {
        Self {
            status: "COMPLETED".to_owned(),
            status_message: None,
            tags: BTreeMap::new(),
            kms_key_arn: None,
            storage_class: "WARM".to_owned(),
            archived: false,
            resource_type: None,
            resource_arn: None,
            created_at: None,
            deletion: Deletion::AtOnce,
            volumes: VolumeFate::Available,
            databases: DatabaseFate::Available,
            size_gib: None,
            restored_table: TableFate::Active,
        }
    }
}

/// What `DeleteRecoveryPoint` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletion {
    /// The recovery point is gone when the call returns.
    AtOnce,
    /// The call succeeds; the point is EXPIRED for this many descriptions, and then gone.
    After(u32),
    /// The call succeeds, and the point stays EXPIRED.
    Never,
    /// The call is refused.
    Refused {
        /// The error's name (`InvalidRequestException`).
        code: String,
        message: String,
    },
}

/// What becomes of a volume made of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFate {
    /// It is available after the usual time.
    #[default]
    Available,
    /// It goes to `error`, and vanishes soon after: what EC2 does when the key of the snapshot cannot be used.
    Error,
    /// It stays `creating`.
    Stuck,
}

/// What becomes of a table made of a recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableFate {
    /// It is ACTIVE after the usual time.
    #[default]
    Active,
    /// It stays CREATING, until a test lets it go, and so does a restore job stay RUNNING.
    Stuck,
    /// A restore job fails and leaves no table. DynamoDB's own restore knows no failure after its answer, and succeeds.
    Failed,
}

/// What becomes of an export of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableExportFate {
    /// It is COMPLETED, and all of it is true.
    #[default]
    Completed,
    /// It stays IN_PROGRESS.
    Stuck,
    /// It is FAILED.
    Failed {
        /// `FailureCode` (`S3NoSuchBucket`).
        code: String,
        /// `FailureMessage`.
        message: String,
    },
    /// It is COMPLETED, and a data file that its manifest names is gone.
    LosesDataFile,
    /// It is COMPLETED, and a data file has a wrong bit, which only the checksum in the manifest tells.
    CorruptsDataFile,
    /// It is COMPLETED and agrees with itself, but one item of the table is missing.
    LosesItem,
    /// It is COMPLETED, and tells one item more than its files hold.
    MiscountsItems,
}

/// What becomes of an export task of RDS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportTaskFate {
    /// It is COMPLETE, and so is what it wrote.
    #[default]
    Complete,
    /// It stays IN_PROGRESS until somebody cancels it.
    Stuck,
    /// It is FAILED.
    Failed {
        /// `FailureCause`.
        cause: String,
    },
    /// It is COMPLETE, but skipped a table: only `perTableStatus` tells.
    SkipsTable,
    /// It is COMPLETE, but could not read a table: only `perTableStatus` tells.
    FailsTable,
    /// It is COMPLETE, but a Parquet object is not there.
    LosesObject,
    /// It is COMPLETE, but a Parquet object is cut short.
    TruncatesObject,
}

/// What becomes of an instance or a cluster that is restored from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseFate {
    /// It is available after the usual time.
    #[default]
    Available,
    /// It stays `creating`.
    Stuck,
    /// It goes to `failed`.
    Failed,
    /// It goes to `incompatible-restore`.
    IncompatibleRestore,
    /// It goes to `inaccessible-encryption-credentials`: what RDS does when the key of the snapshot cannot be used.
    InaccessibleKey,
    /// A cluster is available, but its instances stay `creating`.
    MemberStuck,
    /// A cluster is available, but its instances go to `failed`.
    MemberFailed,
}

/// One volume of an EC2 recovery point.
#[derive(Debug, Clone)]
pub struct VolumeImage {
    /// The device name in the image's block device mapping (`/dev/xvda`).
    pub device_name: String,
    /// The disk's content.
    pub image: PathBuf,
}

/// The shape of the event that tells of a recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventShape {
    /// "Backup Job State Change".
    BackupJob,
    /// "Recovery Point State Change".
    RecoveryPoint,
    /// "Copy Job State Change", whose destination is the recovery point.
    CopyJob,
    /// "AWS Service Event via CloudTrail", `BackupJobCompleted`.
    CloudTrail,
}
