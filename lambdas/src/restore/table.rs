//! A table that DynamoDB itself exports: made of the backup and exported as it is then, or the live one at the backup's
//! time.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ExportStatus, TableDescription, TableStatus};
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Restored, Unit};
use domain::source::{TableOrigin, TableSource};

use super::look::Look;
use super::progress::{Progress, TableProgress};
use crate::resource::{restore_job, table, table_export};

/// How often a new table may be unknown to DynamoDB before that means that it is gone.
const UNKNOWN_TURNS: u32 = 3;

pub(super) async fn start(
    backup: &aws_sdk_backup::Client,
    dynamodb: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
) -> Result<Progress, Error> {
    let progress = match &source.origin {
        TableOrigin::LiveTable { at } => {
            let result = table_export::start(dynamodb, plan, unit, source, Some(*at)).await;
            let export_arn = result.map_err(|failure| {
                let action = format!("export {} as it was at {at}", source.table_arn);
                if table_export::is_out_of_reach(&failure) {
                    return failure.as_kind(
                        Kind::InvalidSettings,
                        format!(
                            "{action}: its point-in-time recovery must be on and reach back to then; switch it on, or \
                             set DYNAMODB_NATIVE to backup"
                        ),
                    );
                }
                table::refused(failure, action)
            })?;
            TableProgress::Exporting { export_arn }
        }
        TableOrigin::Backup { backup_arn, restore_role_arn, temporary_table, .. } => {
            let restore_job_id = match restore_role_arn {
                None => {
                    table::restore(dynamodb, backup_arn, temporary_table).await?;
                    None
                }
                Some(role) => Some(restore_job::start(backup, plan, unit, role, temporary_table).await?),
            };
            TableProgress::Restoring { restore_job_id }
        }
    };
    Ok(Progress::Table(progress))
}

/// One look, and what follows from it.
pub(super) async fn check(
    backup: &aws_sdk_backup::Client,
    dynamodb: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
    progress: &TableProgress,
    turn: u32,
) -> Result<Look, Error> {
    let next = |progress, at| Ok(Look::Next { progress: Progress::Table(progress), at });
    let name = source.temporary_table().unwrap_or_default();
    match progress {
        TableProgress::Restoring { restore_job_id } => {
            let is_job_over = match restore_job_id {
                Some(job) => restore_job::is_over(backup, job, name).await?,
                None => true,
            };
            let table = table::find(dynamodb, name).await?;
            match table.as_ref().and_then(TableDescription::table_status) {
                None if is_job_over && turn >= UNKNOWN_TURNS => Err(Error::new(
                    Kind::RestoreFailed,
                    format!("restore {} as {name}: DynamoDB does not know it any more: somebody deleted it", unit.key),
                )),
                Some(TableStatus::Active) if is_job_over => {
                    table::tag(dynamodb, plan, unit, &source.exported_table_arn()).await?;
                    table::enable_recovery(dynamodb, name).await?;
                    next(
                        TableProgress::EnablingRecovery,
                        format!("point-in-time recovery of {name} is being switched on"),
                    )
                }
                status => {
                    let status = status.map_or("unknown to DynamoDB", TableStatus::as_str);
                    Ok(Look::Wait { at: format!("the table {name} is {status}") })
                }
            }
        }
        TableProgress::EnablingRecovery => {
            let at = || format!("point-in-time recovery of {name} is being switched on");
            if !table::is_recoverable(dynamodb, name).await? {
                return Ok(Look::Wait { at: at() });
            }
            match table_export::start(dynamodb, plan, unit, source, None).await {
                Ok(export_arn) => {
                    let at = format!("the export {export_arn} begins");
                    next(TableProgress::Exporting { export_arn }, at)
                }
                // Switched on, and not ready yet.
                Err(failure) if table_export::is_out_of_reach(&failure) => Ok(Look::Wait { at: at() }),
                Err(failure) => Err(table::refused(failure, format!("export {name}"))),
            }
        }
        TableProgress::Exporting { export_arn } => exported(dynamodb, unit, export_arn).await,
    }
}

async fn exported(dynamodb: &Client, unit: &Unit, arn: &str) -> Result<Look, Error> {
    let export = table_export::describe(dynamodb, arn).await?;
    let failed = |why: String| {
        Err(Error::new(Kind::NativeExportFailed, format!("export {}: DynamoDB's export {arn} {why}", unit.key)))
    };
    match export.export_status() {
        Some(ExportStatus::Completed) => match export.export_manifest().and_then(|key| key.rsplit_once('/')) {
            Some((folder, _)) => Ok(Look::Ready(Restored::Objects { prefix: format!("{folder}/") })),
            None => failed("is complete and names no manifest".to_owned()),
        },
        Some(ExportStatus::Failed) => failed(format!(
            "failed: {}: {}",
            export.failure_code().unwrap_or("no code"),
            export.failure_message().unwrap_or("it gives no reason")
        )),
        status => {
            let status = status.map_or("unknown", ExportStatus::as_str);
            Ok(Look::Wait { at: format!("the export {arn} is {status}") })
        }
    }
}
