//! Batch: job definitions, queues and jobs. A job is a process: the definition's entry point with the job's command.

mod job;
mod retry;
mod run;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use self::job::{Job, Status};
use crate::error::{Error, Result};
use crate::gateway::Shared;
use crate::observe::JobView;
use crate::pattern::glob_matches;
use crate::stack::{JobDefinitionSpec, QueueSpec};
use crate::wire::{Answer, ApiError, Call, json_answer};

/// The jobs of one region, and what they run on.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    definitions: BTreeMap<String, JobDefinitionSpec>,
    queues: BTreeMap<String, QueueSpec>,
    jobs: BTreeMap<String, Job>,
    submitted: u64,
}

/// Milliseconds since 1970, as Batch writes times.
fn now() -> u64 {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The name in an ARN of a queue or definition, or a name; without a revision.
fn short_name(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}

/// The operation and the job that a request names.
pub(crate) fn identify(parts: &Parts, body: &Bytes) -> (String, String) {
    let operations = [
        "SubmitJob",
        "DescribeJobs",
        "ListJobs",
        "TerminateJob",
        "CancelJob",
        "RegisterJobDefinition",
        "DescribeJobDefinitions",
        "DescribeJobQueues",
        "DescribeComputeEnvironments",
    ];
    let last = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let operation = operations.iter().find(|operation| operation.eq_ignore_ascii_case(last));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let resource =
        ["jobId", "jobName", "jobQueue", "jobDefinitionName"].iter().find_map(|name| body.get(name)?.as_str());
    (
        operation.map_or_else(|| last.to_owned(), |operation| (*operation).to_owned()),
        resource.unwrap_or_default().to_owned(),
    )
}

fn client_error(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "ClientException", message)
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    body.get(name).and_then(Value::as_str).ok_or_else(|| client_error(format!("{name} is required")))
}

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let body = call.json()?;
    let answer = match call.operation.as_str() {
        "SubmitJob" => submit(shared, &body)?,
        "DescribeJobs" => {
            let state = shared.batch.state();
            let ids = body.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
            let found: Vec<Value> =
                ids.iter().filter_map(|id| Some(state.jobs.get(id.as_str()?)?.describe())).collect();
            json!({"jobs": found})
        }
        "ListJobs" => list(shared, &body)?,
        "TerminateJob" => {
            shared.batch.end(text(&body, "jobId")?, text(&body, "reason")?, true);
            json!({})
        }
        "CancelJob" => {
            shared.batch.end(text(&body, "jobId")?, text(&body, "reason")?, false);
            json!({})
        }
        "DescribeJobDefinitions" => describe_definitions(shared, &body),
        "DescribeJobQueues" => {
            let state = shared.batch.state();
            let wanted = names_in(&body, "jobQueues");
            let found = state.queues.values().filter(|queue| wanted.is_empty() || wanted.contains(&queue.name));
            let view = |queue: &QueueSpec| {
                json!({"jobQueueName": queue.name, "jobQueueArn": shared.names.job_queue(&queue.name), "state": "ENABLED",
                    "status": "VALID", "priority": 1, "computeEnvironmentOrder": []})
            };
            json!({"jobQueues": found.map(view).collect::<Vec<_>>()})
        }
        other => {
            return Err(ApiError::new(
                501,
                "NotImplemented",
                format!("batch {other} is not played; deploy it by the stack"),
            ));
        }
    };
    Ok(json_answer(200, &answer))
}

fn names_in(body: &Value, list: &str) -> Vec<String> {
    let items = body.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(|name| short_name(name).to_owned()).collect()
}

fn describe_definitions(shared: &Shared, body: &Value) -> Value {
    let state = shared.batch.state();
    let mut wanted = names_in(body, "jobDefinitions");
    wanted.extend(body.get("jobDefinitionName").and_then(Value::as_str).map(|name| short_name(name).to_owned()));
    let found = state.definitions.values().filter(|definition| wanted.is_empty() || wanted.contains(&definition.name));
    let view = |definition: &JobDefinitionSpec| {
        let environment: Vec<Value> =
            definition.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"jobDefinitionName": definition.name, "jobDefinitionArn": shared.names.job_definition(&definition.name),
            "revision": 1, "status": "ACTIVE", "type": "container", "retryStrategy": definition.retry_strategy,
            "containerProperties": {"command": definition.command, "environment": environment},
            "timeout": definition.timeout_seconds.map(|seconds| json!({"attemptDurationSeconds": seconds}))})
    };
    json!({"jobDefinitions": found.map(view).collect::<Vec<_>>()})
}

fn submit(shared: &Arc<Shared>, body: &Value) -> Result<Value, ApiError> {
    let name = text(body, "jobName")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 128 || !name.chars().all(valid) {
        return Err(client_error(format!("Job name {name} should match valid pattern")));
    }
    let id = uuid::Uuid::new_v4().to_string();
    {
        let mut state = shared.batch.state();
        let queue = text(body, "jobQueue")?;
        let Some(queue) = state.queues.get(short_name(queue)).cloned() else {
            return Err(client_error(format!("JobQueue {queue} not found")));
        };
        let definition = text(body, "jobDefinition")?;
        let Some(definition) = state.definitions.get(short_name(definition)).cloned() else {
            return Err(client_error(format!("JobDefinition {definition} not found")));
        };
        state.submitted += 1;
        let order = state.submitted;
        let job = Job::new(shared, &id, order, body, queue, definition)?;
        state.jobs.insert(id.clone(), job);
    }
    tokio::spawn(run::run(Arc::clone(shared), id.clone()));
    Ok(json!({"jobName": name, "jobId": id, "jobArn": shared.names.arn("batch", &format!("job/{id}"))}))
}

fn list(shared: &Shared, body: &Value) -> Result<Value, ApiError> {
    let state = shared.batch.state();
    let queue = short_name(text(body, "jobQueue")?);
    if !state.queues.contains_key(queue) {
        return Err(client_error(format!("JobQueue {queue} not found")));
    }
    let filters = body.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
    // With a filter the status is ignored; without either it is RUNNING.
    let status = body.get("jobStatus").and_then(Value::as_str).unwrap_or("RUNNING");
    let mut found: Vec<&Job> = state.jobs.values().filter(|job| job.queue.name == queue).collect();
    if filters.is_empty() {
        found.retain(|job| job.status.name() == status);
    }
    for filter in &filters {
        let name = filter.get("name").and_then(Value::as_str).unwrap_or_default();
        let values: Vec<String> = filter
            .get("values")
            .and_then(Value::as_array)
            .map(|values| values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        let time = |job: &Job, before: bool| {
            values.iter().any(|value| {
                value.parse().is_ok_and(|limit: u64| if before { job.created < limit } else { job.created > limit })
            })
        };
        match name {
            "JOB_NAME" => found.retain(|job| {
                values.iter().any(|value| glob_matches(&value.to_ascii_lowercase(), &job.name.to_ascii_lowercase()))
            }),
            "JOB_DEFINITION" => {
                found.retain(|job| values.iter().any(|value| glob_matches(short_name(value), &job.definition.name)));
            }
            "BEFORE_CREATED_AT" => found.retain(|job| time(job, true)),
            "AFTER_CREATED_AT" => found.retain(|job| time(job, false)),
            other => return Err(client_error(format!("filter {other} is not valid"))),
        }
    }
    found.sort_by_key(|job| std::cmp::Reverse(job.order));
    let start = body.get("nextToken").and_then(Value::as_str).and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    let most =
        body.get("maxResults").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok()).unwrap_or(100);
    let next = (found.len() > start + most).then(|| (start + most).to_string());
    let page: Vec<Value> = found.into_iter().skip(start).take(most).map(Job::summary).collect();
    Ok(json!({"jobSummaryList": page, "nextToken": next}))
}

impl Batch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_definition(&self, definition: JobDefinitionSpec) {
        self.state().definitions.insert(definition.name.clone(), definition);
    }

    pub(crate) fn add_queue(&self, queue: QueueSpec) {
        self.state().queues.insert(queue.name.clone(), queue);
    }

    /// Ends a job: terminated, or (if it has not started) cancelled.
    fn end(&self, id: &str, reason: &str, terminate: bool) {
        let mut state = self.state();
        let Some(job) = state.jobs.get_mut(id) else { return };
        if job.status.is_final() || (!terminate && matches!(job.status, Status::Starting | Status::Running)) {
            return;
        }
        job.stop_reason.get_or_insert_with(|| reason.to_owned());
        job.stop.notify_one();
    }

    /// Sends a signal to a running job's process.
    pub(crate) fn signal(&self, id: &str, signal: i32) -> Result<()> {
        let process = self.state().jobs.get(id).and_then(|job| job.process_id);
        match process {
            Some(process) if crate::process::signal_group(process, signal) => Ok(()),
            _ => Err(Error::Missing { kind: "running job", name: id.to_owned() }),
        }
    }

    /// Takes the host of a running job away.
    pub(crate) fn reclaim(&self, shared: &Shared, id: &str) -> Result<()> {
        let mut state = self.state();
        let running = state.jobs.get_mut(id).filter(|job| job.process_id.is_some());
        let Some(job) = running else { return Err(Error::Missing { kind: "running job", name: id.to_owned() }) };
        if let Some(host) = job.host.clone() {
            shared.ec2.announce_reclaim(&host);
        }
        job.reclaimed = true;
        job.stop.notify_one();
        Ok(())
    }

    pub(crate) fn views(&self) -> Vec<JobView> {
        let state = self.state();
        let mut jobs: Vec<&Job> = state.jobs.values().collect();
        jobs.sort_by_key(|job| job.order);
        jobs.into_iter().map(Job::view).collect()
    }

    /// Kills what runs, when the cloud goes.
    pub(crate) fn kill_all(&self) {
        for job in self.state().jobs.values_mut() {
            job.stop_reason.get_or_insert_with(|| "the cloud goes".to_owned());
            if let Some(process) = job.process_id {
                crate::process::signal_group(process, crate::process::KILL);
            }
        }
    }
}
