//! The events that AWS Backup sends about a recovery point.

use serde_json::{Value, json};

use super::service::Backup;
use crate::error::{Error, Result};
use crate::recovery_point::EventShape;

/// The event about a recovery point, in one of its shapes.
pub(crate) fn event_of(backup: &Backup, vault: &str, arn: &str, shape: EventShape) -> Result<Value> {
    let names = &backup.context.names;
    let state = backup.state();
    let point = state
        .vaults
        .get(vault)
        .and_then(|points| points.get(arn))
        .ok_or_else(|| Error::Missing { kind: "recovery point", name: arn.to_owned() })?;
    let time = point.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let vault_arn = names.vault(vault);
    let job_id = uuid::Uuid::new_v4().to_string();
    let (kind, resources, detail) = match shape {
        EventShape::BackupJob => (
            "Backup Job State Change",
            json!([arn]),
            json!({"backupJobId": job_id, "backupSizeInBytes": point.size_bytes.to_string(), "backupVaultArn": vault_arn, "backupVaultName": vault,
                "bytesTransferred": "0", "creationDate": time, "completionDate": time, "iamRoleArn": format!("arn:{}:iam::{}:role/backup", names.partition, names.account_id),
                "resourceArn": point.resource_arn, "resourceType": point.resource_type, "state": "COMPLETED", "percentDone": "100.0", "startBy": time}),
        ),
        EventShape::RecoveryPoint => (
            "Recovery Point State Change",
            json!([arn]),
            json!({"backupVaultName": vault, "backupVaultArn": vault_arn, "creationDate": time, "completionDate": time,
                "iamRoleArn": format!("arn:{}:iam::{}:role/backup", names.partition, names.account_id), "resourceType": point.resource_type,
                "resourceArn": point.resource_arn, "status": point.options.status, "isEncrypted": point.options.kms_key_arn.is_some().to_string(),
                "storageClass": point.options.storage_class, "lifecycle": {}, "calculatedLifeCycle": {}}),
        ),
        EventShape::CopyJob => (
            "Copy Job State Change",
            // The source of the copy; the recovery point that is meant is the destination.
            json!([names.arn("backup", "recovery-point:00000000-0000-4000-8000-000000000000")]),
            json!({"copyJobId": job_id, "backupSizeInBytes": point.size_bytes, "creationDate": time, "completionDate": time,
                "iamRoleArn": format!("arn:{}:iam::{}:role/backup", names.partition, names.account_id), "resourceArn": point.resource_arn,
                "resourceType": point.resource_type, "sourceBackupVaultArn": names.vault("source"), "state": "COMPLETED",
                "destinationBackupVaultArn": vault_arn, "destinationRecoveryPointArn": arn}),
        ),
        EventShape::CloudTrail => (
            "AWS Service Event via CloudTrail",
            json!([]),
            json!({"eventVersion": "1.05", "userIdentity": {"invokedBy": "backup.amazonaws.com"}, "eventTime": time, "eventSource": "backup.amazonaws.com",
                "eventName": "BackupJobCompleted", "awsRegion": names.region, "eventType": "AwsServiceEvent", "recipientAccountId": names.account_id,
                "serviceEventDetails": {"completionDate": {"seconds": point.created.as_second(), "nanos": 0}, "state": "COMPLETED", "percentDone": 100,
                    "backupJobId": job_id, "backupVaultName": vault, "backupVaultArn": vault_arn, "recoveryPointArn": arn,
                    "resourceArn": point.resource_arn, "resourceType": point.resource_type,
                    "creationDate": {"seconds": point.created.as_second(), "nanos": 0}}}),
        ),
    };
    Ok(json!({"version": "0", "id": uuid::Uuid::new_v4().to_string(), "detail-type": kind, "source": "aws.backup",
        "account": names.account_id, "time": time, "region": names.region, "resources": resources, "detail": detail}))
}
