//! Restore jobs: of EBS recovery points, done at once, and of DynamoDB's, PENDING and RUNNING for a while.

use std::sync::Arc;

use serde_json::{Value, json};

use super::RecoveryPoint;
use super::answer::{check_arn, no_point};
use crate::gateway::Shared;
use crate::wire::{Answer, ApiError, json_answer};
use crate::{dynamodb, ec2};

pub(super) fn start(shared: &Arc<Shared>, body: &Value) -> Answer {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let arn = text("RecoveryPointArn").unwrap_or_default();
    check_arn(arn)?;
    let mut state = shared.backup.state();
    if let Some(id) = text("IdempotencyToken").and_then(|token| state.restore_tokens.get(token)) {
        return Ok(json_answer(200, &json!({"RestoreJobId": id})));
    }
    let found = state.vaults.iter().find_map(|(vault, points)| Some((vault.clone(), points.get(arn)?.clone())));
    let (vault, point) = found.ok_or_else(|| no_point(arn))?;
    let id = uuid::Uuid::new_v4().to_string();
    let job = json!({"RestoreJobId": id, "RecoveryPointArn": arn, "ResourceType": point.resource_type,
        "SourceResourceArn": point.resource_arn, "BackupVaultArn": shared.names.vault(&vault),
        "BackupSizeInBytes": point.size_bytes, "IamRoleArn": text("IamRoleArn"),
        "CreationDate": jiff::Timestamp::now().as_second()});
    let job = match arn.rsplit_once("snapshot/") {
        _ if point.resource_type == "DynamoDB" => table(shared, &point, body, &id, job)?,
        Some((_, snapshot)) => volume(shared, snapshot, body, job)?,
        None => {
            return Err(ApiError::new(400, "InvalidParameterValueException", format!("Restoring {arn} is not played")));
        }
    };
    state.restore_jobs.insert(id.clone(), job);
    if let Some(token) = text("IdempotencyToken") {
        state.restore_tokens.insert(token.to_owned(), id.clone());
    }
    Ok(json_answer(200, &json!({"RestoreJobId": id})))
}

fn metadata<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get("Metadata").and_then(|metadata| metadata.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// Restores a snapshot to a volume.
fn volume(shared: &Arc<Shared>, snapshot: &str, body: &Value, mut job: Value) -> Result<Value, ApiError> {
    let volume = ec2::create_of_snapshot(shared, snapshot, metadata(body, "availabilityZone"))?;
    job["Status"] = json!("COMPLETED");
    job["PercentDone"] = json!("100.00%");
    job["CreatedResourceArn"] = json!(shared.names.volume(&volume));
    Ok(job)
}

/// Begins to restore a backup to a table.
fn table(
    shared: &Arc<Shared>,
    point: &RecoveryPoint,
    body: &Value,
    id: &str,
    mut job: Value,
) -> Result<Value, ApiError> {
    if job["IamRoleArn"].is_null() {
        return Err(ApiError::new(400, "MissingParameterValueException", "IamRoleArn is required"));
    }
    let target = metadata(body, "targetTableName").to_owned();
    if target.is_empty() {
        return Err(ApiError::new(400, "InvalidParameterValueException", "Metadata must have targetTableName"));
    }
    let encryption = metadata(body, "encryptionType");
    if !["", "Default", "DynamoDB", "KMS"].contains(&encryption) {
        let message = format!("encryptionType {encryption} is not one of Default, DynamoDB, KMS");
        return Err(ApiError::new(400, "InvalidParameterValueException", message));
    }
    job["Status"] = json!("PENDING");
    job["PercentDone"] = json!("0.00%");
    let copied = body.get("CopySourceTagsToRestoredResource").is_some_and(|copied| copied == true);
    let tags = point.options.tags.iter().filter(|_| copied).map(|(key, value)| json!({"Key": key, "Value": value}));
    let tags: Value = tags.collect();
    let (shared, arn, id) = (Arc::clone(shared), point.arn.clone(), id.to_owned());
    tokio::spawn(async move {
        let set = |fields: &[(&str, Value)]| {
            let mut state = shared.backup.state();
            if let Some(job) = state.restore_jobs.get_mut(&id) {
                for (name, value) in fields {
                    job[*name] = value.clone();
                }
            }
        };
        let running = || set(&[("Status", json!("RUNNING"))]);
        let restored = dynamodb::restore_job(&shared, &arn, &target, tags, running).await;
        let end = ("CompletionDate", json!(jiff::Timestamp::now().as_second()));
        match restored {
            Ok(table) => set(&[
                ("Status", json!("COMPLETED")),
                ("PercentDone", json!("100.00%")),
                ("CreatedResourceArn", json!(table)),
                end,
            ]),
            Err(message) => set(&[("Status", json!("FAILED")), ("StatusMessage", json!(message)), end]),
        }
    });
    Ok(job)
}
