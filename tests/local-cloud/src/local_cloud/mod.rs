//! The cloud as a whole: start it, deploy to it, take it down.

mod act;
mod look;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::fault::Faults;
use crate::gateway::{self, Shared};
use crate::moto::{Moto, MotoClient};
use crate::options::{Names, Options};
use crate::request_log::RequestLog;
use crate::stack::Stack;
use crate::{backup, ec2, event, lambda, rds, s3, states};

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
    /// Whether nothing runs any more.
    down: bool,
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

/// The environment that tells the worker where attached volumes appear, and which certificate databases show.
pub(crate) fn device_environment(shared: &Shared) -> BTreeMap<String, String> {
    let path = |path: &str| shared.directory.join(path).display().to_string();
    BTreeMap::from([
        ("BACKUP_EXPORT_DEV_BY_ID_DIR".to_owned(), path("dev/disk/by-id")),
        ("BACKUP_EXPORT_SYSFS_DIR".to_owned(), path("sys")),
        ("BACKUP_EXPORT_RDS_CA_BUNDLE".to_owned(), rds::certificate(&shared.directory).display().to_string()),
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
        for name in ["s3", "volumes", "snapshots", "databases", "logs", "dev/disk/by-id", "sys/class/block"] {
            let path = directory.join(name);
            std::fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        let directory = directory.canonicalize().map_err(Error::file("resolve", &directory))?;
        let address = format!("127.0.0.1:{}", options.port);
        let failed = |source| Error::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let moto = if options.moto { Some(Moto::start(&options, &directory, &endpoint).await?) } else { None };
        let names = options.names();
        let shared = Arc::new(Shared {
            s3: s3::Endpoint::new(directory.join("s3"), &names.region, &names.account_id, options.strict_uploads),
            // Without moto nobody asks it.
            moto: moto.as_ref().map_or_else(|| MotoClient::new(&endpoint), Moto::client),
            stand_in: crate::stand_in::StandIn::default(),
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
            dynamodb: crate::dynamodb::Dynamodb::default(),
            snapshot_exports: crate::snapshot_export::SnapshotExports::default(),
            rds: rds::Rds::default(),
            events: event::Events::default(),
            states: states::States::default(),
            topics: crate::topic::Topics::default(),
            dead_letters: crate::dead_letter::DeadLetters::default(),
        });
        for zone in shared.options.availability_zones() {
            shared.ec2.add_host(ec2::start_host(&shared.names, &zone).await?);
        }
        let server = tokio::spawn(gateway::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, moto, server, temporary, down: false })
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
        for topic in &stack.topics {
            shared.topics.add(topic);
        }
        for rule in &stack.rules {
            shared.events.add_rule(rule.clone())?;
        }
        for schedule in &stack.schedules {
            shared.events.add_schedule(schedule.clone());
        }
        Ok(())
    }

    /// Stops everything: executions, jobs, functions, databases, loop devices, moto, the gateway; then removes the directory if
    /// it was a temporary one.
    pub async fn shutdown(mut self) -> Result<()> {
        if let Some(moto) = self.moto.take() {
            moto.stop().await;
        }
        self.shared.rds.stop_all(&self.shared.directory).await?;
        self.kill();
        self.down = true;
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

    /// Ends a cloud in which no database, job, function or moto runs: nothing of it need be waited for.
    pub(crate) fn end(mut self) {
        self.kill();
        self.down = true;
    }

    fn kill(&self) {
        self.server.abort();
        self.shared.batch.kill_all();
        self.shared.lambda.kill_all();
        self.shared.rds.kill_all(&self.shared.directory);
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

    /// The directory in which everything is kept: `s3/`, `volumes/`, `snapshots/`, `databases/`, `logs/`, `dev/`, `sys/`.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// What a program needs in its environment to use this cloud: endpoint, region, credentials, metadata endpoint of
    /// the first zone's host, where volumes appear, and the certificate of databases.
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
}

impl Drop for LocalCloud {
    fn drop(&mut self) {
        if self.down {
            return;
        }
        tracing::warn!("the local cloud was dropped without a shutdown");
        if let Some(moto) = &self.moto {
            moto.kill();
        }
        self.kill();
    }
}
