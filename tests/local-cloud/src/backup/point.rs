//! A recovery point, and how AWS Backup shows it.

use serde_json::{Value, json};

use crate::options::Names;
use crate::recovery_point::{Deletion, RecoveryPointOptions};

#[derive(Debug, Clone)]
pub(super) struct RecoveryPoint {
    pub(super) arn: String,
    pub(super) options: RecoveryPointOptions,
    pub(super) resource_arn: String,
    pub(super) resource_type: String,
    pub(super) created: jiff::Timestamp,
    pub(super) size_bytes: u64,
    /// Descriptions left before it is gone, once it was deleted.
    pub(super) lingers: Option<u32>,
}

impl RecoveryPoint {
    /// The fields of `DescribeRecoveryPoint`.
    pub(super) fn describe(&self, names: &Names, vault: &str) -> Value {
        let seconds = Value::from(self.created.as_second());
        let mut view = json!({
            "RecoveryPointArn": self.arn, "BackupVaultName": vault, "BackupVaultArn": names.vault(vault),
            "ResourceArn": self.resource_arn, "ResourceType": self.resource_type, "Status": self.options.status,
            "IamRoleArn": format!("arn:{}:iam::{}:role/service-role/AWSBackupDefaultServiceRole", names.partition, names.account_id),
            "CreationDate": seconds, "CompletionDate": seconds, "BackupSizeInBytes": self.size_bytes, "IsEncrypted": self.options.kms_key_arn.is_some(),
            "StorageClass": self.options.storage_class, "IsParent": false, "VaultType": "BACKUP_VAULT",
        });
        if let Some(message) = &self.options.status_message {
            view["StatusMessage"] = json!(message);
        }
        if let Some(key) = &self.options.kms_key_arn {
            view["EncryptionKeyArn"] = json!(key);
        }
        view
    }

    /// What a deletion does to it: an error, or whether it is gone at once.
    pub(super) fn delete(&mut self) -> Result<bool, (String, String)> {
        match &self.options.deletion {
            Deletion::AtOnce => return Ok(true),
            Deletion::Refused { code, message } => return Err((code.clone(), message.clone())),
            Deletion::After(times) => self.lingers = Some(*times),
            Deletion::Never => {}
        }
        "EXPIRED".clone_into(&mut self.options.status);
        Ok(false)
    }
}
