//! The Backup operations.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{RecoveryPoint, remove_content, restore};
use crate::dynamodb;
use crate::gateway::Shared;
use crate::wire::{Answer, ApiError, Call, answer as http_answer, json_answer, path_segments, query_pairs};

fn no_vault(vault: &str) -> ApiError {
    // The service tells nobody whether a vault exists that is not theirs.
    ApiError::new(400, "ResourceNotFoundException", format!("Backup vault {vault} does not exist."))
}

pub(super) fn no_point(arn: &str) -> ApiError {
    ApiError::new(400, "ResourceNotFoundException", format!("Cannot find recovery point {arn}."))
}

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let segments = path_segments(call.parts.uri.path());
    let segment = |at: usize| segments.get(at).map(String::as_str).unwrap_or_default();
    match call.operation.as_str() {
        "ListBackupVaults" => {
            let state = shared.backup.state();
            let list: Vec<Value> = state.vaults.keys().map(|name| vault_view(shared, name, 0)).collect();
            Ok(json_answer(200, &json!({"BackupVaultList": list})))
        }
        "DescribeBackupVault" => {
            let state = shared.backup.state();
            let points = state.vaults.get(segment(1)).ok_or_else(|| no_vault(segment(1)))?;
            Ok(json_answer(200, &vault_view(shared, segment(1), points.len())))
        }
        "CreateBackupVault" => {
            shared.backup.create_vault(segment(1));
            Ok(json_answer(200, &vault_view(shared, segment(1), 0)))
        }
        "ListRecoveryPointsByBackupVault" => list_points(shared, call, segment(1)),
        "DescribeRecoveryPoint" => describe_point(shared, segment(1), segment(3)),
        "DeleteRecoveryPoint" => delete_point(shared, segment(1), segment(3)),
        "GetRecoveryPointRestoreMetadata" => {
            let state = shared.backup.state();
            let point = state
                .vaults
                .get(segment(1))
                .ok_or_else(|| no_vault(segment(1)))?
                .get(segment(3))
                .ok_or_else(|| no_point(segment(3)))?;
            let volume =
                || json!({"encrypted": point.options.kms_key_arn.is_some().to_string(), "availabilityZone": ""});
            let metadata = dynamodb::restore_metadata(shared, &point.arn).unwrap_or_else(volume);
            Ok(json_answer(
                200,
                &json!({"BackupVaultArn": shared.names.vault(segment(1)), "RecoveryPointArn": point.arn, "RestoreMetadata": metadata}),
            ))
        }
        "ListTags" => {
            let state = shared.backup.state();
            let found = state.vaults.values().find_map(|points| points.get(segment(1)));
            let point = found.ok_or_else(|| no_point(segment(1)))?;
            Ok(json_answer(200, &json!({"Tags": point.options.tags})))
        }
        "StartRestoreJob" => restore::start(shared, &call.json()?),
        "DescribeRestoreJob" => {
            let state = shared.backup.state();
            let job = state.restore_jobs.get(segment(1));
            let missing = || {
                ApiError::new(400, "ResourceNotFoundException", format!("Restore job {} does not exist.", segment(1)))
            };
            Ok(json_answer(200, job.ok_or_else(missing)?))
        }
        _ => Err(ApiError::new(
            501,
            "NotImplemented",
            format!("backup {} {} is not played", call.parts.method, call.parts.uri.path()),
        )),
    }
}

fn vault_view(shared: &Shared, name: &str, points: usize) -> Value {
    json!({"BackupVaultName": name, "BackupVaultArn": shared.names.vault(name), "NumberOfRecoveryPoints": points,
        "VaultType": "BACKUP_VAULT", "VaultState": "AVAILABLE", "Locked": false})
}

fn list_points(shared: &Shared, call: &Call, vault: &str) -> Answer {
    let query = query_pairs(call.parts.uri.query().unwrap_or_default());
    let state = shared.backup.state();
    let points = state.vaults.get(vault).ok_or_else(|| no_vault(vault))?;
    let of = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let time = |name: &str| query.get(name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let chosen = |point: &&RecoveryPoint| {
        of("resourceType", &point.resource_type)
            && of("resourceArn", &point.resource_arn)
            && time("createdBefore").is_none_or(|limit| point.created < limit)
            && time("createdAfter").is_none_or(|limit| point.created > limit)
    };
    let found: Vec<Value> = points.values().filter(chosen).map(|point| point.describe(shared, vault)).collect();
    let start = query.get("nextToken").and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    let most = query.get("maxResults").and_then(|most| most.parse().ok()).unwrap_or(1000_usize);
    let next = (found.len() > start + most).then(|| (start + most).to_string());
    let page: Vec<Value> = found.into_iter().skip(start).take(most).collect();
    Ok(json_answer(200, &json!({"RecoveryPoints": page, "NextToken": next})))
}

pub(super) fn check_arn(arn: &str) -> Result<(), ApiError> {
    if arn.starts_with("arn:") {
        return Ok(());
    }
    Err(ApiError::new(400, "InvalidParameterValueException", format!("Invalid recovery point ARN: {arn}")))
}

fn describe_point(shared: &Shared, vault: &str, arn: &str) -> Answer {
    check_arn(arn)?;
    let mut state = shared.backup.state();
    let points = state.vaults.get_mut(vault).ok_or_else(|| no_vault(vault))?;
    let point = points.get_mut(arn).ok_or_else(|| no_point(arn))?;
    let view = point.describe(shared, vault);
    match &mut point.lingers {
        None => Ok(json_answer(200, &view)),
        Some(0) => {
            points.remove(arn);
            remove_content(shared, arn);
            Err(no_point(arn))
        }
        Some(times) => {
            *times -= 1;
            Ok(json_answer(200, &view))
        }
    }
}

fn delete_point(shared: &Shared, vault: &str, arn: &str) -> Answer {
    check_arn(arn)?;
    let mut state = shared.backup.state();
    let points = state.vaults.get_mut(vault).ok_or_else(|| no_vault(vault))?;
    let point = points.get_mut(arn).ok_or_else(|| no_point(arn))?;
    let gone = point.delete().map_err(|(code, message)| ApiError::new(400, &code, message))?;
    if gone {
        points.remove(arn);
        remove_content(shared, arn);
    }
    Ok(http_answer(200, "application/json", ""))
}
