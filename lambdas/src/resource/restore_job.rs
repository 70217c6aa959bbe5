//! Restore jobs of AWS Backup, which restores what it keeps itself.

use aws::CallError;
use aws_sdk_backup::Client;
use aws_sdk_backup::types::RestoreJobStatus;
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Unit};

use super::table::refused;

/// Asks for the restore of the recovery point as a table, once; the id of the job.
pub(crate) async fn start(backup: &Client, plan: &Plan, unit: &Unit, role: &str, table: &str) -> Result<String, Error> {
    let point = &plan.recovery_point;
    let action = || format!("restore {} as {table} by AWS Backup", point.arn);
    let result = backup
        .get_recovery_point_restore_metadata()
        .backup_vault_name(point.vault_name.as_str())
        .recovery_point_arn(point.arn.as_str())
        .send()
        .await;
    let output = result.map_err(|error| CallError::of(&error).during(action()))?;
    let mut metadata = output.restore_metadata.unwrap_or_default();
    metadata.remove("originalTableName");
    metadata.insert("targetTableName".to_owned(), table.to_owned());
    let result = backup
        .start_restore_job()
        .recovery_point_arn(point.arn.as_str())
        .set_metadata(Some(metadata))
        .iam_role_arn(role)
        .idempotency_token(plan.client_token(unit, ""))
        .resource_type("DynamoDB")
        .send()
        .await;
    let output = result.map_err(|error| refused(CallError::of(&error), action()))?;
    output.restore_job_id.ok_or_else(|| Error::new(Kind::Internal, format!("{}: AWS Backup gave no job", action())))
}

/// Whether the job ended well; an error when it did not.
pub(crate) async fn is_over(backup: &Client, job: &str, table: &str) -> Result<bool, Error> {
    let result = backup.describe_restore_job().restore_job_id(job).send().await;
    let output = result.map_err(|error| CallError::of(&error).during(format!("describe the restore job {job}")))?;
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
