//! What a unit of an export is made of: a disk's snapshot, a database's, a table's backup.
//!
//! Everything that the Lambdas need to restore it and the worker needs to read it is decided by the plan and written
//! here, so that whoever cleans up knows the names of all that may exist.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::id::SnapshotId;

/// What a unit is made of, and how it becomes files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Source {
    /// An EBS snapshot becomes a volume, whose filesystems the worker archives.
    Volume(VolumeSource),
    /// An RDS or Aurora snapshot becomes a server, which the engine's own tool dumps.
    Database(DatabaseSource),
    /// RDS itself exports a snapshot as Parquet.
    SnapshotExport(SnapshotExportSource),
    /// DynamoDB itself exports a table.
    Table(TableSource),
}

/// A volume that is made of an EBS snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSource {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Its size in GiB.
    pub size_gib: u32,
    /// The device name in the AMI.
    pub device_name: Option<String>,
    /// The key that encrypts the snapshot.
    pub kms_key_id: Option<String>,
}

/// A database server that is made of an RDS or Aurora snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSource {
    /// ARN of the snapshot.
    pub snapshot_arn: String,
    /// What kind of snapshot it is.
    pub snapshot_kind: SnapshotKind,
    pub engine: Engine,
    /// Its version, `15.7`.
    pub engine_version: String,
    /// Allocated storage in GiB; of Aurora, what the snapshot says, which may be 1.
    pub size_gib: u32,
    /// The key that encrypts the snapshot.
    pub kms_key_id: Option<String>,
    /// Name of the master user.
    pub master_user: String,
    /// Identifier of the instance that is made. Nothing else ever has it.
    pub instance_id: String,
    /// Identifier of the cluster that is made, of Aurora.
    pub cluster_id: Option<String>,
    /// Name of the SSM parameter that holds its password.
    pub password_parameter: String,
    /// Class of the instance.
    pub instance_class: String,
    /// Storage type of the instance, where it is not to be the original's; Aurora has its own.
    pub storage_type: Option<String>,
    /// I/O operations a second, where they are not to be the original's: 0 makes provisioned ones ordinary.
    #[serde(default)]
    pub iops: Option<u32>,
    pub subnet_group: String,
    pub security_groups: Vec<String>,
    /// The parameter group that is made for it, where the engine's usual one would let the copy change before it is
    /// dumped.
    #[serde(default)]
    pub parameter_group: Option<ParameterGroup>,
}

/// A parameter group: of the cluster where there is one, else of the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParameterGroup {
    /// Its name. Nothing else ever has it.
    pub name: String,
    /// What RDS calls the engine's major version, `mysql8.0`.
    pub family: String,
}

impl ParameterGroup {
    /// What it says, and nothing else: that events of the original do not run in the copy.
    pub const PARAMETERS: [(&'static str, &'static str); 1] = [("event_scheduler", "OFF")];
}

/// A snapshot that RDS exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotExportSource {
    /// ARN of the snapshot.
    pub snapshot_arn: String,
    pub engine: Engine,
    /// Its version.
    pub engine_version: String,
    /// Allocated storage in GiB.
    pub size_gib: u32,
    /// Identifier of the export task. Nothing else ever has it.
    pub task_id: String,
    /// The role with which RDS writes into the bucket.
    pub role_arn: String,
    /// The key with which RDS encrypts what it writes.
    pub kms_key_id: String,
}

/// A table that DynamoDB exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSource {
    /// ARN of the table that was backed up.
    pub table_arn: String,
    /// What is exported.
    pub origin: TableOrigin,
    /// `DYNAMODB_JSON` or `ION`.
    pub format: TableFormat,
    /// Size of the backup, where AWS says it.
    pub size_bytes: Option<u64>,
}

/// What of a table is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase")]
pub enum TableOrigin {
    /// The backup itself, restored to a table that is deleted afterwards.
    #[serde(rename_all = "camelCase")]
    Backup {
        /// ARN of the backup, in DynamoDB's own form or in AWS Backup's.
        backup_arn: String,
        /// The role with which AWS Backup restores; absent where DynamoDB itself does.
        restore_role_arn: Option<String>,
        /// Name of the table that is made. Nothing else ever has it.
        temporary_table: String,
        /// Its ARN: in the account and Region of the vault, which of a copy are not those of the original.
        temporary_table_arn: String,
    },
    /// The live table, as it was at the backup's time.
    #[serde(rename_all = "camelCase")]
    LiveTable {
        /// The backup's time.
        at: Timestamp,
    },
}

/// In what form DynamoDB exports items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TableFormat {
    /// Lines of JSON with DynamoDB's types.
    DynamodbJson,
    /// Lines of Ion text.
    Ion,
}

impl TableFormat {
    /// The name in DynamoDB's API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DynamodbJson => "DYNAMODB_JSON",
            Self::Ion => "ION",
        }
    }
}

/// What kind of RDS snapshot a recovery point is, and so how it is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SnapshotKind {
    /// Of an instance; becomes one.
    Instance,
    /// Of a Multi-AZ cluster; becomes an instance.
    MultiAzCluster,
    /// Of an Aurora cluster; becomes one, with one instance.
    AuroraCluster,
}

impl Source {
    /// How many bytes there are to read, as far as AWS tells.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Volume(volume) => volume.size_bytes(),
            Self::Database(database) => gib(database.size_gib),
            Self::SnapshotExport(export) => gib(export.size_gib),
            Self::Table(table) => table.size_bytes.unwrap_or_default(),
        }
    }

    /// The volume.
    pub fn as_volume(&self) -> Option<&VolumeSource> {
        match self {
            Self::Volume(volume) => Some(volume),
            Self::Database(_) | Self::SnapshotExport(_) | Self::Table(_) => None,
        }
    }

    /// Whether it is not the recovery point that is exported, but the live resource at its time.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Table(TableSource { origin: TableOrigin::LiveTable { .. }, .. }))
    }

    /// How it becomes files, in the words of settings and of the catalog.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Volume(_) => "archive",
            Self::Database(_) => "dump",
            Self::SnapshotExport(_) => "parquet",
            Self::Table(_) => "dynamodb",
        }
    }
}

impl VolumeSource {
    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        gib(self.size_gib)
    }
}

impl TableSource {
    /// The table that is made and deleted again.
    pub fn temporary_table(&self) -> Option<&str> {
        match &self.origin {
            TableOrigin::Backup { temporary_table, .. } => Some(temporary_table),
            TableOrigin::LiveTable { .. } => None,
        }
    }

    /// The table that is exported.
    pub fn exported_table_arn(&self) -> String {
        match &self.origin {
            TableOrigin::Backup { temporary_table_arn, .. } => temporary_table_arn.clone(),
            TableOrigin::LiveTable { .. } => self.table_arn.clone(),
        }
    }
}

fn gib(number: u32) -> u64 {
    u64::from(number) << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_of_a_backup_is_its_own_table() {
        let table = |origin| TableSource {
            table_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders".into(),
            origin,
            format: TableFormat::Ion,
            size_bytes: None,
        };
        let backup = table(TableOrigin::Backup {
            backup_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders/backup/0154".into(),
            restore_role_arn: None,
            temporary_table: "exp-1-table".into(),
            temporary_table_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/exp-1-table".into(),
        });
        assert_eq!(backup.exported_table_arn(), "arn:aws:dynamodb:us-east-1:123456789012:table/exp-1-table");
        let live = table(TableOrigin::LiveTable { at: Timestamp::UNIX_EPOCH });
        assert_eq!(live.exported_table_arn(), live.table_arn);
        assert_eq!(serde_json::to_value(TableFormat::DynamodbJson).unwrap(), TableFormat::DynamodbJson.name());
    }
}
