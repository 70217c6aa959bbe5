//! What AWS says of a recovery point and of what it is made of: what the plan is made from, as it was described, before
//! anything is decided about it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{AccountId, SnapshotId, VaultName, VolumeId};
use crate::recovery_point::Image;

/// Whether a recovery point of this status in AWS Backup is whole.
pub fn is_usable(status: &str) -> bool {
    matches!(status, "COMPLETED" | "AVAILABLE")
}

/// What AWS Backup and EC2 say of the recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Status in AWS Backup: `COMPLETED`, `AVAILABLE`, `PARTIAL` … Of use are some ([`is_usable`]).
    pub status: String,
    /// What AWS Backup says about the status.
    pub status_message: Option<String>,
    /// The vault in which it lies.
    pub vault_name: VaultName,
    /// The account of the vault.
    pub vault_account: AccountId,
    /// ARN of what was backed up.
    pub resource_arn: String,
    /// `EBS`, `EC2`, …
    pub resource_type: String,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// Whether AWS Backup calls it encrypted.
    pub encrypted: bool,
    /// Its size, as AWS Backup reports it.
    pub size_bytes: Option<u64>,
    /// Its own tags.
    pub tags: BTreeMap<String, String>,
    /// The AMI of an EC2 recovery point.
    pub image: Option<ImageFacts>,
    /// The EBS snapshots that it is made of.
    pub snapshots: Vec<SnapshotFacts>,
    /// The RDS snapshot, of RDS and Aurora.
    pub database: Option<DatabaseFacts>,
    /// The backup, of DynamoDB.
    pub table: Option<TableFacts>,
}

/// What RDS says of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// `available`, `creating`, `failed` …
    pub status: String,
    /// Whether it is a cluster's snapshot.
    pub is_cluster: bool,
    /// `postgres`, `oracle-ee`, `docdb` …
    pub engine: String,
    /// `15.7`.
    pub engine_version: String,
    /// Allocated storage in GiB.
    pub size_gib: u32,
    /// Name of the master user.
    pub master_user: String,
    /// The key that encrypts it.
    pub kms_key_id: Option<String>,
    /// Storage type of the instance.
    pub storage_type: Option<String>,
    /// Classes of the settings in which this engine and version can be ordered, in the settings' order, each with the
    /// storage types that it takes. Empty when nobody asked.
    pub orderable: Vec<Orderable>,
}

/// An instance class that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orderable {
    /// `db.m7g.large`.
    pub class: String,
    /// `gp3`, `aurora` …
    pub storage_types: Vec<String>,
}

/// What DynamoDB says of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// `AVAILABLE`, `CREATING`, `DELETED`; absent where AWS Backup keeps it and DynamoDB knows nothing of it.
    pub status: Option<String>,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// What EC2 says of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// `available`, `disabled`, `deregistered` …
    pub state: String,
    /// What it says of the machine. Its `ephemeral_devices` are filled in by the plan.
    pub image: Image,
    /// Its block devices, in order.
    pub devices: Vec<DeviceFacts>,
}

/// A block device of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// `/dev/xvda`.
    pub name: String,
    /// Absent for instance store and for devices that begin empty.
    pub snapshot_id: Option<SnapshotId>,
}

/// What EC2 says of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// The snapshot.
    pub id: SnapshotId,
    /// `completed`, `pending`, `error`, `recoverable`, `recovering`.
    pub state: String,
    /// What EC2 says about the state: why a copy failed.
    pub state_message: Option<String>,
    /// `standard` or `archive`.
    pub storage_tier: String,
    /// The volume of which it was made, or a placeholder.
    pub volume_id: Option<VolumeId>,
    /// Size of the volume in GiB.
    pub size_gib: u32,
    /// The key that encrypts it.
    pub kms_key_id: Option<String>,
}

impl SnapshotFacts {
    /// The volume of which it was made; none where it names the placeholder of a copied snapshot.
    pub fn source_volume(&self) -> Option<&VolumeId> {
        self.volume_id.as_ref().filter(|volume| !volume.is_placeholder())
    }
}
