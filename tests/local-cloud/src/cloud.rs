//! The cloud as a whole: start it, deploy to it, use it, look at it, take it down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::execution::ExecutionResult;
use crate::fault::Faults;
use crate::gateway::{self, Shared};
use crate::lambda::Reply;
use crate::moto::{Moto, MotoClient};
use crate::observe::{JobView, Leftovers, StoredObject, Upload, VolumeView};
use crate::options::{Names, Options};
use crate::recovery_point::{EventShape, RecoveryPointOptions, VolumeImage};
use crate::request_log::RequestLog;
use crate::stack::Stack;
use crate::{backup, ec2, event, lambda, s3, states};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(25);

/// How long shutdown waits for loop devices to go.
const LOOP_LIMIT: Duration = Duration::from_secs(10);

/// A running cloud. Take it down with [`LocalCloud::shutdown`]; dropping it kills what runs and warns.
#[derive(Debug)]
pub struct LocalCloud {
    shared: Arc<Shared>,
    moto: Option<Moto>,
    server: JoinHandle<()>,
    temporary: Option<tempfile::TempDir>,
}

/// The environment that makes an AWS SDK use the cloud, as one caller.
pub(crate) fn credentials(shared: &Shared, principal: &str) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", shared.endpoint.as_str()),
        ("AWS_REGION", &shared.names.region),
        ("AWS_DEFAULT_REGION", &shared.names.region),
        ("AWS_ACCESS_KEY_ID", principal),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

/// The environment that tells the worker where attached volumes appear.
pub(crate) fn device_environment(shared: &Shared) -> BTreeMap<String, String> {
    let path = |path: &str| shared.directory.join(path).display().to_string();
    BTreeMap::from([
        ("BACKUP_EXPORT_DEV_BY_ID_DIR".to_owned(), path("dev/disk/by-id")),
        ("BACKUP_EXPORT_SYSFS_DIR".to_owned(), path("sys")),
    ])
}

impl LocalCloud {
    /// Starts a cloud and waits until all of it answers.
    pub async fn start(options: Options) -> Result<Self> {
        let (temporary, directory) = if let Some(directory) = &options.directory {
            (None, directory.clone())
        } else {
            let temporary = tempfile::Builder::new()
                .prefix("local-cloud-")
                .tempdir()
                .map_err(Error::file("create a directory in", std::env::temp_dir()))?;
            let path = temporary.path().to_owned();
            (Some(temporary), path)
        };
        for name in ["s3", "volumes", "snapshots", "logs", "dev/disk/by-id", "sys/class/block"] {
            let path = directory.join(name);
            std::fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        let directory = directory.canonicalize().map_err(Error::file("resolve", &directory))?;
        let address = format!("127.0.0.1:{}", options.port);
        let failed = |source| Error::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let moto = Moto::start(&options, &directory, &endpoint).await?;
        let names = options.names();
        let shared = Arc::new(Shared {
            s3: s3::Endpoint::new(directory.join("s3"), &names.region, &names.account_id),
            moto: moto.client(),
            gateway: MotoClient::new(&endpoint),
            options,
            names,
            directory,
            endpoint,
            faults: Faults::default(),
            requests: RequestLog::default(),
            lambda: lambda::Lambda::default(),
            batch: crate::batch::Batch::default(),
            ec2: ec2::Ec2::default(),
            backup: backup::Backup::default(),
            events: event::Events::default(),
            states: states::States::default(),
        });
        for zone in shared.options.availability_zones() {
            shared.ec2.add_host(ec2::start_host(&shared.names, &zone).await?);
        }
        let server = tokio::spawn(gateway::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, moto: Some(moto), server, temporary })
    }

    /// Creates what a stack names. Several stacks may be deployed; what exists already is replaced.
    pub async fn deploy(&self, stack: &Stack) -> Result<()> {
        let shared = &self.shared;
        for bucket in &stack.buckets {
            let owner = bucket.owner.as_ref().unwrap_or(&shared.names.account_id);
            let path = shared.directory.join("s3");
            shared.s3.store.create_bucket(&bucket.name, owner).map_err(Error::file("create a bucket in", path))?;
        }
        for vault in &stack.vaults {
            shared.backup.create_vault(vault);
        }
        for function in &stack.functions {
            shared.lambda.create(function.clone());
        }
        for definition in &stack.job_definitions {
            shared.batch.add_definition(definition.clone());
        }
        for queue in &stack.queues {
            shared.batch.add_queue(queue.clone());
        }
        if let Some(machine) = &stack.state_machine {
            states::deploy(shared, machine).await?;
        }
        for rule in &stack.rules {
            shared.events.add_rule(rule.clone());
        }
        for schedule in &stack.schedules {
            shared.events.add_schedule(schedule.clone());
        }
        Ok(())
    }

    /// Stops everything: executions, jobs, functions, loop devices, moto, the gateway; then removes the directory if
    /// it was a temporary one.
    pub async fn shutdown(mut self) -> Result<()> {
        if let Some(moto) = self.moto.take() {
            moto.stop().await;
        }
        self.kill();
        let started = Instant::now();
        let mut left = ec2::loops_below(&self.shared.directory);
        while !left.is_empty() && started.elapsed() < LOOP_LIMIT {
            self.shared.ec2.unplug_all(&self.shared.directory);
            tokio::time::sleep(POLL).await;
            left = ec2::loops_below(&self.shared.directory);
        }
        if let Some(temporary) = self.temporary.take() {
            let path = temporary.path().to_owned();
            temporary.close().map_err(Error::file("remove", path))?;
        }
        match left.first() {
            None => Ok(()),
            Some(device) => Err(Error::Timeout {
                condition: "loop devices to go".to_owned(),
                seconds: LOOP_LIMIT.as_secs(),
                last: format!("{} is still in use", device.display()),
            }),
        }
    }

    fn kill(&self) {
        self.server.abort();
        self.shared.batch.kill_all();
        self.shared.lambda.kill_all();
        self.shared.ec2.unplug_all(&self.shared.directory);
    }

    /// `http://127.0.0.1:PORT`: the endpoint of every service.
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// ARNs of the account and region.
    pub fn names(&self) -> &Names {
        &self.shared.names
    }

    /// The directory in which everything is kept: `s3/`, `volumes/`, `snapshots/`, `logs/`, `dev/`, `sys/`.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// What a program needs in its environment to use this cloud: endpoint, region, credentials, metadata endpoint of
    /// the first zone's host, and where volumes appear.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = credentials(&self.shared, "local");
        environment.extend(device_environment(&self.shared));
        let zone = self.shared.options.availability_zones().first().cloned().unwrap_or_default();
        if let Some((_, endpoint)) = self.shared.ec2.host_of(&zone) {
            environment.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), endpoint);
        }
        environment
    }

    /// The log of a function: `logs/lambda-NAME.log`.
    pub fn function_log(&self, function: &str) -> PathBuf {
        self.shared.directory.join(format!("logs/lambda-{function}.log"))
    }

    /// The fault rules in force.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The requests that passed.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.requests
    }

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

    /// All volumes that are not deleted.
    pub fn volumes(&self) -> Vec<VolumeView> {
        self.shared.ec2.views()
    }

    /// Makes reads of a volume fail with EIO from this byte on: at once if it is attached, else when it will be.
    pub fn break_volume(&self, volume_id: &str, from_byte: u64) -> Result<()> {
        let found = self.shared.ec2.break_volume(volume_id, from_byte);
        found.then_some(()).ok_or_else(|| Error::Missing { kind: "volume", name: volume_id.to_owned() })
    }

    /// Makes reads of every volume that will be made of this snapshot fail with EIO from this byte on.
    pub fn break_snapshot(&self, snapshot_id: &str, from_byte: u64) -> Result<()> {
        let found = self.shared.ec2.break_snapshot(snapshot_id, from_byte);
        found.then_some(()).ok_or_else(|| Error::Missing { kind: "snapshot", name: snapshot_id.to_owned() })
    }

    /// The objects of a bucket whose keys start with a prefix, by key.
    pub fn objects(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>> {
        self.shared.s3.store.list(bucket, prefix)
    }

    /// The bytes of a (small) object.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        self.shared.s3.store.bytes(bucket, key)
    }

    /// Flips a bit of a stored object's byte and tells nobody: the recorded checksums stay.
    pub fn flip_byte(&self, bucket: &str, key: &str, offset: u64) -> Result<()> {
        self.shared.s3.store.flip_byte(bucket, key, offset)
    }

    /// Cuts a stored (small) object short; its recorded checksums stay.
    pub fn truncate_object(&self, bucket: &str, key: &str, size: u64) -> Result<()> {
        self.shared.s3.store.truncate(bucket, key, size)
    }

    /// Removes an object.
    pub fn remove_object(&self, bucket: &str, key: &str) -> Result<()> {
        self.shared.s3.store.remove(bucket, key)
    }

    /// Unfinished uploads of all buckets.
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared.s3.store.uploads()
    }

    /// What exists that an export should not leave behind.
    pub fn leftovers(&self) -> Result<Leftovers> {
        let volumes = self.volumes();
        let loops = ec2::loops_below(&self.shared.directory);
        let mountinfo = Path::new("/proc/self/mountinfo");
        let mounts = std::fs::read_to_string(mountinfo).map_err(Error::file("read", mountinfo))?;
        let ours = |line: &&str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let below = fields.get(4).is_some_and(|path| Path::new(path).starts_with(&self.shared.directory));
            let of_loop = loops.iter().any(|device| {
                let device = device.display().to_string();
                fields.iter().any(|field| {
                    *field == device || field.strip_prefix(&device).is_some_and(|rest| rest.starts_with('p'))
                })
            });
            below || of_loop
        };
        let unfinished = |job: &JobView| !["SUCCEEDED", "FAILED"].contains(&job.status.as_str());
        Ok(Leftovers {
            attachments: volumes
                .iter()
                .filter_map(|volume| Some(format!("{}@{}", volume.id, volume.attachment.as_ref()?.0)))
                .collect(),
            volumes: volumes.into_iter().map(|volume| volume.id).collect(),
            mounts: mounts.lines().filter(ours).map(str::to_owned).collect(),
            loop_devices: loops.into_iter().map(|device| device.display().to_string()).collect(),
            uploads: self.uploads().into_iter().map(|upload| format!("{}/{}", upload.bucket, upload.key)).collect(),
            jobs: self
                .jobs()
                .into_iter()
                .filter(unfinished)
                .map(|job| format!("{} ({})", job.name, job.status))
                .collect(),
            executions: self.shared.states.running(),
        })
    }
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        if let Some(moto) = &self.moto {
            tracing::warn!("the local cloud was dropped without a shutdown");
            moto.kill();
            self.kill();
        }
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
