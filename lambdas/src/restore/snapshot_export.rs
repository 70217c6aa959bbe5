//! A snapshot that RDS itself exports as Parquet.

use aws_sdk_rds::types::ExportTask;
use domain::failure::Kind;
use domain::plan::{Plan, Restored, Unit};
use domain::source::SnapshotExportSource;
use serde::{Deserialize, Serialize};

use super::Turn;
use crate::aws::Failure;
use crate::error::Error;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum Progress {
    /// For one of the few tasks that may run at a time, or for its begin.
    Waiting,
    /// For its end.
    Running,
}

/// How many tasks RDS runs at a time in an account and Region.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ExportSnapshot.html>
const SLOTS: usize = 5;

pub(super) async fn check(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &SnapshotExportSource,
    progress: Progress,
) -> Result<Turn, Error> {
    if let Some(task) = find(rds, &source.task_id).await? {
        return judge(plan, unit, source, &task);
    }
    if progress == Progress::Running {
        // Describing is eventually consistent, and RDS does not forget tasks.
        return Ok(Turn::Wait { at: format!("the export task {} is unknown to RDS", source.task_id) });
    }
    let running = running(rds).await?;
    if running >= SLOTS {
        return Ok(Turn::Wait { at: format!("{running} export tasks of this account run, and no more may") });
    }
    start(rds, plan, unit, source).await
}

async fn start(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &SnapshotExportSource,
) -> Result<Turn, Error> {
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
    let progress = super::Progress::SnapshotExport(Progress::Running);
    let at = format!("the export task {} begins", source.task_id);
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => Ok(Turn::Next { progress, at }),
        Err(failure) if failure.is(&["ExportTaskAlreadyExists", "ExportTaskAlreadyExistsFault"]) => {
            Ok(Turn::Next { progress, at })
        }
        // Another took the last slot since they were counted.
        Err(failure)
            if failure.code.as_deref().is_some_and(|code| code.contains("Limit") || code.contains("Quota")) =>
        {
            Ok(Turn::Wait { at: "the export tasks that this account may run are taken".to_owned() })
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

fn judge(plan: &Plan, unit: &Unit, source: &SnapshotExportSource, task: &ExportTask) -> Result<Turn, Error> {
    let id = &source.task_id;
    let status = task.status().unwrap_or_default();
    match status {
        "COMPLETE" => {
            let prefix = unit.prefix.folder(id).to_string();
            Ok(Turn::Ready(Restored::Objects { prefix }))
        }
        "FAILED" | "CANCELED" | "CANCELING" => {
            let why =
                [task.failure_cause(), task.warning_message()].into_iter().flatten().collect::<Vec<_>>().join("; ");
            Err(Error::new(
                Kind::NativeExportFailed,
                format!(
                    "export {} of {} as Parquet: the task {id} is {status}: {}",
                    unit.key,
                    plan.recovery_point.arn,
                    if why.is_empty() { "RDS gives no reason" } else { &why }
                ),
            ))
        }
        _ => {
            let percent = task.percent_progress().unwrap_or_default();
            let progress = super::Progress::SnapshotExport(Progress::Running);
            Ok(Turn::Next { progress, at: format!("the export task {id} is {status}, {percent} % done") })
        }
    }
}

pub(crate) async fn find(rds: &aws_sdk_rds::Client, id: &str) -> Result<Option<ExportTask>, Error> {
    let result = rds.describe_export_tasks().export_task_identifier(id).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(output) => Ok(output.export_tasks.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(&["ExportTaskNotFound", "ExportTaskNotFoundFault"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the export task {id}"))),
    }
}

async fn running(rds: &aws_sdk_rds::Client) -> Result<usize, Error> {
    let mut tasks = rds.describe_export_tasks().into_paginator().items().send();
    let mut running = 0;
    while let Some(task) = tasks.next().await {
        let task = task.map_err(|error| Failure::of(&error).during("count the export tasks that run"))?;
        running += usize::from(is_running(&task));
    }
    Ok(running)
}

/// Whether it takes one of the slots.
pub(crate) fn is_running(task: &ExportTask) -> bool {
    matches!(task.status(), Some("STARTING" | "IN_PROGRESS" | "CANCELING"))
}
