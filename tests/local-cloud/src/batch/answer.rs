//! The Batch operations.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Value, json};

use super::job::{Job, client_error};
use super::run;
use super::service::Batch;
use crate::pattern::glob_matches;
use crate::stack::{JobDefinitionSpec, QueueSpec};
use crate::wire::{Answer, ApiError, Call, json_answer};

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

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    body.get(name).and_then(Value::as_str).ok_or_else(|| client_error(format!("{name} is required")))
}

pub(crate) fn answer(batch: &Arc<Batch>, call: &Call) -> Answer {
    let body = call.json()?;
    let answer = match call.operation.as_str() {
        "SubmitJob" => submit(batch, &body)?,
        "DescribeJobs" => {
            let state = batch.state();
            let ids = body.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
            let found: Vec<Value> =
                ids.iter().filter_map(|id| Some(state.jobs.get(id.as_str()?)?.describe())).collect();
            json!({"jobs": found})
        }
        "ListJobs" => list(batch, &body)?,
        "TerminateJob" => {
            batch.end(text(&body, "jobId")?, text(&body, "reason")?, true);
            json!({})
        }
        "CancelJob" => {
            batch.end(text(&body, "jobId")?, text(&body, "reason")?, false);
            json!({})
        }
        "DescribeJobDefinitions" => describe_definitions(batch, &body),
        "DescribeJobQueues" => {
            let state = batch.state();
            let wanted = names_in(&body, "jobQueues");
            let found = state.queues.values().filter(|queue| wanted.is_empty() || wanted.contains(&queue.name));
            let view = |queue: &QueueSpec| {
                json!({"jobQueueName": queue.name, "jobQueueArn": batch.context.names.job_queue(&queue.name), "state": "ENABLED",
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

fn describe_definitions(batch: &Batch, body: &Value) -> Value {
    let state = batch.state();
    let mut wanted = names_in(body, "jobDefinitions");
    wanted.extend(body.get("jobDefinitionName").and_then(Value::as_str).map(|name| short_name(name).to_owned()));
    let found = state.definitions.values().filter(|definition| wanted.is_empty() || wanted.contains(&definition.name));
    let view = |definition: &JobDefinitionSpec| {
        let environment: Vec<Value> =
            definition.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"jobDefinitionName": definition.name, "jobDefinitionArn": batch.context.names.job_definition(&definition.name),
            "revision": 1, "status": "ACTIVE", "type": "container", "retryStrategy": definition.retry_strategy,
            "containerProperties": {"command": definition.command, "environment": environment},
            "timeout": definition.timeout_seconds.map(|seconds| json!({"attemptDurationSeconds": seconds}))})
    };
    json!({"jobDefinitions": found.map(view).collect::<Vec<_>>()})
}

fn submit(batch: &Arc<Batch>, body: &Value) -> Result<Value, ApiError> {
    let name = text(body, "jobName")?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 128 || !name.chars().all(valid) {
        return Err(client_error(format!("Job name {name} should match valid pattern")));
    }
    let id = uuid::Uuid::new_v4().to_string();
    {
        let mut state = batch.state();
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
        let job = Job::new(&batch.context, &id, order, body, queue, definition)?;
        state.jobs.insert(id.clone(), job);
    }
    tokio::spawn(run::run(Arc::clone(batch), id.clone()));
    Ok(json!({"jobName": name, "jobId": id, "jobArn": batch.context.names.arn("batch", &format!("job/{id}"))}))
}

fn list(batch: &Batch, body: &Value) -> Result<Value, ApiError> {
    let state = batch.state();
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
