//! Backups that are recovery points of AWS Backup: what stands behind them, and how they become tables again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::request::{required, table_name};
use super::service::{Dynamodb, Kept, Now, ask};
use super::table::{self, no_backup};
use crate::error::{Error, Result};
use crate::recovery_point::{RecoveryPointOptions, TableFate};
use crate::wire::ApiError;

/// The form of a recovery point's ARN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// DynamoDB's own: `…:dynamodb:…:table/T/backup/…`.
    Dynamodb,
    /// The vault's: `…:backup:…:recovery-point:…`.
    Vault,
}

/// How often a restore job looks at its table.
const POLL: Duration = Duration::from_millis(20);

/// A backup that was made, as a recovery point tells of it.
#[derive(Debug)]
pub(crate) struct BackedUp {
    pub(crate) arn: String,
    pub(crate) table_arn: String,
    pub(crate) size_bytes: u64,
}

/// Backs a table up as it is now.
pub(crate) async fn back_up(
    dynamodb: &Dynamodb,
    table: &str,
    form: Form,
    options: &RecoveryPointOptions,
) -> Result<BackedUp> {
    let failed = |error: ApiError| Error::Call {
        operation: format!("a backup of {table}"),
        message: format!("{}: {}", error.code, error.message),
    };
    let described = ask(dynamodb, "DescribeTable", &json!({"TableName": table})).await.map_err(failed)?;
    let name = format!("AWSBackup_{}", uuid::Uuid::new_v4());
    let made = ask(dynamodb, "CreateBackup", &json!({"TableName": table, "BackupName": name})).await.map_err(failed)?;
    let source = made["BackupDetails"]["BackupArn"].as_str().unwrap_or_default().to_owned();
    let arn = match form {
        Form::Dynamodb => source.clone(),
        Form::Vault => dynamodb.context.names.arn("backup", &format!("recovery-point:{}", uuid::Uuid::new_v4())),
    };
    let size_bytes = described["Table"]["TableSizeBytes"].as_u64().unwrap_or_default();
    let table_arn = described["Table"]["TableArn"].as_str().unwrap_or_default().to_owned();
    {
        let mut state = dynamodb.state();
        if form == Form::Vault {
            state.hidden.insert(source.clone());
        }
        let kept = Kept { source, fate: options.restored_table, size_bytes, encrypted: options.kms_key_arn.is_some() };
        state.backups.insert(arn.clone(), kept);
    }
    Ok(BackedUp { arn, table_arn, size_bytes })
}

impl Dynamodb {
    /// Removes what stands behind a recovery point; `false` when it is none of a table.
    pub(crate) fn remove_backup(&self, arn: &str) -> bool {
        let mut state = self.state();
        let Some(kept) = state.backups.remove(arn) else { return false };
        state.hidden.insert(kept.source);
        true
    }
}

pub(super) async fn describe(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let arn = required(body, "BackupArn")?;
    let kept = {
        let state = dynamodb.state();
        if state.hidden.contains(arn) {
            return Err(no_backup(arn));
        }
        state.backups.get(arn).cloned()
    };
    let mut answer = ask(dynamodb, "DescribeBackup", body).await?;
    if let Some(kept) = kept {
        let details = &mut answer["BackupDescription"]["BackupDetails"];
        details["BackupType"] = json!("AWS_BACKUP");
        details["BackupSizeBytes"] = json!(kept.size_bytes);
    }
    Ok(answer)
}

pub(super) async fn delete(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let arn = required(body, "BackupArn")?;
    {
        let state = dynamodb.state();
        if state.hidden.contains(arn) {
            return Err(no_backup(arn));
        }
        if state.backups.contains_key(arn) {
            let message = "Backups created by AWS Backup can only be deleted by AWS Backup";
            return Err(ApiError::new(400, "ValidationException", message));
        }
    }
    ask(dynamodb, "DeleteBackup", body).await
}

pub(super) async fn list(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let mut answer = ask(dynamodb, "ListBackups", body).await?;
    let state = dynamodb.state();
    if let Some(summaries) = answer["BackupSummaries"].as_array_mut() {
        let arn = |summary: &Value| summary["BackupArn"].as_str().unwrap_or_default().to_owned();
        summaries.retain(|summary| !state.hidden.contains(&arn(summary)));
        for summary in summaries.iter_mut().filter(|summary| state.backups.contains_key(&arn(summary))) {
            summary["BackupType"] = json!("AWS_BACKUP");
        }
        // The default is USER: backups of AWS Backup are told only to who asks for them.
        let kind = body.get("BackupType").and_then(Value::as_str).unwrap_or("USER");
        summaries.retain(|summary| kind == "ALL" || summary["BackupType"] == kind);
    }
    Ok(answer)
}

/// What `GetRecoveryPointRestoreMetadata` tells of a recovery point of a table; nothing for others.
pub(crate) fn metadata(dynamodb: &Dynamodb, arn: &str) -> Option<Value> {
    let state = dynamodb.state();
    let kept = state.backups.get(arn)?;
    let encryption = if kept.encrypted { "KMS" } else { "Default" };
    Some(json!({"originalTableName": table_name(&kept.source), "encryptionType": encryption, "targetTableName": ""}))
}

/// Restores a recovery point to a table, as a restore job does: `running` once it has begun, and then the ARN of the
/// table, or why there is none.
pub(crate) async fn restore_job(
    dynamodb: &Arc<Dynamodb>,
    arn: &str,
    target: &str,
    tags: Value,
    running: impl FnOnce(),
) -> Result<String, String> {
    let wait = dynamodb.context.options.restore_job / 2;
    tokio::time::sleep(wait).await;
    running();
    let kept = dynamodb.state().backups.get(arn).cloned();
    let kept = kept.ok_or_else(|| format!("There is no backup behind {arn}"))?;
    tokio::time::sleep(wait).await;
    if kept.fate == TableFate::Failed {
        return Err("Internal Failure: the restore of the table did not complete".to_owned());
    }
    let body = json!({"TargetTableName": target, "BackupArn": kept.source});
    let restored = table::restore(dynamodb, &body, kept.fate).await;
    let restored = restored.map_err(|error| format!("{}: {}", error.code, error.message))?;
    while dynamodb.now(target) == Now::Creating {
        tokio::time::sleep(POLL).await;
    }
    let table_arn = restored["TableDescription"]["TableArn"].as_str().unwrap_or_default().to_owned();
    if tags.as_array().is_some_and(|tags| !tags.is_empty()) {
        let tagged = ask(dynamodb, "TagResource", &json!({"ResourceArn": table_arn, "Tags": tags})).await;
        tagged.map_err(|error| format!("{}: {}", error.code, error.message))?;
    }
    Ok(table_arn)
}
