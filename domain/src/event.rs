//! What starts an export: four event shapes of AWS Backup, or a person's hand.
//!
//! Parsed tolerantly, as events come with strings for numbers, `{}` for absent strings and states that are not in the
//! documentation. An event only says *which* recovery point; its facts are read again from AWS Backup.

use serde::Deserialize;
use serde_json::Value;

use crate::arn::RecoveryPointArn;
use crate::id::VaultName;

/// Which recovery point to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    pub recovery_point: RecoveryPointArn,
    /// The vault in which it lies.
    pub vault: VaultName,
    /// 0, or higher when a person wants an already exported recovery point exported anew.
    pub generation: u32,
}

/// What an input asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Export this.
    Export(ExportRequest),
    /// Nothing to do, and why: an event of a state that makes no recovery point usable.
    Ignore(String),
}

/// An input of no known shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; expected an AWS Backup event (Backup Job, Copy Job or Recovery Point State Change) or \
     {{\"recoveryPointArn\": \"arn:…\", \"backupVaultName\": \"…\"}}"
)]
pub struct MalformedInput {
    problem: String,
}

fn malformed(problem: impl Into<String>) -> MalformedInput {
    MalformedInput { problem: problem.into() }
}

/// A hand start. Unknown keys are refused, so that a misspelt one is not silently ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HandStart {
    recovery_point_arn: String,
    backup_vault_name: String,
    #[serde(default)]
    generation: u32,
}

/// Parses the input of an execution.
pub fn parse(input: &Value) -> Result<Input, MalformedInput> {
    let Value::Object(fields) = input else {
        return Err(malformed("the input is not a JSON object"));
    };
    if fields.contains_key("recoveryPointArn") || fields.contains_key("backupVaultName") {
        let hand: HandStart =
            serde_json::from_value(input.clone()).map_err(|error| malformed(format!("hand start: {error}")))?;
        return export(&hand.recovery_point_arn, &hand.backup_vault_name, hand.generation);
    }
    let (Some(detail_type), Some(detail)) =
        (input.get("detail-type").and_then(Value::as_str), input.get("detail").filter(|d| d.is_object()))
    else {
        return Err(malformed("the input has neither recoveryPointArn nor detail-type and detail"));
    };
    match detail_type {
        "Backup Job State Change" => finished(detail, "state", &["COMPLETED"], || backup_job(input, detail)),
        "Recovery Point State Change" => {
            finished(detail, "status", &["COMPLETED", "AVAILABLE"], || backup_job(input, detail))
        }
        "Copy Job State Change" => finished(detail, "state", &["COMPLETED"], || copy_job(detail)),
        "AWS Service Event via CloudTrail" => service_event(detail),
        other => Err(malformed(format!("events of detail-type {other:?} start no export"))),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn finished(
    detail: &Value,
    key: &str,
    usable: &[&str],
    then: impl FnOnce() -> Result<Input, MalformedInput>,
) -> Result<Input, MalformedInput> {
    let state = text(detail, key).ok_or_else(|| malformed(format!("the event's detail has no {key}")))?;
    if usable.contains(&state) {
        then()
    } else {
        Ok(Input::Ignore(format!("the event's {key} is {state}: there is no finished recovery point to export")))
    }
}

fn backup_job(event: &Value, detail: &Value) -> Result<Input, MalformedInput> {
    let arn = event
        .get("resources")
        .and_then(|resources| resources.get(0))
        .and_then(Value::as_str)
        .or_else(|| text(detail, "recoveryPointArn"))
        .ok_or_else(|| malformed("the event's resources name no recovery point"))?;
    export(arn, vault(detail, "backupVaultName", "backupVaultArn")?, 0)
}

fn copy_job(detail: &Value) -> Result<Input, MalformedInput> {
    let arn = text(detail, "destinationRecoveryPointArn")
        .ok_or_else(|| malformed("the copy job's event has no destinationRecoveryPointArn"))?;
    export(arn, vault(detail, "destinationBackupVaultName", "destinationBackupVaultArn")?, 0)
}

fn service_event(detail: &Value) -> Result<Input, MalformedInput> {
    let name = text(detail, "eventName").unwrap_or_default();
    if name != "BackupJobCompleted" {
        return Ok(Input::Ignore(format!("the service event {name:?} makes no recovery point")));
    }
    let job = detail
        .get("serviceEventDetails")
        .filter(|job| job.is_object())
        .ok_or_else(|| malformed("the service event has no serviceEventDetails"))?;
    finished(job, "state", &["COMPLETED"], || {
        let arn =
            text(job, "recoveryPointArn").ok_or_else(|| malformed("the service event has no recoveryPointArn"))?;
        export(arn, vault(job, "backupVaultName", "backupVaultArn")?, 0)
    })
}

/// The vault by its name, or by its ARN: `…:backup-vault:NAME`.
fn vault<'a>(detail: &'a Value, name_key: &str, arn_key: &str) -> Result<&'a str, MalformedInput> {
    text(detail, name_key)
        .or_else(|| text(detail, arn_key).and_then(|arn| arn.split_once(":backup-vault:")).map(|(_, name)| name))
        .ok_or_else(|| malformed(format!("the event has neither {name_key} nor {arn_key}")))
}

fn export(arn: &str, vault: &str, generation: u32) -> Result<Input, MalformedInput> {
    Ok(Input::Export(ExportRequest {
        recovery_point: arn.parse().map_err(|error| malformed(format!("{error}")))?,
        vault: vault.parse().map_err(|error| malformed(format!("{error}")))?,
        generation,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0";

    fn request(generation: u32) -> Input {
        Input::Export(ExportRequest {
            recovery_point: ARN.parse().unwrap(),
            vault: "Default".parse().unwrap(),
            generation,
        })
    }

    fn backup_job_event(state: &str) -> Value {
        json!({
            "version": "0", "source": "aws.backup", "detail-type": "Backup Job State Change", "resources": [ARN],
            "detail": {
                "backupJobId": "1", "backupVaultName": "Default", "resourceType": "EBS", "state": state,
                "backupSizeInBytes": "8589934592",
                "backupVaultArn": "arn:aws:backup:us-east-1:123456789012:backup-vault:Default"
            }
        })
    }

    #[test]
    fn all_shapes_ask_for_the_same_export() {
        let recovery_point = json!({
            "detail-type": "Recovery Point State Change", "resources": [ARN],
            "detail": {"backupVaultName": "Default", "status": "AVAILABLE", "isEncrypted": "false"}
        });
        let copy = json!({
            "detail-type": "Copy Job State Change",
            "resources": ["arn:aws:ec2:eu-west-1::snapshot/snap-0aaaaaaaaaaaaaaaa"],
            "detail": {
                "state": "COMPLETED", "destinationRecoveryPointArn": ARN, "backupSizeInBytes": 1,
                "destinationBackupVaultArn": "arn:aws:backup:us-east-1:123456789012:backup-vault:Default"
            }
        });
        let service = json!({
            "detail-type": "AWS Service Event via CloudTrail",
            "detail": {
                "eventName": "BackupJobCompleted",
                "serviceEventDetails": {
                    "state": "COMPLETED", "recoveryPointArn": ARN, "backupVaultName": "Default",
                    "creationDate": {"seconds": 1, "nanos": 0}
                }
            }
        });
        let hand = json!({"recoveryPointArn": ARN, "backupVaultName": "Default"});
        for input in [backup_job_event("COMPLETED"), recovery_point, copy, service, hand] {
            assert_eq!(parse(&input), Ok(request(0)), "{input}");
        }
    }

    #[test]
    fn unfinished_and_unknown_states_start_nothing() {
        for state in ["RUNNING", "FAILED", "PARTIAL", "SOMETHING_NEW"] {
            assert!(matches!(parse(&backup_job_event(state)), Ok(Input::Ignore(why)) if why.contains(state)));
        }
        let copying = json!({
            "detail-type": "Copy Job State Change",
            "detail": {"state": "RUNNING", "destinationRecoveryPointArn": {}}
        });
        assert!(matches!(parse(&copying), Ok(Input::Ignore(_))));
    }

    #[test]
    fn a_person_may_ask_for_a_new_generation() {
        let hand = json!({"recoveryPointArn": ARN, "backupVaultName": "Default", "generation": 2});
        assert_eq!(parse(&hand), Ok(request(2)));
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (input, why) in [
            (json!([]), "not a JSON object"),
            (json!({}), "neither recoveryPointArn"),
            (json!({"recoveryPointArn": ARN}), "backupVaultName"),
            (json!({"recoveryPointArn": ARN, "backupVaultName": "D", "genration": 1}), "genration"),
            (json!({"recoveryPointArn": "snap-1", "backupVaultName": "D"}), "snap-1"),
            (json!({"detail-type": "EC2 Instance State-change Notification", "detail": {}}), "EC2 Instance"),
            (json!({"detail-type": "Backup Job State Change", "detail": {"state": "COMPLETED"}}), "resources"),
            (json!({"detail-type": "Backup Job State Change", "detail": {}}), "no state"),
            (
                json!({
                    "detail-type": "Copy Job State Change",
                    "detail": {"state": "COMPLETED", "destinationRecoveryPointArn": {}}
                }),
                "destinationRecoveryPointArn",
            ),
        ] {
            let error = parse(&input).unwrap_err().to_string();
            assert!(error.contains(why), "{input}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_json_panics(text in "\\PC*", key in "detail|resources|detail-type|state|recoveryPointArn") {
            let _ = parse(&json!({ key: text }));
        }
    }
}
