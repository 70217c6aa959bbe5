//! Tables of DynamoDB that are made of backups: restored, made ready to be exported, and deleted.

use aws::{CallError, done};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BillingMode, PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, TableDescription,
};
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Unit};

use super::removal::Removal;
use super::tag;

/// The table of that name.
pub(crate) async fn find(dynamodb: &Client, name: &str) -> Result<Option<TableDescription>, Error> {
    let result = dynamodb.describe_table().table_name(name).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.table),
        Err(failure) if failure.is(&["ResourceNotFoundException"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the table {name}"))),
    }
}

/// Tells the names of all tables of the account and Region. They come in no order that could be relied on, so all are
/// listed: a hundred to a page.
pub(crate) async fn each_name(dynamodb: &Client, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    let mut tables = dynamodb.list_tables().into_paginator().items().send();
    while let Some(name) = tables.next().await {
        tell(&name.map_err(|error| CallError::of(&error).during("list the tables"))?);
    }
    Ok(())
}

/// Restores a backup in DynamoDB's own form. A table that is there already is ours: nothing else ever has its name.
pub(crate) async fn restore(dynamodb: &Client, backup: &str, name: &str) -> Result<(), Error> {
    let result = dynamodb
        .restore_table_from_backup()
        .backup_arn(backup)
        .target_table_name(name)
        .billing_mode_override(BillingMode::PayPerRequest)
        // Indexes hold nothing that the table does not, and cost time and money.
        .set_global_secondary_index_override(Some(Vec::new()))
        .set_local_secondary_index_override(Some(Vec::new()))
        .send()
        .await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is(&["TableAlreadyExistsException", "TableInUseException"]) => Ok(()),
        Err(failure) if failure.is(&["BackupNotFoundException"]) => {
            Err(failure.as_kind(Kind::SourceNotFound, format!("restore {backup} as {name}")))
        }
        Err(failure) => Err(refused(failure, format!("restore {backup} as {name}"))),
    }
}

/// What it means that a restore or an export was refused.
pub(crate) fn refused(failure: CallError, action: String) -> Error {
    // A few restores and exports may run at a time; others end.
    if failure.is(&["LimitExceededException", "BackupInUseException"]) {
        return failure.as_kind(Kind::Throttled, action);
    }
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => failure.during(action),
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}

/// Tags a table. A restore takes no tags, so they come as soon as the table takes them. It is found by its name in any
/// case.
pub(crate) async fn tag(dynamodb: &Client, plan: &Plan, unit: &Unit, arn: &str) -> Result<(), Error> {
    let tags = tag::dynamodb(plan, unit);
    let tags = tags.map_err(|error| Error::new(Kind::Internal, format!("tag {arn}: {error}")))?;
    let result = dynamodb.tag_resource().resource_arn(arn).set_tags(Some(tags)).send().await;
    done(result).map_err(|failure| failure.during(format!("tag the table {arn}")))
}

/// Switches point-in-time recovery on, without which DynamoDB exports nothing.
pub(crate) async fn enable_recovery(dynamodb: &Client, name: &str) -> Result<(), Error> {
    let action = || format!("switch point-in-time recovery of {name} on");
    let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
    let wanted = wanted.map_err(|error| Error::new(Kind::Internal, format!("{}: {error}", action())))?;
    let result =
        dynamodb.update_continuous_backups().table_name(name).point_in_time_recovery_specification(wanted).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(()),
        // Of a table that only just became active.
        Err(failure) if failure.is(&["ContinuousBackupsUnavailableException"]) => {
            Err(failure.as_kind(Kind::Unavailable, action()))
        }
        Err(failure) => Err(failure.during(action())),
    }
}

/// Whether there is a point in time that a table can be exported at.
pub(crate) async fn is_recoverable(dynamodb: &Client, name: &str) -> Result<bool, Error> {
    let result = dynamodb.describe_continuous_backups().table_name(name).send().await;
    let action = || format!("look at the point-in-time recovery of {name}");
    let output = result.map_err(|error| CallError::of(&error).during(action()))?;
    let recovery = output.continuous_backups_description.and_then(|it| it.point_in_time_recovery_description);
    Ok(recovery.is_some_and(|recovery| {
        recovery.point_in_time_recovery_status() == Some(&PointInTimeRecoveryStatus::Enabled)
            && recovery.latest_restorable_date_time().is_some()
    }))
}

/// Deletes a table. It is busy while it is being restored, which cannot be stopped.
pub(crate) async fn delete(dynamodb: &Client, name: &str) -> Result<Removal, Error> {
    let result = dynamodb.delete_table().table_name(name).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(Removal::Begun),
        Err(failure) if failure.is(&["ResourceNotFoundException"]) => Ok(Removal::Gone),
        Err(failure) if failure.is(&["ResourceInUseException", "LimitExceededException"]) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("delete the table {name}"))),
    }
}
