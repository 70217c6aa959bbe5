//! A snapshot that RDS itself exports as Parquet.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::ExportTask;
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Restored, Unit};
use domain::source::SnapshotExportSource;

use super::look::Look;
use super::progress::{Progress, SnapshotExportProgress};
use crate::resource::export_task::{self, SLOTS, Start};

pub(super) async fn check(
    rds: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &SnapshotExportSource,
    progress: SnapshotExportProgress,
) -> Result<Look, Error> {
    if let Some(task) = export_task::find(rds, &source.task_id).await? {
        return judge(plan, unit, source, &task);
    }
    if progress == SnapshotExportProgress::Running {
        // Describing is eventually consistent, and RDS does not forget tasks.
        return Ok(Look::Wait { at: format!("the export task {} is unknown to RDS", source.task_id) });
    }
    let running = export_task::count_running(rds).await?;
    if running >= SLOTS {
        return Ok(Look::Wait { at: format!("{running} export tasks of this account run, and no more may") });
    }
    Ok(match export_task::start(rds, plan, unit, source).await? {
        Start::Begun => begun(format!("the export task {} begins", source.task_id)),
        Start::NoSlot => Look::Wait { at: "the export tasks that this account may run are taken".to_owned() },
    })
}

fn begun(at: String) -> Look {
    Look::Next { progress: Progress::SnapshotExport(SnapshotExportProgress::Running), at }
}

fn judge(plan: &Plan, unit: &Unit, source: &SnapshotExportSource, task: &ExportTask) -> Result<Look, Error> {
    let id = &source.task_id;
    let status = task.status().unwrap_or_default();
    match status {
        "COMPLETE" => {
            let prefix = unit.prefix.folder(id).to_string();
            Ok(Look::Ready(Restored::Objects { prefix }))
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
            Ok(begun(format!("the export task {id} is {status}, {percent} % done")))
        }
    }
}
