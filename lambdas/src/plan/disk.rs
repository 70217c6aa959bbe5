//! What EC2 says of snapshots and images.

use aws::CallError;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Image as Ec2Image, Snapshot, Tag};
use domain::arn::RecoveryPointArn;
use domain::facts::{DeviceFacts, Facts, ImageFacts, SnapshotFacts};
use domain::failure::{Error, Kind};
use domain::id::{ImageId, InvalidId, SnapshotId};
use domain::recovery_point::Image;

/// Adds what EC2 says of the snapshot.
pub(super) async fn describe_snapshot(
    ec2: &Client,
    arn: &RecoveryPointArn,
    id: &SnapshotId,
    facts: &mut Facts,
) -> Result<(), Error> {
    let snapshots = snapshots(ec2, arn, std::slice::from_ref(id)).await?;
    facts.tags = snapshots.iter().flat_map(|s| tags(s.tags())).collect();
    facts.snapshots = snapshots.iter().filter_map(snapshot_facts).collect();
    Ok(())
}

/// Adds what EC2 says of the image and of its snapshots; nothing where it does not know the image.
pub(super) async fn describe_image(
    ec2: &Client,
    arn: &RecoveryPointArn,
    id: &ImageId,
    facts: &mut Facts,
) -> Result<(), Error> {
    let Some(image) = image(ec2, arn, id).await? else {
        return Ok(());
    };
    let image_facts = image_facts(id, &image)?;
    let ids: Vec<SnapshotId> = image_facts.devices.iter().filter_map(|device| device.snapshot_id.clone()).collect();
    if !ids.is_empty() {
        let snapshots = snapshots(ec2, arn, &ids).await?;
        facts.snapshots = snapshots.iter().filter_map(snapshot_facts).collect();
    }
    facts.tags = tags(image.tags()).collect();
    facts.image = Some(image_facts);
    Ok(())
}

/// By filter, so that one that is gone does not hide the others.
async fn snapshots(ec2: &Client, arn: &RecoveryPointArn, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, Error> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let filter = Filter::builder().name("snapshot-id").set_values(Some(ids)).build();
    let mut pages = ec2.describe_snapshots().filters(filter).into_paginator().items().send();
    let mut snapshots = Vec::new();
    while let Some(snapshot) = pages.next().await {
        snapshots
            .push(snapshot.map_err(|error| CallError::of(&error).during(format!("describe the snapshots of {arn}")))?);
    }
    Ok(snapshots)
}

async fn image(ec2: &Client, arn: &RecoveryPointArn, id: &ImageId) -> Result<Option<Ec2Image>, Error> {
    let result = ec2.describe_images().image_ids(id.as_str()).include_disabled(true).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.images.and_then(|images| images.into_iter().next())),
        Err(failure) if failure.is(&["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the image of {arn}"))),
    }
}

fn tags(tags: &[Tag]) -> impl Iterator<Item = (String, String)> {
    tags.iter().filter_map(|tag| {
        let value = tag.value().unwrap_or_default();
        Some((tag.key()?.to_owned(), value.to_owned()))
    })
}

fn snapshot_facts(snapshot: &Snapshot) -> Option<SnapshotFacts> {
    Some(SnapshotFacts {
        id: snapshot.snapshot_id()?.parse().ok()?,
        state: snapshot.state().map_or("unknown", |s| s.as_str()).to_owned(),
        state_message: snapshot.state_message().map(str::to_owned),
        // Absent means that the service does not tell, as everything did before there were tiers.
        storage_tier: snapshot.storage_tier().map_or("standard", |tier| tier.as_str()).to_owned(),
        volume_id: snapshot.volume_id().and_then(|id| id.parse().ok()),
        size_gib: u32::try_from(snapshot.volume_size().unwrap_or_default()).unwrap_or_default(),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
    })
}

fn image_facts(id: &ImageId, image: &Ec2Image) -> Result<ImageFacts, Error> {
    let devices = image.block_device_mappings().iter().map(|mapping| {
        let name = mapping.device_name().unwrap_or_default();
        // Only a device without a snapshot is an ephemeral one: a disk must not go missing for the look of its id.
        let snapshot_id = mapping.ebs().and_then(|ebs| ebs.snapshot_id()).map(str::parse).transpose();
        let snapshot_id = snapshot_id.map_err(|error: InvalidId| {
            Error::new(Kind::RecoveryPointNotUsable, format!("read the device {name} of {id}: {error}"))
        })?;
        Ok(DeviceFacts { name: name.to_owned(), snapshot_id })
    });
    Ok(ImageFacts {
        state: image.state().map_or("unknown", |s| s.as_str()).to_owned(),
        devices: devices.collect::<Result<_, Error>>()?,
        image: Image {
            image_id: id.clone(),
            architecture: image.architecture().map(|a| a.as_str().to_owned()),
            boot_mode: image.boot_mode().map(|m| m.as_str().to_owned()),
            root_device_name: image.root_device_name().map(str::to_owned),
            platform: image.platform().map(|p| p.as_str().to_owned()),
            ena_support: image.ena_support(),
            tpm_support: image.tpm_support().map(|t| t.as_str().to_owned()),
            ephemeral_devices: Vec::new(),
        },
    })
}
