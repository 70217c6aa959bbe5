//! What tests do to a running cloud: recovery points, events, executions, functions, jobs.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{LocalCloud, POLL};
use crate::dynamodb::Form;
use crate::ec2::VolumeSpec;
use crate::error::{Error, Result};
use crate::execution::ExecutionResult;
use crate::lambda::Reply;
use crate::observe::JobView;
use crate::rds::{DatabaseAccess, DatabaseSource, ScratchDatabase};
use crate::recovery_point::{EventShape, ExportTaskFate, RecoveryPointOptions, TableExportFate, VolumeImage};
use crate::stand_in::StandIn;
use crate::{backup, dynamodb, event, lambda, states};

impl LocalCloud {
    /// Puts an EBS recovery point of a disk image into a vault; returns its ARN (`arn:P:ec2:R::snapshot/snap-…`).
    /// The image is copied: sparse, and by reflink where possible.
    pub fn add_ebs_recovery_point(&self, vault: &str, image: &Path, options: RecoveryPointOptions) -> Result<String> {
        backup::add_ebs(&self.shared, vault, image, options)
    }

    /// Puts an EC2 recovery point (an AMI of several volumes) into a vault; returns its ARN (`arn:P:ec2:R::image/ami-…`).
    pub fn add_ec2_recovery_point(
        &self,
        vault: &str,
        volumes: &[VolumeImage],
        options: RecoveryPointOptions,
    ) -> Result<String> {
        backup::add_ec2(&self.shared, vault, volumes, options)
    }

    /// Backs a DynamoDB table up as it is now, and puts the backup into a vault; returns its ARN, of DynamoDB's own form
    /// (`arn:P:dynamodb:R:A:table/T/backup/…`): `RestoreTableFromBackup` makes a table of it.
    pub async fn add_dynamodb_recovery_point(
        &self,
        vault: &str,
        table: &str,
        options: RecoveryPointOptions,
    ) -> Result<String> {
        dynamodb::add_recovery_point(&self.shared, vault, table, Form::Dynamodb, options).await
    }

    /// Backs a DynamoDB table up as AWS Backup's advanced features do; returns its ARN, of the vault's form
    /// (`arn:P:backup:R:A:recovery-point:…`): only `StartRestoreJob` makes a table of it.
    pub async fn add_vaulted_dynamodb_recovery_point(
        &self,
        vault: &str,
        table: &str,
        options: RecoveryPointOptions,
    ) -> Result<String> {
        dynamodb::add_recovery_point(&self.shared, vault, table, Form::Vault, options).await
    }

    /// Adds a volume whose content is a file of the caller's, or replaces the one of this id.
    pub fn add_volume(&self, spec: VolumeSpec) {
        self.shared.ec2.add_volume(spec);
    }

    /// Makes a volume vanish, attached or not; its file stays. `false` when it is not there.
    pub fn remove_volume(&self, volume_id: &str) -> bool {
        self.shared.ec2.remove_volume(volume_id)
    }

    /// Makes device names (`/dev/sdf`) be in use on every instance.
    pub fn occupy_device_names(&self, names: impl IntoIterator<Item = String>) {
        self.shared.ec2.occupy_device_names(names);
    }

    /// What is in the place of moto, when that does not run.
    pub(crate) fn stand_in(&self) -> &StandIn {
        &self.shared.stand_in
    }

    /// The running host of a zone: its id and its metadata endpoint.
    pub(crate) fn host_of(&self, zone: &str) -> Option<(String, String)> {
        self.shared.ec2.host_of(zone)
    }

    /// Decides about the next export of a table that is started. Exports without a decision are COMPLETED.
    pub fn decide_table_export(&self, fate: TableExportFate) {
        self.shared.dynamodb.push_fate(fate);
    }

    /// Decides about the next export task of RDS that is started. Tasks without a decision are COMPLETE.
    pub fn decide_export_task(&self, fate: ExportTaskFate) {
        self.shared.snapshot_exports.push_fate(fate);
    }

    /// Lets a table that stays CREATING become ACTIVE; `false` when there is no such table.
    pub fn release_table(&self, table: &str) -> bool {
        self.shared.dynamodb.release(table)
    }

    /// Puts an RDS or Aurora recovery point of what a stopped database server left into a vault; returns its ARN
    /// (`arn:P:rds:R:A:snapshot:awsbackup:job-…` or `…:cluster-snapshot:…`). The data is copied.
    pub fn add_database(&self, vault: &str, source: &DatabaseSource, options: RecoveryPointOptions) -> Result<String> {
        backup::add_database(&self.shared, vault, source, options)
    }

    /// Starts a server on a copy of a database's snapshot, to look into the backup.
    pub async fn open_database_snapshot(&self, arn: &str) -> Result<ScratchDatabase> {
        let snapshot = self.shared.rds.snapshot(arn);
        let snapshot = snapshot.ok_or_else(|| Error::Missing { kind: "snapshot", name: arn.to_owned() })?;
        snapshot.scratch(&self.shared).await
    }

    /// The superuser's way into a restored instance or cluster whose server runs.
    pub fn database_superuser(&self, id: &str) -> Result<DatabaseAccess> {
        let found = self.shared.rds.superuser(id);
        found.ok_or_else(|| Error::Missing { kind: "running database", name: id.to_owned() })
    }

    /// The way of a user into a restored instance or cluster whose server runs: TCP with TLS and a password.
    pub fn database_user(&self, id: &str, user: &str, password: &str) -> Result<DatabaseAccess> {
        let found = self.shared.rds.user(id, user, password);
        found.ok_or_else(|| Error::Missing { kind: "running database", name: id.to_owned() })
    }

    /// Ends the server of an instance or a cluster as a crash would; its state stays what it is, and it stays down.
    pub async fn crash_database(&self, id: &str) -> Result<()> {
        let found = self.shared.rds.crash(id).await?;
        found.then_some(()).ok_or_else(|| Error::Missing { kind: "running database", name: id.to_owned() })
    }

    /// Takes the capacity for database instances of a zone away, or gives it back.
    pub fn set_database_capacity(&self, zone: &str, available: bool) {
        self.shared.rds.set_capacity(zone, available);
    }

    /// Puts a recovery point of any other kind into a vault, under an ARN of the caller's; nothing stands behind it.
    /// `options.resource_type` and `options.resource_arn` should be given.
    pub fn add_recovery_point(&self, vault: &str, arn: &str, options: RecoveryPointOptions) -> Result<()> {
        backup::add_other(&self.shared, vault, arn, options)
    }

    /// A recovery point as `DescribeRecoveryPoint` gives it, if it is there.
    pub fn recovery_point(&self, vault: &str, arn: &str) -> Option<Value> {
        self.shared.backup.describe(&self.shared, vault, arn)
    }

    /// The event that AWS Backup sends about a recovery point.
    pub fn backup_event(&self, vault: &str, arn: &str, shape: EventShape) -> Result<Value> {
        backup::event_of(&self.shared, vault, arn, shape)
    }

    /// Sends an event to the targets of the rules that it matches; returns how many there are. They get it in the
    /// background ([`LocalCloud::wait_for_deliveries`]); the executions that start are in [`LocalCloud::executions`].
    pub fn put_event(&self, event: Value) -> usize {
        event::deliver(&self.shared, event)
    }

    /// Fires a schedule once.
    pub fn fire_schedule(&self, schedule: &str) -> Result<()> {
        event::fire(&self.shared, schedule)
    }

    /// Waits until no event is under way to its target, and no asynchronous invocation runs or waits for its retry.
    pub async fn wait_for_deliveries(&self, timeout: Duration) -> Result<()> {
        let pending = || self.shared.events.pending() + self.shared.lambda.pending();
        wait("deliveries to end", timeout, || format!("{} are under way", pending()), || (pending() == 0).then_some(()))
            .await
    }

    /// Starts an execution of a state machine; returns its ARN. The name is made up when absent.
    pub async fn start_execution(&self, state_machine: &str, name: Option<&str>, input: &Value) -> Result<String> {
        let mut request =
            json!({"stateMachineArn": self.shared.names.state_machine(state_machine), "input": input.to_string()});
        if let Some(name) = name {
            request["name"] = json!(name);
        }
        let answer = states::call(&self.shared, &self.shared.gateway, "local", "StartExecution", &request).await?;
        Ok(answer["executionArn"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until an execution has ended and its status event was handed to the rules.
    pub async fn wait_for_execution(&self, arn: &str, timeout: Duration) -> Result<ExecutionResult> {
        let ended = wait(&format!("the end of {arn}"), timeout, String::new, || {
            self.shared.states.is_announced(arn).then_some(())
        })
        .await;
        match ended {
            Ok(()) => self.execution(arn).await,
            Err(Error::Timeout { condition, seconds, .. }) => {
                let last = self
                    .execution(arn)
                    .await
                    .map(|execution| format!("{}, states {:?}", execution.status, execution.state_names()));
                Err(Error::Timeout { condition, seconds, last: last.unwrap_or_else(|error| error.to_string()) })
            }
            Err(error) => Err(error),
        }
    }

    /// An execution as it stands.
    pub async fn execution(&self, arn: &str) -> Result<ExecutionResult> {
        states::result(&self.shared, arn).await
    }

    /// Stops an execution.
    pub async fn stop_execution(&self, arn: &str, error: &str, cause: &str) -> Result<()> {
        let request = json!({"executionArn": arn, "error": error, "cause": cause});
        states::call(&self.shared, &self.shared.gateway, "local", "StopExecution", &request).await.map(drop)
    }

    /// The ARNs of all executions that were started, oldest first.
    pub fn executions(&self) -> Vec<String> {
        self.shared.states.started()
    }

    /// Waits until an execution has entered a state.
    pub async fn wait_for_state(&self, arn: &str, state: &str, timeout: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let execution = self.execution(arn).await?;
            if execution.state_names().contains(&state) {
                return Ok(());
            }
            if started.elapsed() > timeout {
                return Err(Error::Timeout {
                    condition: format!("state {state} of {arn}"),
                    seconds: timeout.as_secs(),
                    last: format!("{}, states {:?}", execution.status, execution.state_names()),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Invokes a function and waits for its answer: its payload, or its error object.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<std::result::Result<Value, Value>> {
        let failed = |message: String| Error::Call { operation: format!("Invoke of {function}"), message };
        let reply = lambda::invoke(&self.shared, function, Bytes::from(payload.to_string())).await;
        match reply.map_err(|error| failed(format!("{}: {}", error.code, error.message)))? {
            Reply::Payload(bytes) => Ok(Ok(serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?)),
            Reply::Error(error) => Ok(Err(error)),
        }
    }

    /// Kills the process of a function (SIGKILL), as if its sandbox had died; `false` when none runs.
    pub fn kill_function(&self, function: &str) -> bool {
        self.shared.lambda.kill(function)
    }

    /// All jobs, oldest first.
    pub fn jobs(&self) -> Vec<JobView> {
        self.shared.batch.views()
    }

    /// Waits until a job whose name starts with a prefix satisfies a condition.
    pub async fn wait_for_job(
        &self,
        name_prefix: &str,
        timeout: Duration,
        condition: impl Fn(&JobView) -> bool,
    ) -> Result<JobView> {
        let last = || {
            let jobs = self.jobs();
            jobs.iter().map(|job| format!("{} {}", job.name, job.status)).collect::<Vec<_>>().join(", ")
        };
        wait(&format!("job {name_prefix}*"), timeout, last, || {
            self.jobs().into_iter().find(|job| job.name.starts_with(name_prefix) && condition(job))
        })
        .await
    }

    /// Sends a signal to the processes of a running job (9: SIGKILL, as the kernel does when memory runs out).
    pub fn signal_job(&self, job_id: &str, signal: i32) -> Result<()> {
        self.shared.batch.signal(job_id, signal)
    }

    /// Takes the Spot host of a running job away: SIGTERM, SIGKILL after the grace, and the status reason
    /// `Host EC2 (instance i-…) terminated.`. Its volumes stay attached to it, and a new host takes its place.
    pub fn reclaim_spot(&self, job_id: &str) -> Result<()> {
        self.shared.batch.reclaim(&self.shared, job_id)
    }
}

/// Waits until a condition gives something.
async fn wait<T>(
    condition: &str,
    timeout: Duration,
    last: impl Fn() -> String,
    mut check: impl FnMut() -> Option<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if started.elapsed() > timeout {
            return Err(Error::Timeout { condition: condition.to_owned(), seconds: timeout.as_secs(), last: last() });
        }
        tokio::time::sleep(POLL).await;
    }
}
