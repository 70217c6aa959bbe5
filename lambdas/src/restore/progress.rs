//! How far a restore is: what travels through the state machine as `$.restore`.

use domain::id::{AvailabilityZone, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `$.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// Whether there is something that the worker can read.
    pub state: RestoreState,
    /// How often it was looked at.
    pub turn: u32,
    /// How far it is.
    pub progress: Progress,
    /// The queue whose instances are in the same zone.
    pub job_queue: String,
    /// How long to wait before the next look.
    pub wait_seconds: u32,
    /// Until when it must be readable. It counts from the first look: the volumes of a large image wait for their turn.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// The worker's arguments; empty until it is ready.
    #[serde(default)]
    pub command: Vec<String>,
    /// The verifier's arguments; empty until it is ready.
    #[serde(default)]
    pub verify_command: Vec<String>,
}

/// Whether there is something that the worker can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestoreState {
    /// Look again.
    Pending,
    /// There is.
    Ready,
}

/// How far a restore is: all that the next turn must know. No secrets: it travels through the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Progress {
    /// A volume is being made.
    #[serde(rename_all = "camelCase")]
    Volume {
        /// It.
        volume_id: VolumeId,
        /// Its zone.
        availability_zone: AvailabilityZone,
    },
    /// A database server is being made.
    Database(DatabaseProgress),
    /// RDS exports a snapshot.
    SnapshotExport(SnapshotExportProgress),
    /// A table is being made, and then exported.
    Table(TableProgress),
}

/// How far a database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseProgress {
    /// What is waited for.
    pub stage: DatabaseStage,
    /// The zone of the instance; of a cluster without one, where it will be asked for.
    pub availability_zone: AvailabilityZone,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DatabaseStage {
    /// The cluster, before it has an instance.
    Cluster,
    Instance,
    /// The password is being set.
    Password,
    /// The password was set when it was last looked at. RDS shows `available` for a moment before it begins to reset.
    Settling,
}

/// How far RDS's own export of a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum SnapshotExportProgress {
    /// For one of the few tasks that may run at a time, or for its begin.
    Waiting,
    /// For its end.
    Running,
}

/// How far a table and its export are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum TableProgress {
    /// The table is being made.
    #[serde(rename_all = "camelCase")]
    Restoring {
        /// AWS Backup's restore job, where it restores.
        restore_job_id: Option<String>,
    },
    /// Point-in-time recovery is being switched on, without which DynamoDB exports nothing.
    EnablingRecovery,
    /// It is being exported.
    #[serde(rename_all = "camelCase")]
    Exporting {
        /// ARN of the export.
        export_arn: String,
    },
}
