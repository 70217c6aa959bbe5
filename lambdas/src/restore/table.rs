//! A table that DynamoDB itself exports: made of the backup and exported as it is then, or the live one at the backup's time.

use aws_sdk_dynamodb::types::{
    BillingMode, ExportFormat, ExportStatus, PointInTimeRecoverySpecification, PointInTimeRecoveryStatus,
    TableDescription, TableStatus, Tag,
};
use aws_smithy_types::DateTime;
use domain::failure::Kind;
use domain::plan::{Plan, Restored, Unit};
use domain::source::{TableOrigin, TableSource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Restorer, Turn};
use crate::aws::Failure;
use crate::error::Error;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase")]
pub enum Progress {
    /// The table is being made.
    #[serde(rename_all = "camelCase")]
    Restoring {
        /// AWS Backup's restore job, where it restores.
        restore_job_id: Option<String>,
    },
    /// Point-in-time recovery is being switched on, without which DynamoDB exports nothing.
    EnablingRecovery,
    /// It is being exported.
    #[serde(rename_all = "camelCase")]
    Exporting {
        /// ARN of the export.
        export_arn: String,
    },
}

/// How often a new table may be unknown to DynamoDB before that means that it is gone.
const UNKNOWN_TURNS: u32 = 3;

pub(super) async fn start(
    restorer: &Restorer,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
) -> Result<super::Progress, Error> {
    let progress = match &source.origin {
        TableOrigin::LiveTable { at } => {
            let export_arn = export(&restorer.dynamodb, plan, unit, source, Some(*at)).await.map_err(|failure| {
                let action = format!("export {} as it was at {at}", source.table_arn);
                if failure.is(&["PointInTimeRecoveryUnavailableException", "InvalidExportTimeException"]) {
                    return failure.as_kind(
                        Kind::InvalidSettings,
                        format!(
                            "{action}: its point-in-time recovery must be on and reach back to then; switch it on, or set \
                             DYNAMODB_NATIVE to backup"
                        ),
                    );
                }
                refused(failure, action)
            })?;
            Progress::Exporting { export_arn }
        }
        TableOrigin::Backup { backup_arn, restore_role_arn, temporary_table, .. } => {
            let restore_job_id = match restore_role_arn {
                None => {
                    restore(&restorer.dynamodb, backup_arn, temporary_table).await?;
                    None
                }
                Some(role) => Some(start_job(restorer, plan, unit, role, temporary_table).await?),
            };
            Progress::Restoring { restore_job_id }
        }
    };
    Ok(super::Progress::Table(progress))
}

fn refused(failure: Failure, action: String) -> Error {
    // A few restores and exports may run at a time; others end.
    if failure.is(&["LimitExceededException", "BackupInUseException"]) {
        return failure.as_kind(Kind::Throttled, action);
    }
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => failure.during(action),
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}

async fn restore(dynamodb: &aws_sdk_dynamodb::Client, backup: &str, table: &str) -> Result<(), Error> {
    let result = dynamodb
        .restore_table_from_backup()
        .backup_arn(backup)
        .target_table_name(table)
        .billing_mode_override(BillingMode::PayPerRequest)
        // Indexes hold nothing that the table does not, and cost time and money.
        .set_global_secondary_index_override(Some(Vec::new()))
        .set_local_secondary_index_override(Some(Vec::new()))
        .send()
        .await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => Ok(()),
        // Nothing else ever has its name.
        Err(failure) if failure.is(&["TableAlreadyExistsException", "TableInUseException"]) => Ok(()),
        Err(failure) if failure.is(&["BackupNotFoundException"]) => {
            Err(failure.as_kind(Kind::SourceNotFound, format!("restore {backup} as {table}")))
        }
        Err(failure) => Err(refused(failure, format!("restore {backup} as {table}"))),
    }
}

async fn start_job(restorer: &Restorer, plan: &Plan, unit: &Unit, role: &str, table: &str) -> Result<String, Error> {
    let point = &plan.recovery_point;
    let action = || format!("restore {} as {table} by AWS Backup", point.arn);
    let result = restorer
        .backup
        .get_recovery_point_restore_metadata()
        .backup_vault_name(point.vault_name.as_str())
        .recovery_point_arn(point.arn.as_str())
        .send()
        .await;
    let output = result.map_err(|error| Failure::of(&error).during(action()))?;
    let mut metadata = output.restore_metadata.unwrap_or_default();
    metadata.remove("originalTableName");
    metadata.insert("targetTableName".to_owned(), table.to_owned());
    let result = restorer
        .backup
        .start_restore_job()
        .recovery_point_arn(point.arn.as_str())
        .set_metadata(Some(metadata))
        .iam_role_arn(role)
        .idempotency_token(plan.client_token(unit, ""))
        .resource_type("DynamoDB")
        .send()
        .await;
    let output = result.map_err(|error| refused(Failure::of(&error), action()))?;
    output.restore_job_id.ok_or_else(|| Error::new(Kind::Internal, format!("{}: AWS Backup gave no job", action())))
}

/// One look, and what follows from it.
pub(super) async fn check(
    restorer: &Restorer,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
    progress: &Progress,
    turn: u32,
) -> Result<Turn, Error> {
    let dynamodb = &restorer.dynamodb;
    let next = |progress, at| Ok(Turn::Next { progress: super::Progress::Table(progress), at });
    let name = source.temporary_table().unwrap_or_default();
    match progress {
        Progress::Restoring { restore_job_id } => {
            let is_job_over = match restore_job_id {
                Some(job) => job_is_over(&restorer.backup, job, name).await?,
                None => true,
            };
            let table = find(dynamodb, name).await?;
            match table.as_ref().and_then(TableDescription::table_status) {
                None if is_job_over && turn >= UNKNOWN_TURNS => Err(Error::new(
                    Kind::RestoreFailed,
                    format!("restore {} as {name}: DynamoDB does not know it any more: somebody deleted it", unit.key),
                )),
                Some(TableStatus::Active) if is_job_over => {
                    tag(dynamodb, plan, unit, &source.exported_table_arn()).await?;
                    enable_recovery(dynamodb, name).await?;
                    next(Progress::EnablingRecovery, format!("point-in-time recovery of {name} is being switched on"))
                }
                status => {
                    let status = status.map_or("unknown to DynamoDB", TableStatus::as_str);
                    Ok(Turn::Wait { at: format!("the table {name} is {status}") })
                }
            }
        }
        Progress::EnablingRecovery => {
            let at = || format!("point-in-time recovery of {name} is being switched on");
            if !is_recoverable(dynamodb, name).await? {
                return Ok(Turn::Wait { at: at() });
            }
            match export(dynamodb, plan, unit, source, None).await {
                Ok(export_arn) => {
                    let at = format!("the export {export_arn} begins");
                    next(Progress::Exporting { export_arn }, at)
                }
                // Switched on, and not ready yet.
                Err(failure)
                    if failure.is(&["PointInTimeRecoveryUnavailableException", "InvalidExportTimeException"]) =>
                {
                    Ok(Turn::Wait { at: at() })
                }
                Err(failure) => Err(refused(failure, format!("export {name}"))),
            }
        }
        Progress::Exporting { export_arn } => exported(dynamodb, unit, export_arn).await,
    }
}

pub(crate) async fn find(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<Option<TableDescription>, Error> {
    let result = dynamodb.describe_table().table_name(name).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(output) => Ok(output.table),
        Err(failure) if failure.is(&["ResourceNotFoundException"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the table {name}"))),
    }
}

/// Whether the job ended well; an error when it did not.
async fn job_is_over(backup: &aws_sdk_backup::Client, job: &str, table: &str) -> Result<bool, Error> {
    use aws_sdk_backup::types::RestoreJobStatus;
    let result = backup.describe_restore_job().restore_job_id(job).send().await;
    let output = result.map_err(|error| Failure::of(&error).during(format!("describe the restore job {job}")))?;
    match output.status() {
        Some(RestoreJobStatus::Completed) => Ok(true),
        Some(status @ (RestoreJobStatus::Failed | RestoreJobStatus::Aborted)) => Err(Error::new(
            Kind::RestoreFailed,
            format!(
                "restore as {table}: AWS Backup's restore job {job} is {}: {}",
                status.as_str(),
                output.status_message().unwrap_or("it gives no reason")
            ),
        )),
        _ => Ok(false),
    }
}

/// A restore takes no tags, so they come as soon as the table takes them. It is found by its name in any case.
async fn tag(dynamodb: &aws_sdk_dynamodb::Client, plan: &Plan, unit: &Unit, arn: &str) -> Result<(), Error> {
    let tag = |(key, value): (String, String)| {
        let built = Tag::builder().key(key).value(value).build();
        built.map_err(|error| Error::new(Kind::Internal, format!("tag {arn}: {error}")))
    };
    let tags = super::tags(plan, unit).into_iter().map(tag).collect::<Result<Vec<_>, _>>()?;
    let result = dynamodb.tag_resource().resource_arn(arn).set_tags(Some(tags)).send().await;
    result.map(|_| ()).map_err(|error| Failure::of(&error).during(format!("tag the table {arn}")))
}

async fn enable_recovery(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), Error> {
    let action = || format!("switch point-in-time recovery of {name} on");
    let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let wanted = wanted.map_err(|error| Error::new(Kind::Internal, format!("{}: {error}", action())))?;
    let result =
        dynamodb.update_continuous_backups().table_name(name).point_in_time_recovery_specification(wanted).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => Ok(()),
        // Of a table that only just became active.
        Err(failure) if failure.is(&["ContinuousBackupsUnavailableException"]) => {
            Err(failure.as_kind(Kind::Unavailable, action()))
        }
        Err(failure) => Err(failure.during(action())),
    }
}

async fn is_recoverable(dynamodb: &aws_sdk_dynamodb::Client, name: &str) -> Result<bool, Error> {
    let result = dynamodb.describe_continuous_backups().table_name(name).send().await;
    let action = || format!("look at the point-in-time recovery of {name}");
    let output = result.map_err(|error| Failure::of(&error).during(action()))?;
    let recovery = output.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
    Ok(recovery.is_some_and(|recovery| {
        recovery.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled)
            && recovery.latest_restorable_date_time().is_some()
    }))
}

async fn export(
    dynamodb: &aws_sdk_dynamodb::Client,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
    at: Option<Timestamp>,
) -> Result<String, Failure> {
    let output = dynamodb
        .export_table_to_point_in_time()
        .table_arn(source.exported_table_arn())
        .s3_bucket(plan.bucket.as_str())
        .s3_bucket_owner(plan.bucket_owner.as_str())
        .s3_prefix(unit.prefix.as_str().trim_end_matches('/'))
        .export_format(ExportFormat::from(source.format.name()))
        .client_token(plan.client_token(unit, "export"))
        .set_export_time(at.map(|at| DateTime::from_secs(at.as_second())))
        .send()
        .await
        .map_err(|error| Failure::of(&error))?;
    let arn = output.export_description.and_then(|export| export.export_arn);
    arn.ok_or_else(|| Failure::malformed("DynamoDB gave the export no ARN".to_owned()))
}

async fn exported(dynamodb: &aws_sdk_dynamodb::Client, unit: &Unit, arn: &str) -> Result<Turn, Error> {
    let result = dynamodb.describe_export().export_arn(arn).send().await;
    let output = result.map_err(|error| Failure::of(&error).during(format!("describe the export {arn}")))?;
    let export = output.export_description;
    let export = export.ok_or_else(|| Error::new(Kind::Internal, format!("DynamoDB describes {arn} by nothing")))?;
    let failed = |why: String| {
        Err(Error::new(Kind::NativeExportFailed, format!("export {}: DynamoDB's export {arn} {why}", unit.key)))
    };
    match export.export_status() {
        Some(ExportStatus::Completed) => match export.export_manifest().and_then(|key| key.rsplit_once('/')) {
            Some((folder, _)) => Ok(Turn::Ready(Restored::Objects { prefix: format!("{folder}/") })),
            None => failed("is complete and names no manifest".to_owned()),
        },
        Some(ExportStatus::Failed) => failed(format!(
            "failed: {}: {}",
            export.failure_code().unwrap_or("no code"),
            export.failure_message().unwrap_or("it gives no reason")
        )),
        status => {
            let status = status.map_or("unknown", ExportStatus::as_str);
            Ok(Turn::Wait { at: format!("the export {arn} is {status}") })
        }
    }
}
