//! A job and how the API shows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::retry::RetryStrategy;
use crate::context::Context;
use crate::observe::JobView;
use crate::stack::{JobDefinitionSpec, QueueSpec};
use crate::wire::ApiError;

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Submitted,
    Runnable,
    Starting,
    Running,
    Succeeded,
    Failed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Milliseconds since 1970, as Batch writes times.
pub(super) fn now() -> u64 {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// What Batch says of a request that is wrong.
pub(super) fn client_error(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ClientException", message)
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) exit_code: Option<i32>,
    pub(super) reason: Option<String>,
    pub(super) status_reason: String,
    pub(super) started: u64,
    pub(super) stopped: u64,
    pub(super) log_stream: String,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    arn: String,
    pub(super) order: u64,
    pub(super) name: String,
    pub(super) queue: QueueSpec,
    queue_arn: String,
    pub(super) definition: JobDefinitionSpec,
    definition_arn: String,
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    pub(super) retry: RetryStrategy,
    retry_json: Value,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) created: u64,
    pub(super) started: Option<u64>,
    pub(super) stopped: Option<u64>,
    pub(super) status: Status,
    pub(super) status_reason: Option<String>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) attempt: u32,
    pub(super) log: PathBuf,
    pub(super) process_id: Option<u32>,
    pub(super) host: Option<String>,
    /// Why it is to end, when somebody terminated it.
    pub(super) stop_reason: Option<String>,
    /// Whether its host is being taken away.
    pub(super) reclaimed: bool,
    /// Wakes the task that runs it.
    pub(super) stop: Arc<Notify>,
}

impl Job {
    pub(super) fn new(
        context: &Context,
        id: &str,
        order: u64,
        body: &Value,
        queue: QueueSpec,
        definition: JobDefinitionSpec,
    ) -> Result<Self, ApiError> {
        let name = body.get("jobName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let overrides = body.get("containerOverrides").cloned().unwrap_or_default();
        let mut environment = definition.environment.clone();
        for pair in overrides.get("environment").and_then(Value::as_array).into_iter().flatten() {
            if let (Some(name), Some(value)) = (pair["name"].as_str(), pair["value"].as_str()) {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
        let command = match overrides.get("command").and_then(Value::as_array) {
            Some(words) if !words.is_empty() => {
                let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
                words.ok_or_else(|| client_error("containerOverrides.command must be a list of strings"))?
            }
            _ => definition.command.clone(),
        };
        let retry_json = body
            .get("retryStrategy")
            .cloned()
            .or_else(|| definition.retry_strategy.clone())
            .unwrap_or_else(|| json!({"attempts": 1}));
        let retry = serde_json::from_value(retry_json.clone())
            .map_err(|error| client_error(format!("retryStrategy: {error}")))?;
        let timeout =
            body.get("timeout").and_then(|timeout| timeout.get("attemptDurationSeconds")).and_then(Value::as_u64);
        let tags: BTreeMap<String, String> =
            body.get("tags").cloned().and_then(|tags| serde_json::from_value(tags).ok()).unwrap_or_default();
        let safe: String = name.chars().take(60).collect();
        Ok(Self {
            arn: context.names.arn("batch", &format!("job/{id}")),
            log: context.directory.join(format!("logs/batch-{safe}-{}.log", &id[..8])),
            queue_arn: context.names.job_queue(&queue.name),
            definition_arn: context.names.job_definition(&definition.name),
            timeout_seconds: timeout.or(definition.timeout_seconds),
            id: id.to_owned(),
            order,
            name,
            queue,
            definition,
            command,
            environment,
            tags,
            retry,
            retry_json,
            created: now(),
            started: None,
            stopped: None,
            status: Status::Submitted,
            status_reason: None,
            attempts: Vec::new(),
            attempt: 0,
            process_id: None,
            host: None,
            stop_reason: None,
            reclaimed: false,
            stop: Arc::new(Notify::new()),
        })
    }

    fn log_stream(&self, attempt: u32) -> String {
        format!("{}/default/{}-{attempt}", self.definition.name, self.id)
    }

    pub(super) fn current_log_stream(&self) -> String {
        self.log_stream(self.attempt)
    }

    fn container(&self) -> Value {
        let environment: Vec<Value> =
            self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut container = json!({"command": self.command, "environment": environment, "image": "local", "mountPoints": [],
            "networkInterfaces": [], "resourceRequirements": [], "secrets": [], "ulimits": [], "volumes": []});
        if let Some(last) = self.attempts.last().filter(|_| self.status.is_final()) {
            set(&mut container, "exitCode", last.exit_code);
            set(&mut container, "reason", last.reason.as_ref());
        }
        if self.attempt > 0 {
            set(&mut container, "logStreamName", Some(self.current_log_stream()));
        }
        container
    }

    /// The job as `DescribeJobs` shows it.
    pub(super) fn describe(&self) -> Value {
        let attempts: Vec<Value> = self
            .attempts
            .iter()
            .map(|attempt| {
                let mut container = json!({"logStreamName": attempt.log_stream, "networkInterfaces": []});
                set(&mut container, "exitCode", attempt.exit_code);
                set(&mut container, "reason", attempt.reason.as_ref());
                json!({"container": container, "startedAt": attempt.started, "stoppedAt": attempt.stopped, "statusReason": attempt.status_reason})
            })
            .collect();
        let mut job = json!({"jobId": self.id, "jobArn": self.arn, "jobName": self.name, "jobQueue": self.queue_arn,
            "jobDefinition": self.definition_arn, "status": self.status.name(), "createdAt": self.created, "attempts": attempts,
            "container": self.container(), "dependsOn": [], "parameters": {}, "platformCapabilities": ["EC2"],
            "retryStrategy": self.retry_json, "tags": self.tags});
        set(&mut job, "statusReason", self.status_reason.as_ref());
        set(&mut job, "startedAt", self.started);
        set(&mut job, "stoppedAt", self.stopped);
        set(&mut job, "timeout", self.timeout_seconds.map(|seconds| json!({"attemptDurationSeconds": seconds})));
        job
    }

    /// The job as `ListJobs` shows it.
    pub(super) fn summary(&self) -> Value {
        let mut job = json!({"jobId": self.id, "jobArn": self.arn, "jobName": self.name, "jobDefinition": self.definition_arn,
            "status": self.status.name(), "createdAt": self.created});
        set(&mut job, "statusReason", self.status_reason.as_ref());
        set(&mut job, "startedAt", self.started);
        set(&mut job, "stoppedAt", self.stopped);
        let mut container = json!({});
        if let Some(last) = self.attempts.last().filter(|_| self.status.is_final()) {
            set(&mut container, "exitCode", last.exit_code);
            set(&mut container, "reason", last.reason.as_ref());
        }
        set(&mut job, "container", Some(container));
        job
    }

    pub(super) fn view(&self) -> JobView {
        JobView {
            id: self.id.clone(),
            name: self.name.clone(),
            queue: self.queue.name.clone(),
            status: self.status.name().to_owned(),
            status_reason: self.status_reason.clone(),
            command: self.command.clone(),
            attempt: self.attempt,
            exit_codes: self.attempts.iter().map(|attempt| attempt.exit_code).collect(),
            process_id: self.process_id,
            log: self.log.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// Sets a field, if there is a value.
fn set(object: &mut Value, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}
