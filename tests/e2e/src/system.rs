//! A local cloud with everything deployed to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use domain::key::{CLAIMS, DATA, MANIFEST};
use domain::manifest::Manifest;
use local_cloud::{ExecutionResult, LocalCloud, Message, Options};
use serde_json::{Value, json};

use crate::stack::{self, BUCKET, STATE_MACHINE, VAULT};

/// How long one export of a test disk may take before something is wrong.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_mins(3);

/// How often the reaper may be called before what is left counts as left for good.
const MOST_REAPS: u32 = 4;

/// What differs from the defaults: the cloud's options, and settings of the Lambdas by their variable's name.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub cloud: Options,
    /// `DELETE_RECOVERY_POINT=true` and the like.
    pub environment: BTreeMap<String, String>,
    /// Where jobs look for programs, instead of where this process does.
    pub job_path: Option<PathBuf>,
    /// Seconds after which an execution is timed out, instead of what the state machine says.
    pub root_timeout_seconds: Option<u64>,
}

impl Settings {
    /// Sets one variable of the Lambdas.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// The deployed system.
#[derive(Debug)]
pub struct System {
    /// The cloud it runs on.
    pub cloud: LocalCloud,
}

impl System {
    /// Starts a cloud and deploys the stack to it.
    pub async fn start(settings: Settings) -> Result<Self> {
        let mut stack = stack::stack(&settings.cloud, &settings.environment)?;
        if let Some(machine) = &mut stack.state_machine {
            machine.timeout_seconds = settings.root_timeout_seconds;
        }
        if let Some(path) = &settings.job_path {
            for definition in &mut stack.job_definitions {
                definition.environment.insert("PATH".to_owned(), path.display().to_string());
            }
        }
        let cloud = LocalCloud::start(settings.cloud).await.context("start the local cloud")?;
        cloud.deploy(&stack).await.context("deploy to the local cloud")?;
        Ok(Self { cloud })
    }

    /// Starts an export by hand.
    pub async fn start_export(&self, recovery_point: &str) -> Result<String> {
        let input = json!({ "recoveryPointArn": recovery_point, "backupVaultName": VAULT });
        Ok(self.cloud.start_execution(STATE_MACHINE, None, &input).await?)
    }

    /// Calls AWS by its own command line, which nobody here wrote.
    pub async fn aws(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(support::program::workspace().join(".venv/bin/aws"));
        command.args(arguments).args(["--output", "json"]).envs(self.cloud.environment());
        let output = tokio::task::spawn_blocking(move || command.output()).await?.context("run the AWS CLI")?;
        ensure!(output.status.success(), "aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        if output.stdout.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&output.stdout)?) }
    }

    /// Starts an export as a person would: with the AWS CLI, of which `tell` is given the command.
    pub async fn start_by_hand(&self, recovery_point: &str, tell: impl FnOnce(&str, &str)) -> Result<String> {
        let machine = self.cloud.names().state_machine(STATE_MACHINE);
        let input = format!(r#"{{"recoveryPointArn": "{recovery_point}", "backupVaultName": "{VAULT}"}}"#);
        tell(&machine, &input);
        let start = ["stepfunctions", "start-execution", "--state-machine-arn", &machine, "--input", &input];
        let started = self.aws(&start).await?;
        Ok(started["executionArn"].as_str().context("no execution was started")?.to_owned())
    }

    /// Starts an export by hand and waits for its end.
    pub async fn export(&self, recovery_point: &str) -> Result<ExecutionResult> {
        let execution = self.start_export(recovery_point).await?;
        self.finished(&execution).await
    }

    /// Waits for the end of an execution.
    pub async fn finished(&self, execution: &str) -> Result<ExecutionResult> {
        Ok(self.cloud.wait_for_execution(execution, EXPORT_TIMEOUT).await?)
    }

    /// Sends an event and waits for the end of the one execution that it starts.
    pub async fn send(&self, event: Value) -> Result<ExecutionResult> {
        let before = self.cloud.executions();
        let targets = self.cloud.put_event(event);
        ensure!(targets == 1, "the event went to {targets} targets, not to one");
        self.cloud.wait_for_deliveries(EXPORT_TIMEOUT).await?;
        let started: Vec<String> =
            self.cloud.executions().into_iter().filter(|execution| !before.contains(execution)).collect();
        ensure!(started.len() == 1, "the event started {} executions, not one", started.len());
        self.finished(&started[0]).await
    }

    /// Copies an object out of the bucket into a new file.
    pub fn save(&self, key: &str, to: &Path) -> Result<()> {
        let objects = self.cloud.objects(BUCKET, key)?;
        let object = objects.iter().find(|object| object.key == key).with_context(|| format!("no object {key}"))?;
        let mut copy = File::create_new(to).with_context(|| format!("create {}", to.display()))?;
        for part in &object.files {
            let mut part = File::open(part).with_context(|| format!("open {}", part.display()))?;
            std::io::copy(&mut part, &mut copy).with_context(|| format!("copy {key} to {}", to.display()))?;
        }
        Ok(())
    }

    /// Lets the reaper finish what it was told, then calls it as its schedule does. An hour's schedule and a worker's
    /// seconds to stop do not scale alike here, so it is called again while a claim or a resource is left, but not for
    /// ever.
    pub async fn reap(&self) -> Result<()> {
        self.cloud.wait_for_deliveries(EXPORT_TIMEOUT).await?;
        for _ in 0..MOST_REAPS {
            self.cloud.fire_schedule(stack::REAPER_SCHEDULE)?;
            self.cloud.wait_for_deliveries(EXPORT_TIMEOUT).await?;
            if self.cloud.leftovers()?.is_empty() && self.cloud.objects(BUCKET, CLAIMS)?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What people were told so far.
    pub async fn messages(&self) -> Result<Vec<Message>> {
        self.cloud.wait_for_deliveries(EXPORT_TIMEOUT).await?;
        Ok(self.cloud.messages())
    }

    /// Asserts that a failed export left nothing: no resource, no upload, no object under `data/` or `catalog/`, no
    /// claim; and that the recovery point is still there.
    pub async fn assert_nothing_left(self, recovery_point: &str) -> Result<()> {
        for prefix in [DATA, "catalog/", "latest/", CLAIMS] {
            let keys: Vec<_> = self.cloud.objects(BUCKET, prefix)?.into_iter().map(|object| object.key).collect();
            ensure!(keys.is_empty(), "objects left: {keys:?}");
        }
        ensure!(self.cloud.recovery_point(VAULT, recovery_point).is_some(), "the recovery point is gone");
        self.shutdown_clean().await
    }

    /// Asserts that a finished export left its objects and nothing else.
    pub async fn assert_only_the_export_left(self) -> Result<()> {
        let claims = self.cloud.objects(BUCKET, CLAIMS)?;
        ensure!(claims.is_empty(), "claims left: {claims:?}");
        self.shutdown_clean().await
    }

    /// The manifests in the bucket, by key.
    pub fn manifests(&self) -> Result<BTreeMap<String, Manifest>> {
        let mut manifests = BTreeMap::new();
        for object in self.cloud.objects(BUCKET, DATA)? {
            if let Some(prefix) = object.key.strip_suffix(MANIFEST) {
                let manifest = Manifest::parse(&self.cloud.object(BUCKET, &object.key)?, prefix)?;
                manifests.insert(object.key, manifest);
            }
        }
        Ok(manifests)
    }

    /// The one manifest of the one export.
    pub fn manifest(&self) -> Result<Manifest> {
        let manifests = self.manifests()?;
        ensure!(manifests.len() == 1, "{} manifests, not one", manifests.len());
        manifests.into_values().next().context("no manifest")
    }

    /// Takes the cloud down; fails if anything is left that an export created.
    pub async fn shutdown_clean(self) -> Result<()> {
        let leftovers = self.cloud.leftovers()?;
        ensure!(leftovers.is_empty(), "left behind: {leftovers:?}");
        Ok(self.cloud.shutdown().await?)
    }
}
