//! What tests see of the cloud: requests, volumes, jobs, objects, and what is left behind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use crate::engine::DatabaseEngine;

/// One request that passed the gateway.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    /// When it came.
    pub time: SystemTime,
    /// `s3`, `ec2`, `batch`, ….
    pub service: String,
    /// The API operation.
    pub operation: String,
    /// What it was about: `bucket/key`, an id, a name.
    pub resource: String,
    /// Who called: `lambda-NAME`, `batch-JOBID`, `states`, or an access key.
    pub principal: String,
    /// The HTTP status; 0 when the connection was cut without one.
    pub status: u16,
    /// Whether a fault rule hit it.
    pub fault: bool,
}

/// A volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeView {
    /// `vol-…`.
    pub id: String,
    /// `creating`, `available`, `in-use`, `deleting`, `error`.
    pub state: String,
    /// The zone.
    pub availability_zone: String,
    /// The snapshot it was made of.
    pub snapshot_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// The instance it is attached to, and the attachment's state.
    pub attachment: Option<(String, String)>,
    /// The device on this machine while it is attached.
    pub device: Option<PathBuf>,
    /// The file that holds its bytes.
    pub file: PathBuf,
}

/// A table of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableView {
    pub name: String,
    pub arn: String,
    /// `CREATING`, `ACTIVE`, `DELETING`.
    pub status: String,
    pub tags: BTreeMap<String, String>,
    /// The backup that it was made of.
    pub restored_from: Option<String>,
}

/// A database instance.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseView {
    /// Its identifier.
    pub id: String,
    pub arn: String,
    pub engine: DatabaseEngine,
    /// `creating`, `available`, `resetting-master-credentials`, `deleting`, ….
    pub status: String,
    pub tags: BTreeMap<String, String>,
    pub zone: String,
    /// `db.…`.
    pub class: String,
    /// The cluster it is a member of.
    pub cluster: Option<String>,
    /// Where it listens, once its server runs.
    pub port: Option<u16>,
    /// Whether a change of the master password is not made yet.
    pub password_pending: bool,
    /// Whether it is reached from outside its network.
    pub publicly_accessible: bool,
    pub subnet_group: Option<String>,
    pub security_groups: Vec<String>,
    /// `gp3`, ….
    pub storage_type: String,
    /// Days for which automated backups are kept; 0 for none.
    pub backup_retention_days: u32,
    /// Whether it refuses to be deleted.
    pub deletion_protection: bool,
}

/// A database cluster.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseClusterView {
    /// Its identifier.
    pub id: String,
    pub arn: String,
    pub engine: DatabaseEngine,
    /// `creating`, `available`, ….
    pub status: String,
    pub tags: BTreeMap<String, String>,
    /// The identifiers of its instances.
    pub members: Vec<String>,
    /// Where it listens, while its server runs.
    pub port: Option<u16>,
    /// Whether a change of the master password is not made yet.
    pub password_pending: bool,
    pub subnet_group: Option<String>,
    pub security_groups: Vec<String>,
    /// `aurora`, ….
    pub storage_type: String,
    /// Days for which automated backups are kept.
    pub backup_retention_days: u32,
    /// Whether it refuses to be deleted.
    pub deletion_protection: bool,
}

/// A job.
#[derive(Debug, Clone, Serialize)]
pub struct JobView {
    pub id: String,
    pub name: String,
    /// The queue's name.
    pub queue: String,
    /// SUBMITTED … SUCCEEDED, FAILED.
    pub status: String,
    /// The reason, when there is one.
    pub status_reason: Option<String>,
    /// The command it ran.
    pub command: Vec<String>,
    /// The attempt that runs or ran last, from 1.
    pub attempt: u32,
    /// Exit codes of the attempts that ended.
    pub exit_codes: Vec<Option<i32>>,
    /// Its process, while it runs.
    pub process_id: Option<u32>,
    /// The log of all attempts.
    pub log: PathBuf,
    pub tags: BTreeMap<String, String>,
}

/// An object in the store.
#[derive(Debug, Clone, Serialize)]
pub struct StoredObject {
    pub bucket: String,
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// The files that hold its bytes, in order.
    pub files: Vec<PathBuf>,
}

/// An upload that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    pub bucket: String,
    pub key: String,
    pub id: String,
}

/// A message that was published to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The topic's name.
    pub topic: String,
    /// Its subject, when it has one.
    pub subject: Option<String>,
    /// Its text.
    pub body: String,
}

/// What could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The queue's name.
    pub queue: String,
    /// The rule that could not deliver, or the function that failed.
    pub source: String,
    /// The input that was meant for the target.
    pub body: String,
    /// What the last try met.
    pub reason: String,
}

/// What exists that an export should not leave behind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Leftovers {
    /// Volumes that are not deleted.
    pub volumes: Vec<String>,
    /// Volumes that are attached, as `volume@instance`.
    pub attachments: Vec<String>,
    /// Loop devices of files in the cloud's directory.
    pub loop_devices: Vec<String>,
    /// Mounts of the cloud's loop devices or below its directory.
    pub mounts: Vec<String>,
    /// Unfinished uploads, as `bucket/key`.
    pub uploads: Vec<String>,
    /// Jobs that have not ended, as `name (status)`.
    pub jobs: Vec<String>,
    /// Executions that run.
    pub executions: Vec<String>,
    /// Tables that were restored and are not gone.
    pub tables: Vec<String>,
    /// Exports of tables that have not ended, by ARN.
    pub table_exports: Vec<String>,
    /// Export tasks of RDS that have not ended.
    pub export_tasks: Vec<String>,
    /// Database instances.
    pub databases: Vec<String>,
    pub database_clusters: Vec<String>,
    /// Parameter groups of databases.
    pub parameter_groups: Vec<String>,
    /// Snapshots of databases that AWS Backup did not make, and automated backups of databases that are gone.
    pub database_backups: Vec<String>,
    /// Parameters of Systems Manager.
    pub parameters: Vec<String>,
}

impl Leftovers {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        let Self { volumes, attachments, loop_devices, mounts, uploads, jobs, executions, .. } = self;
        let Self { databases, database_clusters, parameter_groups, database_backups, parameters, .. } = self;
        let Self { tables, table_exports, export_tasks, .. } = self;
        let of_databases = [databases, database_clusters, parameter_groups, database_backups, parameters];
        let of_exports = [tables, table_exports, export_tasks];
        let others = [volumes, attachments, loop_devices, mounts, uploads, jobs, executions];
        of_databases.iter().chain(&of_exports).chain(&others).all(|list| list.is_empty())
    }
}
