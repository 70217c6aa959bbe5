//! What AWS Backup says of a recovery point.

use aws::CallError;
use aws_sdk_backup::Client;
use aws_sdk_backup::operation::describe_recovery_point::DescribeRecoveryPointOutput;
use domain::arn::account_in;
use domain::event::ExportRequest;
use domain::facts::Facts;
use domain::failure::{Error, Kind};
use jiff::Timestamp;

/// What is known of the recovery point before anybody else is asked; `None` when there is none.
pub(super) async fn describe(backup: &Client, export: &ExportRequest) -> Result<Option<Facts>, Error> {
    let arn = &export.recovery_point;
    let result = backup
        .describe_recovery_point()
        .backup_vault_name(export.vault.as_str())
        .recovery_point_arn(arn.as_str())
        .send()
        .await;
    let action = || format!("describe the recovery point {arn} in the vault {}", export.vault);
    let point = match result.map_err(|error| CallError::of(&error)) {
        Ok(point) => point,
        Err(failure) if failure.is_not_found() => return Ok(None),
        Err(failure) if failure.kind == Kind::AccessDenied => {
            return Err(
                failure.during(format!("{}: AWS Backup answers so for a vault that does not exist, too", action()))
            );
        }
        Err(failure) => return Err(failure.during(action())),
    };
    facts_of(export, &point).map(Some)
}

fn facts_of(export: &ExportRequest, point: &DescribeRecoveryPointOutput) -> Result<Facts, Error> {
    let arn = &export.recovery_point;
    let missing = |what: &str| {
        let message = format!("describe the recovery point {arn}: AWS Backup gave no {what}");
        Error::new(Kind::RecoveryPointNotUsable, message)
    };
    let created_at = point
        .creation_date
        .and_then(|date| Timestamp::new(date.secs(), 0).ok())
        .ok_or_else(|| missing("creation date"))?;
    let vault_name = match point.backup_vault_name() {
        Some(name) => name.parse().map_err(|_| missing("readable vault name"))?,
        None => export.vault.clone(),
    };
    let vault_account = point
        .backup_vault_arn()
        .and_then(account_in)
        .or_else(|| point.resource_arn().and_then(account_in))
        .ok_or_else(|| missing("vault ARN"))?;
    Ok(Facts {
        status: point.status().map_or("unknown", |s| s.as_str()).to_owned(),
        status_message: point.status_message().map(str::to_owned),
        vault_name,
        vault_account,
        resource_arn: point.resource_arn().ok_or_else(|| missing("resource ARN"))?.to_owned(),
        resource_type: point.resource_type().ok_or_else(|| missing("resource type"))?.to_owned(),
        created_at,
        encrypted: point.is_encrypted(),
        size_bytes: point.backup_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
        tags: std::collections::BTreeMap::new(),
        image: None,
        snapshots: Vec::new(),
        database: None,
        table: None,
    })
}
