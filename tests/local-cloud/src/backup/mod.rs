//! AWS Backup: vaults and recovery points. Restore jobs are played for EBS and DynamoDB.

mod answer;
mod event;
mod restore;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use serde_json::{Value, json};

pub(crate) use self::answer::answer;
use crate::ec2::{self, Image, Snapshot};
use crate::error::{Error, Result};
use crate::gateway::Shared;
use crate::rds::{self, DatabaseSource};
use crate::recovery_point::{Deletion, RecoveryPointOptions, VolumeImage};
use crate::wire::path_segments;

/// The vaults of one region.
#[derive(Debug, Default)]
pub(crate) struct Backup {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Recovery points by vault and ARN.
    vaults: BTreeMap<String, BTreeMap<String, RecoveryPoint>>,
    restore_jobs: BTreeMap<String, Value>,
    /// IdempotencyToken → the restore job that was started.
    restore_tokens: BTreeMap<String, String>,
}

/// A recovery point.
#[derive(Debug, Clone)]
struct RecoveryPoint {
    arn: String,
    options: RecoveryPointOptions,
    resource_arn: String,
    resource_type: String,
    created: jiff::Timestamp,
    size_bytes: u64,
    /// Descriptions left before it is gone, once it was deleted.
    lingers: Option<u32>,
}

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

impl Backup {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create_vault(&self, name: &str) {
        self.state().vaults.entry(name.to_owned()).or_default();
    }

    fn add(&self, vault: &str, point: RecoveryPoint) -> Result<()> {
        let mut state = self.state();
        let points =
            state.vaults.get_mut(vault).ok_or_else(|| Error::Missing { kind: "vault", name: vault.to_owned() })?;
        points.insert(point.arn.clone(), point);
        Ok(())
    }

    pub(crate) fn describe(&self, shared: &Shared, vault: &str, arn: &str) -> Option<Value> {
        self.state().vaults.get(vault)?.get(arn).map(|point| point.describe(shared, vault))
    }
}

impl RecoveryPoint {
    /// The fields of `DescribeRecoveryPoint`.
    fn describe(&self, shared: &Shared, vault: &str) -> Value {
        let seconds = Value::from(self.created.as_second());
        let mut view = json!({
            "RecoveryPointArn": self.arn, "BackupVaultName": vault, "BackupVaultArn": shared.names.vault(vault),
            "ResourceArn": self.resource_arn, "ResourceType": self.resource_type, "Status": self.options.status,
            "IamRoleArn": format!("arn:{}:iam::{}:role/service-role/AWSBackupDefaultServiceRole", shared.names.partition, shared.names.account_id),
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
}

/// The tags of an EBS or EC2 recovery point are those of its snapshots and its image.
fn tags(options: &RecoveryPointOptions) -> BTreeMap<String, String> {
    let mut tags = options.tags.clone();
    tags.insert("aws:backup:source-resource".to_owned(), "local".to_owned());
    tags
}

fn created(options: &RecoveryPointOptions) -> Result<jiff::Timestamp> {
    match &options.created_at {
        None => Ok(jiff::Timestamp::now()),
        Some(text) => text.parse().map_err(|error| Error::Stack {
            name: text.clone(),
            message: format!("created_at is not a time: {error}"),
        }),
    }
}

fn add_snapshot(shared: &Shared, image: &Path, options: &RecoveryPointOptions) -> Result<Snapshot> {
    let bytes = std::fs::metadata(image).map_err(Error::file("look at", image))?.len();
    let id = ec2::new_id("snap");
    let file = shared.directory.join("snapshots").join(&id);
    ec2::copy_sparse(image, &file)?;
    let snapshot = Snapshot {
        volume_id: ec2::new_id("vol"),
        size_gib: options.size_gib.map_or_else(|| bytes.div_ceil(1 << 30).max(1), u64::from),
        archived: options.archived,
        kms_key_arn: options.kms_key_arn.clone(),
        started: created(options)?.to_string(),
        tags: tags(options),
        fate: options.volumes,
        broken_from: None,
        id,
        file,
    };
    shared.ec2.add_snapshot(snapshot.clone());
    Ok(snapshot)
}

/// Adds an EBS recovery point.
pub(crate) fn add_ebs(shared: &Shared, vault: &str, image: &Path, options: RecoveryPointOptions) -> Result<String> {
    let snapshot = add_snapshot(shared, image, &options)?;
    let arn = shared.names.snapshot(&snapshot.id);
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_else(|| shared.names.volume(&snapshot.volume_id)),
        resource_type: options.resource_type.clone().unwrap_or_else(|| "EBS".to_owned()),
        created: created(&options)?,
        size_bytes: snapshot.size_gib << 30,
        arn: arn.clone(),
        options,
        lingers: None,
    };
    shared.backup.add(vault, point)?;
    Ok(arn)
}

/// Adds an EC2 recovery point.
pub(crate) fn add_ec2(
    shared: &Shared,
    vault: &str,
    volumes: &[VolumeImage],
    options: RecoveryPointOptions,
) -> Result<String> {
    let id = ec2::new_id("ami");
    let mut devices = Vec::new();
    let mut size_gib = 0;
    for volume in volumes {
        let snapshot = add_snapshot(shared, &volume.image, &options)?;
        size_gib += snapshot.size_gib;
        devices.push((volume.device_name.clone(), snapshot.id));
    }
    let instance = ec2::new_id("i");
    let arn = shared.names.image(&id);
    shared.ec2.add_image(Image {
        name: format!("AwsBackup_{instance}_{}", uuid::Uuid::new_v4()),
        created: created(&options)?.to_string(),
        devices,
        tags: tags(&options),
        id,
    });
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_else(|| shared.names.instance(&instance)),
        resource_type: options.resource_type.clone().unwrap_or_else(|| "EC2".to_owned()),
        created: created(&options)?,
        size_bytes: size_gib << 30,
        arn: arn.clone(),
        options,
        lingers: None,
    };
    shared.backup.add(vault, point)?;
    Ok(arn)
}

/// Adds an RDS or Aurora recovery point.
pub(crate) fn add_database(
    shared: &Shared,
    vault: &str,
    source: &DatabaseSource,
    options: RecoveryPointOptions,
) -> Result<String> {
    let created = created(&options)?;
    let time = created.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let added = rds::add_snapshot(shared, source, &options, &time)?;
    let point = RecoveryPoint {
        resource_arn: added.resource_arn,
        resource_type: options.resource_type.clone().unwrap_or(added.resource_type),
        created,
        size_bytes: added.size_bytes,
        arn: added.arn.clone(),
        options,
        lingers: None,
    };
    shared.backup.add(vault, point)?;
    Ok(added.arn)
}

/// Adds a recovery point of any kind, with nothing behind it.
pub(crate) fn add_other(shared: &Shared, vault: &str, arn: &str, options: RecoveryPointOptions) -> Result<()> {
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_default(),
        resource_type: options.resource_type.clone().unwrap_or_default(),
        created: created(&options)?,
        size_bytes: 0,
        arn: arn.to_owned(),
        options,
        lingers: None,
    };
    shared.backup.add(vault, point)
}

/// Adds a recovery point of something that another service keeps.
pub(crate) fn add_of(
    shared: &Shared,
    vault: &str,
    arn: &str,
    resource_type: &str,
    resource_arn: &str,
    size_bytes: u64,
    options: RecoveryPointOptions,
) -> Result<()> {
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_else(|| resource_arn.to_owned()),
        resource_type: options.resource_type.clone().unwrap_or_else(|| resource_type.to_owned()),
        created: created(&options)?,
        size_bytes,
        arn: arn.to_owned(),
        options,
        lingers: None,
    };
    shared.backup.add(vault, point)
}

pub(crate) use self::event::event_of;

/// Removes what stands behind a recovery point.
fn remove_content(shared: &Shared, arn: &str) {
    if shared.dynamodb.remove_backup(arn) {
        return;
    }
    if let Some((_, id)) = arn.rsplit_once("snapshot/") {
        shared.ec2.remove_snapshot(id);
    } else if let Some((_, id)) = arn.rsplit_once("image/") {
        shared.ec2.remove_image(id);
    } else {
        shared.rds.remove_snapshot(arn);
    }
}

impl RecoveryPoint {
    /// What a deletion does to it: an error, or whether it is gone at once.
    fn delete(&mut self) -> Result<bool, (String, String)> {
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
