//! Batch jobs of an execution, found by the name that all of them begin with.

use std::collections::BTreeSet;

use aws_sdk_batch::Client;
use aws_sdk_batch::types::{JobStatus, JqStatus, KeyValuesPair};
use domain::plan::Plan;

use super::Turn;
use crate::aws::Failure;
use crate::error::Error;

/// Ends all jobs; whether all have ended already.
pub(super) async fn end(batch: &Client, plan: &Plan, turn: &mut Turn) -> bool {
    let mut all_ended = true;
    let queues: BTreeSet<&str> = plan.placements.iter().map(|placement| placement.job_queue.as_str()).collect();
    for queue in queues {
        match live(batch, queue, plan.names().prefix()).await {
            Ok(jobs) => {
                for (id, name) in jobs {
                    all_ended = false;
                    turn.note(terminate(batch, &id, &name).await);
                    turn.remaining.push(format!("job {name} ({id})"));
                }
            }
            Err(error) => {
                all_ended = false;
                turn.errors.push(error);
            }
        }
    }
    all_ended
}

async fn live(batch: &Client, queue: &str, prefix: &str) -> Result<Vec<(String, String)>, Error> {
    // With a filter, jobs of every status are listed.
    let filter = KeyValuesPair::builder().name("JOB_NAME").values(format!("{prefix}*")).build();
    let mut pages = batch.list_jobs().job_queue(queue).filters(filter).into_paginator().items().send();
    let mut jobs = Vec::new();
    while let Some(job) = pages.next().await {
        let job = match job.map_err(|error| Failure::of(&error)) {
            Ok(job) => job,
            // Batch says so of a queue that it does not know, and of much else.
            Err(failure) if failure.is(&["ClientException"]) && !exists(batch, queue).await? => return Ok(Vec::new()),
            Err(failure) => return Err(failure.during(format!("list the jobs {prefix}* of {queue}"))),
        };
        let name = job.job_name().unwrap_or_default();
        let is_over = matches!(job.status(), Some(JobStatus::Succeeded | JobStatus::Failed));
        // Batch compares without case, and this must not end a job of somebody else.
        if !is_over && name.starts_with(prefix) {
            jobs.push((job.job_id().unwrap_or_default().to_owned(), name.to_owned()));
        }
    }
    Ok(jobs)
}

/// Whether there is such a queue. A deployment that removes one waits until no job is in it, so one that is not there holds none.
async fn exists(batch: &Client, queue: &str) -> Result<bool, Error> {
    let result = batch.describe_job_queues().job_queues(queue).send().await;
    let output = result.map_err(|error| Failure::of(&error).during(format!("describe the job queue {queue}")))?;
    Ok(output.job_queues().iter().any(|known| known.status() != Some(&JqStatus::Deleted)))
}

async fn terminate(batch: &Client, id: &str, name: &str) -> Result<(), Error> {
    batch
        .terminate_job()
        .job_id(id)
        .reason("the export ended")
        .send()
        .await
        .map(|_| ())
        .map_err(|error| Failure::of(&error).during(format!("terminate the job {name} ({id})")))
}
