//! What DynamoDB says of a backup.

use std::collections::BTreeMap;

use aws::CallError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::BackupStatus;
use domain::arn::{RecoveryPointArn, RecoveryPointKind};
use domain::facts::{Facts, TableFacts};
use domain::failure::Error;

/// Adds what DynamoDB says of the backup, or AWS Backup of one that it keeps itself; nothing where neither knows it.
pub(super) async fn describe(
    backup: &aws_sdk_backup::Client,
    dynamodb: &Client,
    arn: &RecoveryPointArn,
    facts: &mut Facts,
) -> Result<(), Error> {
    if matches!(arn.kind(), RecoveryPointKind::Vaulted(_)) {
        if facts.resource_type == "DynamoDB" {
            facts.tags = tags_in_vault(backup, arn).await?;
            facts.table = Some(TableFacts { status: None, size_bytes: facts.size_bytes });
        }
        return Ok(());
    }
    let result = dynamodb.describe_backup().backup_arn(arn.as_str()).send().await;
    let output = match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => output,
        Err(failure) if failure.is(&["BackupNotFoundException"]) => return Ok(()),
        Err(failure) => return Err(failure.during(format!("describe the backup {arn}"))),
    };
    let details = output.backup_description.and_then(|backup| backup.backup_details);
    facts.table = details.map(|details| TableFacts {
        status: Some(BackupStatus::as_str(&details.backup_status).to_owned()),
        size_bytes: details.backup_size_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    });
    Ok(())
}

async fn tags_in_vault(
    backup: &aws_sdk_backup::Client,
    arn: &RecoveryPointArn,
) -> Result<BTreeMap<String, String>, Error> {
    let result = backup.list_tags().resource_arn(arn.as_str()).send().await;
    let output = result.map_err(|error| CallError::of(&error).during(format!("list the tags of {arn}")))?;
    Ok(output.tags.unwrap_or_default().into_iter().collect())
}
