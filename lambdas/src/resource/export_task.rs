//! Export tasks, by which RDS itself writes a snapshot as Parquet.

use aws::CallError;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::ExportTask;
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Unit};
use domain::source::SnapshotExportSource;

use super::removal::Removal;

/// How many tasks RDS runs at a time in an account and Region.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ExportSnapshot.html>
pub(crate) const SLOTS: usize = 5;

/// What came of asking for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It begins, or has begun.
    Begun,
    /// All slots are taken.
    NoSlot,
}

/// The task of that name. RDS keeps those that ended in its list for ever; they cost nothing.
pub(crate) async fn find(rds: &Client, id: &str) -> Result<Option<ExportTask>, Error> {
    let result = rds.describe_export_tasks().export_task_identifier(id).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.export_tasks.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(&["ExportTaskNotFound", "ExportTaskNotFoundFault"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the export task {id}"))),
    }
}

/// Whether it takes one of the slots.
pub(crate) fn is_running(task: &ExportTask) -> bool {
    matches!(task.status(), Some("STARTING" | "IN_PROGRESS" | "CANCELING"))
}

/// How many take one.
pub(crate) async fn count_running(rds: &Client) -> Result<usize, Error> {
    let mut running = 0;
    each(rds, "count the export tasks that run", |task| running += usize::from(is_running(task))).await?;
    Ok(running)
}

/// Tells the names of all tasks that run in the account and Region.
pub(crate) async fn each_running_name(rds: &Client, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    let tell = |task: &ExportTask| {
        if is_running(task) {
            tell(task.export_task_identifier().unwrap_or_default());
        }
    };
    each(rds, "list the export tasks", tell).await
}

async fn each(rds: &Client, action: &str, mut tell: impl FnMut(&ExportTask)) -> Result<(), Error> {
    let mut tasks = rds.describe_export_tasks().into_paginator().items().send();
    while let Some(task) = tasks.next().await {
        tell(&task.map_err(|error| CallError::of(&error).during(action))?);
    }
    Ok(())
}

/// Asks for the task of a unit. One that is there already is ours: nothing else ever has its name.
pub(crate) async fn start(
    rds: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &SnapshotExportSource,
) -> Result<Start, Error> {
    let result = rds
        .start_export_task()
        .export_task_identifier(&source.task_id)
        .source_arn(&source.snapshot_arn)
        .s3_bucket_name(plan.bucket.as_str())
        .s3_prefix(unit.prefix.as_str().trim_end_matches('/'))
        .iam_role_arn(&source.role_arn)
        .kms_key_id(&source.kms_key_id)
        .send()
        .await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(Start::Begun),
        Err(failure) if failure.is(&["ExportTaskAlreadyExists", "ExportTaskAlreadyExistsFault"]) => Ok(Start::Begun),
        // Another took the last slot since they were counted.
        Err(failure)
            if failure.code.as_deref().is_some_and(|code| code.contains("Limit") || code.contains("Quota")) =>
        {
            Ok(Start::NoSlot)
        }
        Err(failure) => {
            let action = format!("export {} as Parquet", source.snapshot_arn);
            match failure.kind {
                Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => Err(failure.during(action)),
                _ => Err(failure.as_kind(Kind::NativeExportFailed, action)),
            }
        }
    }
}

/// Cancels a task. It is busy when it ended since it was described.
pub(crate) async fn cancel(rds: &Client, id: &str) -> Result<Removal, Error> {
    let result = rds.cancel_export_task().export_task_identifier(id).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(Removal::Begun),
        Err(failure) if failure.is(&["InvalidExportTaskStateFault", "InvalidExportTaskState"]) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("cancel the export task {id}"))),
    }
}
