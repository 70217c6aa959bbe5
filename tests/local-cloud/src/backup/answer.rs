//! The Backup operations.

use std::sync::Arc;

use http::request::Parts;
use serde_json::{Value, json};

use super::point::RecoveryPoint;
use super::refusal::{check_arn, no_point, no_vault};
use super::restore;
use super::service::Backup;
use crate::dynamodb;
use crate::wire::{Answer, ApiError, Call, answer as http_answer, json_answer, path_segments, query_pairs};

/// The operation and the recovery point or vault that a request names.
pub(crate) fn identify(parts: &Parts) -> (String, String) {
    let segments = path_segments(parts.uri.path());
    let mut names: Vec<&str> = segments.iter().map(String::as_str).collect();
    if names.last() == Some(&"") {
        names.pop();
    }
    let (operation, resource) = match (parts.method.as_str(), names.as_slice()) {
        ("GET", ["backup-vaults"]) => ("ListBackupVaults", ""),
        ("GET", ["backup-vaults", vault]) => ("DescribeBackupVault", *vault),
        ("PUT", ["backup-vaults", vault]) => ("CreateBackupVault", *vault),
        ("GET", ["backup-vaults", vault, "recovery-points"]) => ("ListRecoveryPointsByBackupVault", *vault),
        ("GET", ["backup-vaults", _, "recovery-points", arn]) => ("DescribeRecoveryPoint", *arn),
        ("DELETE", ["backup-vaults", _, "recovery-points", arn]) => ("DeleteRecoveryPoint", *arn),
        ("GET", ["backup-vaults", _, "recovery-points", arn, "restore-metadata"]) => {
            ("GetRecoveryPointRestoreMetadata", *arn)
        }
        ("GET", ["tags", arn]) => ("ListTags", *arn),
        ("PUT", ["restore-jobs"]) => ("StartRestoreJob", ""),
        ("GET", ["restore-jobs", id]) => ("DescribeRestoreJob", *id),
        _ => ("Other", ""),
    };
    (operation.to_owned(), resource.to_owned())
}

pub(crate) fn answer(backup: &Arc<Backup>, call: &Call) -> Answer {
    let segments = path_segments(call.parts.uri.path());
    let segment = |at: usize| segments.get(at).map(String::as_str).unwrap_or_default();
    match call.operation.as_str() {
        "ListBackupVaults" => {
            let state = backup.state();
            let list: Vec<Value> = state.vaults.keys().map(|name| vault_view(backup, name, 0)).collect();
            Ok(json_answer(200, &json!({"BackupVaultList": list})))
        }
        "DescribeBackupVault" => {
            let state = backup.state();
            let points = state.vaults.get(segment(1)).ok_or_else(|| no_vault(segment(1)))?;
            Ok(json_answer(200, &vault_view(backup, segment(1), points.len())))
        }
        "CreateBackupVault" => {
            backup.create_vault(segment(1));
            Ok(json_answer(200, &vault_view(backup, segment(1), 0)))
        }
        "ListRecoveryPointsByBackupVault" => list_points(backup, call, segment(1)),
        "DescribeRecoveryPoint" => describe_point(backup, segment(1), segment(3)),
        "DeleteRecoveryPoint" => delete_point(backup, segment(1), segment(3)),
        "GetRecoveryPointRestoreMetadata" => {
            let state = backup.state();
            let point = state
                .vaults
                .get(segment(1))
                .ok_or_else(|| no_vault(segment(1)))?
                .get(segment(3))
                .ok_or_else(|| no_point(segment(3)))?;
            let volume =
                || json!({"encrypted": point.options.kms_key_arn.is_some().to_string(), "availabilityZone": ""});
            let metadata = dynamodb::restore_metadata(&backup.dynamodb, &point.arn).unwrap_or_else(volume);
            Ok(json_answer(
                200,
                &json!({"BackupVaultArn": backup.context.names.vault(segment(1)), "RecoveryPointArn": point.arn, "RestoreMetadata": metadata}),
            ))
        }
        "ListTags" => {
            let state = backup.state();
            let found = state.vaults.values().find_map(|points| points.get(segment(1)));
            let point = found.ok_or_else(|| no_point(segment(1)))?;
            Ok(json_answer(200, &json!({"Tags": point.options.tags})))
        }
        "StartRestoreJob" => restore::start(backup, &call.json()?),
        "DescribeRestoreJob" => {
            let state = backup.state();
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

fn vault_view(backup: &Backup, name: &str, points: usize) -> Value {
    json!({"BackupVaultName": name, "BackupVaultArn": backup.context.names.vault(name), "NumberOfRecoveryPoints": points,
        "VaultType": "BACKUP_VAULT", "VaultState": "AVAILABLE", "Locked": false})
}

fn list_points(backup: &Backup, call: &Call, vault: &str) -> Answer {
    let query = query_pairs(call.parts.uri.query().unwrap_or_default());
    let state = backup.state();
    let points = state.vaults.get(vault).ok_or_else(|| no_vault(vault))?;
    let of = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let time = |name: &str| query.get(name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let chosen = |point: &&RecoveryPoint| {
        of("resourceType", &point.resource_type)
            && of("resourceArn", &point.resource_arn)
            && time("createdBefore").is_none_or(|limit| point.created < limit)
            && time("createdAfter").is_none_or(|limit| point.created > limit)
    };
    let found: Vec<Value> =
        points.values().filter(chosen).map(|point| point.describe(&backup.context.names, vault)).collect();
    let start = query.get("nextToken").and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    let most = query.get("maxResults").and_then(|most| most.parse().ok()).unwrap_or(1000_usize);
    let next = (found.len() > start + most).then(|| (start + most).to_string());
    let page: Vec<Value> = found.into_iter().skip(start).take(most).collect();
    Ok(json_answer(200, &json!({"RecoveryPoints": page, "NextToken": next})))
}

fn describe_point(backup: &Backup, vault: &str, arn: &str) -> Answer {
    check_arn(arn)?;
    let mut state = backup.state();
    let points = state.vaults.get_mut(vault).ok_or_else(|| no_vault(vault))?;
    let point = points.get_mut(arn).ok_or_else(|| no_point(arn))?;
    let view = point.describe(&backup.context.names, vault);
    match &mut point.lingers {
        None => Ok(json_answer(200, &view)),
        Some(0) => {
            points.remove(arn);
            backup.remove_content(arn);
            Err(no_point(arn))
        }
        Some(times) => {
            *times -= 1;
            Ok(json_answer(200, &view))
        }
    }
}

fn delete_point(backup: &Backup, vault: &str, arn: &str) -> Answer {
    check_arn(arn)?;
    let mut state = backup.state();
    let points = state.vaults.get_mut(vault).ok_or_else(|| no_vault(vault))?;
    let point = points.get_mut(arn).ok_or_else(|| no_point(arn))?;
    let gone = point.delete().map_err(|(code, message)| ApiError::new(400, &code, message))?;
    if gone {
        points.remove(arn);
        backup.remove_content(arn);
    }
    Ok(http_answer(200, "application/json", ""))
}
