//! The cloud as a whole: start it, deploy to it, use it, look at it, take it down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::execution::ExecutionResult;
use crate::fault::Faults;
use crate::gateway::{self, Shared};
use crate::moto::Moto;
use crate::observe::{JobView, Leftovers, StoredObject, Upload, VolumeView};
use crate::options::{Names, Options};
use crate::recovery_point::{EventShape, RecoveryPointOptions, VolumeImage};
use crate::request_log::RequestLog;
use crate::stack::{Stack, Target};
use crate::{backup, batch, ec2, event, lambda, s3, states};

/// A running cloud. Take it down with [`LocalCloud::shutdown`]; dropping it kills what runs and warns.
#[derive(Debug)]
pub struct LocalCloud {
    shared: Arc<Shared>,
    moto: Option<Moto>,
    server: JoinHandle<()>,
    temporary: Option<tempfile::TempDir>,
}

impl LocalCloud {
    /// Starts a cloud and waits until all of it answers.
    pub async fn start(options: Options) -> Result<Self>;

    /// Creates what a stack names. Several stacks may be deployed; what exists already is replaced.
    pub async fn deploy(&self, stack: &Stack) -> Result<()>;

    /// Stops everything: executions, jobs, functions, loop devices, moto, the gateway; then removes the directory if
    /// it was a temporary one.
    pub async fn shutdown(self) -> Result<()>;

    // ---- where it is

    /// `http://127.0.0.1:PORT`: the endpoint of every service.
    pub fn endpoint(&self) -> &str;

    /// Names (ARNs) of the account and region.
    pub fn names(&self) -> &Names;

    /// The directory in which everything is kept: `s3/`, `volumes/`, `snapshots/`, `logs/`, `dev/`, `sys/`.
    pub fn directory(&self) -> &Path;

    /// What a program needs in its environment to use this cloud (`AWS_ENDPOINT_URL`, region, credentials, metadata
    /// endpoint, `BACKUP_EXPORT_DEV_BY_ID_DIR`, `BACKUP_EXPORT_SYSFS_DIR`).
    pub fn environment(&self) -> BTreeMap<String, String>;

    /// The log of a function: `logs/lambda-NAME.log`.
    pub fn function_log(&self, function: &str) -> PathBuf;

    // ---- faults and requests

    /// The fault rules in force.
    pub fn faults(&self) -> &Faults;

    /// The requests that passed.
    pub fn requests(&self) -> &RequestLog;

    // ---- recovery points

    /// Puts an EBS recovery point of a disk image into a vault; returns its ARN (`arn:P:ec2:R::snapshot/snap-…`).
    /// The image is copied (sparse, by reflink where possible).
    pub fn add_ebs_recovery_point(&self, vault: &str, image: &Path, options: RecoveryPointOptions) -> Result<String>;

    /// Puts an EC2 recovery point (an AMI of several volumes) into a vault; returns its ARN (`arn:P:ec2:R::image/ami-…`).
    pub fn add_ec2_recovery_point(&self, vault: &str, volumes: &[VolumeImage], options: RecoveryPointOptions) -> Result<String>;

    /// Puts a recovery point of any other kind into a vault under an ARN of the caller's; nothing stands behind it.
    /// `options.resource_type` and `options.resource_arn` should be given.
    pub fn add_recovery_point(&self, vault: &str, arn: &str, options: RecoveryPointOptions) -> Result<()>;

    /// A recovery point as `DescribeRecoveryPoint` gives it, if it is there.
    pub fn recovery_point(&self, vault: &str, arn: &str) -> Option<Value>;

    /// The event that AWS Backup sends about a recovery point.
    pub fn backup_event(&self, vault: &str, arn: &str, shape: EventShape) -> Result<Value>;

    // ---- events

    /// Delivers an event to the targets of the rules it matches; returns how many targets took it.
    /// The ARNs of the executions that it started are in [`LocalCloud::executions`].
    pub async fn put_event(&self, event: Value) -> Result<usize>;

    /// Fires a schedule once.
    pub async fn fire_schedule(&self, schedule: &str) -> Result<()>;

    // ---- executions

    /// Starts an execution of the deployed state machine; returns its ARN. `name` is made up when absent.
    pub async fn start_execution(&self, state_machine: &str, name: Option<&str>, input: &Value) -> Result<String>;

    /// Waits until an execution has ended, and its status event has been delivered.
    pub async fn wait_for_execution(&self, arn: &str, timeout: Duration) -> Result<ExecutionResult>;

    /// The execution as it stands.
    pub async fn execution(&self, arn: &str) -> Result<ExecutionResult>;

    /// Stops an execution.
    pub async fn stop_execution(&self, arn: &str, error: &str, cause: &str) -> Result<()>;

    /// The ARNs of all executions that were started, oldest first.
    pub fn executions(&self) -> Vec<String>;

    /// Waits until an execution enters a state (or has entered it already).
    pub async fn wait_for_state(&self, arn: &str, state: &str, timeout: Duration) -> Result<()>;

    // ---- functions

    /// Invokes a function and waits for its answer: `Ok(Ok(payload))`, or `Ok(Err(error payload))`.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<std::result::Result<Value, Value>>;

    /// Waits until no asynchronous invocation and no delivery of an event is under way or waits for its retry.
    pub async fn wait_for_deliveries(&self, timeout: Duration) -> Result<()>;

    /// Kills the process of a function (SIGKILL), as if its sandbox had died.
    pub fn kill_function(&self, function: &str) -> bool;

    // ---- jobs

    /// All jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobView>;

    /// Waits until a job whose name starts with `name_prefix` satisfies a condition.
    pub async fn wait_for_job(&self, name_prefix: &str, timeout: Duration, condition: impl Fn(&JobView) -> bool) -> Result<JobView>;

    /// Sends a signal to the process of a running job (9: SIGKILL). The container then exits with 128 + the signal.
    pub fn signal_job(&self, job_id: &str, signal: i32) -> Result<()>;

    /// Takes a running job's Spot host away: SIGTERM, SIGKILL after the grace, status reason
    /// `Host EC2 (instance i-…) terminated.`. The host's volumes stay attached to it, and a new host takes its place.
    pub fn reclaim_spot(&self, job_id: &str) -> Result<()>;

    // ---- volumes

    /// All volumes that are not deleted.
    pub fn volumes(&self) -> Vec<VolumeView>;

    /// Makes reads of a volume fail with EIO from this byte on: of one that is attached at once, of one that is not when it is attached.
    pub fn break_volume(&self, volume_id: &str, from_byte: u64) -> Result<()>;

    /// Makes reads of every volume that is made of this snapshot fail with EIO from this byte on.
    pub fn break_snapshot(&self, snapshot_id: &str, from_byte: u64) -> Result<()>;

    // ---- objects

    /// The objects of a bucket whose keys start with a prefix, by key.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>>;

    /// The bytes of a (small) object.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>>;

    /// Flips one byte of a stored object, and tells nobody: its recorded checksum stays.
    pub fn flip_byte(&self, bucket: &str, key: &str, offset: u64) -> Result<()>;

    /// Cuts a stored object short, and tells nobody but its size.
    pub fn truncate_object(&self, bucket: &str, key: &str, size: u64) -> Result<()>;

    /// Removes an object.
    pub fn remove_object(&self, bucket: &str, key: &str) -> Result<()>;

    /// Unfinished uploads of all buckets.
    pub fn uploads(&self) -> Vec<Upload>;

    // ---- and nothing left

    /// What exists that an export should not leave behind.
    pub async fn leftovers(&self) -> Result<Leftovers>;
}
