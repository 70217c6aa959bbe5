//! Jobs of AWS Batch, found by what their names begin with.

use aws::{CallError, done};
use aws_sdk_batch::Client;
use aws_sdk_batch::types::{JobStatus, JqStatus, KeyValuesPair};
use domain::failure::Error;

/// A job that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Batch's id.
    pub(crate) id: String,
    pub(crate) name: String,
}

/// The jobs of a queue that have not ended and whose names begin with `prefix`.
pub(crate) async fn live(batch: &Client, queue: &str, prefix: &str) -> Result<Vec<Job>, Error> {
    // With a filter, jobs of every status are listed.
    let filter = KeyValuesPair::builder().name("JOB_NAME").values(format!("{prefix}*")).build();
    let mut pages = batch.list_jobs().job_queue(queue).filters(filter).into_paginator().items().send();
    let mut jobs = Vec::new();
    while let Some(job) = pages.next().await {
        let job = match job.map_err(|error| CallError::of(&error)) {
            Ok(job) => job,
            // Batch says so of a queue that it does not know, and of much else.
            Err(failure) if failure.is(&["ClientException"]) && !exists(batch, queue).await? => return Ok(Vec::new()),
            Err(failure) => return Err(failure.during(format!("list the jobs {prefix}* of {queue}"))),
        };
        let name = job.job_name().unwrap_or_default();
        let is_over = matches!(job.status(), Some(JobStatus::Succeeded | JobStatus::Failed));
        // Batch compares without case, and this must not end a job of somebody else.
        if !is_over && name.starts_with(prefix) {
            jobs.push(Job { id: job.job_id().unwrap_or_default().to_owned(), name: name.to_owned() });
        }
    }
    Ok(jobs)
}

/// Whether there is such a queue. A deployment that removes one waits until no job is in it, so one that is not there
/// holds none.
async fn exists(batch: &Client, queue: &str) -> Result<bool, Error> {
    let result = batch.describe_job_queues().job_queues(queue).send().await;
    let output = result.map_err(|error| CallError::of(&error).during(format!("describe the job queue {queue}")))?;
    Ok(output.job_queues().iter().any(|known| known.status() != Some(&JqStatus::Deleted)))
}

/// Ends a job, whether it waits or runs.
pub(crate) async fn terminate(batch: &Client, job: &Job) -> Result<(), Error> {
    let Job { id, name } = job;
    let result = batch.terminate_job().job_id(id).reason("the export ended").send().await;
    done(result).map_err(|failure| failure.during(format!("terminate the job {name} ({id})")))
}
