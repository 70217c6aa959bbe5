//! Recovery points as tests put them into the vaults.

use std::collections::BTreeMap;
use std::path::Path;

use super::point::RecoveryPoint;
use super::service::Backup;
use crate::dynamodb::{self, Form};
use crate::ec2::{self, Image, Snapshot};
use crate::error::{Error, Result};
use crate::rds::{self, DatabaseSource};
use crate::recovery_point::{RecoveryPointOptions, VolumeImage};

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

fn add_snapshot(backup: &Backup, image: &Path, options: &RecoveryPointOptions) -> Result<Snapshot> {
    let bytes = std::fs::metadata(image).map_err(Error::file("look at", image))?.len();
    let id = ec2::new_id("snap");
    let file = backup.context.directory.join("snapshots").join(&id);
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
    backup.ec2.add_snapshot(snapshot.clone());
    Ok(snapshot)
}

/// Adds an EBS recovery point.
pub(crate) fn add_ebs(backup: &Backup, vault: &str, image: &Path, options: RecoveryPointOptions) -> Result<String> {
    let snapshot = add_snapshot(backup, image, &options)?;
    let arn = backup.context.names.snapshot(&snapshot.id);
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_else(|| backup.context.names.volume(&snapshot.volume_id)),
        resource_type: options.resource_type.clone().unwrap_or_else(|| "EBS".to_owned()),
        created: created(&options)?,
        size_bytes: snapshot.size_gib << 30,
        arn: arn.clone(),
        options,
        lingers: None,
    };
    backup.add(vault, point)?;
    Ok(arn)
}

/// Adds an EC2 recovery point.
pub(crate) fn add_ec2(
    backup: &Backup,
    vault: &str,
    volumes: &[VolumeImage],
    options: RecoveryPointOptions,
) -> Result<String> {
    let id = ec2::new_id("ami");
    let mut devices = Vec::new();
    let mut size_gib = 0;
    for volume in volumes {
        let snapshot = add_snapshot(backup, &volume.image, &options)?;
        size_gib += snapshot.size_gib;
        devices.push((volume.device_name.clone(), snapshot.id));
    }
    let instance = ec2::new_id("i");
    let arn = backup.context.names.image(&id);
    backup.ec2.add_image(Image {
        name: format!("AwsBackup_{instance}_{}", uuid::Uuid::new_v4()),
        created: created(&options)?.to_string(),
        devices,
        tags: tags(&options),
        id,
    });
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_else(|| backup.context.names.instance(&instance)),
        resource_type: options.resource_type.clone().unwrap_or_else(|| "EC2".to_owned()),
        created: created(&options)?,
        size_bytes: size_gib << 30,
        arn: arn.clone(),
        options,
        lingers: None,
    };
    backup.add(vault, point)?;
    Ok(arn)
}

/// Adds an RDS or Aurora recovery point.
pub(crate) fn add_database(
    backup: &Backup,
    vault: &str,
    source: &DatabaseSource,
    options: RecoveryPointOptions,
) -> Result<String> {
    let created = created(&options)?;
    let time = created.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let added = rds::add_snapshot(&backup.rds, source, &options, &time)?;
    let point = RecoveryPoint {
        resource_arn: added.resource_arn,
        resource_type: options.resource_type.clone().unwrap_or(added.resource_type),
        created,
        size_bytes: added.size_bytes,
        arn: added.arn.clone(),
        options,
        lingers: None,
    };
    backup.add(vault, point)?;
    Ok(added.arn)
}

/// Adds a recovery point of any kind, with nothing behind it.
pub(crate) fn add_other(backup: &Backup, vault: &str, arn: &str, options: RecoveryPointOptions) -> Result<()> {
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or_default(),
        resource_type: options.resource_type.clone().unwrap_or_default(),
        created: created(&options)?,
        size_bytes: 0,
        arn: arn.to_owned(),
        options,
        lingers: None,
    };
    backup.add(vault, point)
}

/// Backs a table up as it is now, and adds a recovery point of it.
pub(crate) async fn add_dynamodb(
    backup: &Backup,
    vault: &str,
    table: &str,
    form: Form,
    options: RecoveryPointOptions,
) -> Result<String> {
    let kept = dynamodb::back_up(&backup.dynamodb, table, form, &options).await?;
    let point = RecoveryPoint {
        resource_arn: options.resource_arn.clone().unwrap_or(kept.table_arn),
        resource_type: options.resource_type.clone().unwrap_or_else(|| "DynamoDB".to_owned()),
        created: created(&options)?,
        size_bytes: kept.size_bytes,
        arn: kept.arn.clone(),
        options,
        lingers: None,
    };
    backup.add(vault, point)?;
    Ok(kept.arn)
}
