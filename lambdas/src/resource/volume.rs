//! Volumes of EBS: made of snapshots, found by their ids or tags, detached and deleted.

use aws::{CallError, done};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification, Volume, VolumeState, VolumeType};
use domain::failure::{Error, Kind};
use domain::id::{AvailabilityZone, VolumeId};
use domain::plan::{Plan, Unit, VolumeOptions};
use domain::source::VolumeSource;

use super::removal::Removal;
use super::tag;

/// Another zone may have what this one has not.
const NO_CAPACITY: &[&str] = &[
    "InsufficientVolumeCapacity",
    "InsufficientCapacity",
    "VolumeTypeNotAvailableInZone",
    "UnsupportedOperationInZone",
];

/// The state of a volume; `None` when EC2 does not know it.
pub(crate) async fn state(ec2: &Client, id: &VolumeId) -> Result<Option<VolumeState>, Error> {
    let result = ec2.describe_volumes().volume_ids(id.as_str()).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.volumes().first().and_then(|volume| volume.state().cloned())),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the volume {id}"))),
    }
}

/// All volumes that carry a tag, whatever their state.
pub(crate) async fn tagged(ec2: &Client, key: &str, value: Option<&str>) -> Result<Vec<Volume>, Error> {
    let filter = match value {
        Some(value) => Filter::builder().name(format!("tag:{key}")).values(value),
        None => Filter::builder().name("tag-key").values(key),
    };
    let mut pages = ec2.describe_volumes().filters(filter.build()).into_paginator().items().send();
    let mut volumes = Vec::new();
    while let Some(volume) = pages.next().await {
        volumes.push(volume.map_err(|error| {
            let value = value.unwrap_or("any value");
            CallError::of(&error).during(format!("describe the volumes tagged {key} = {value}"))
        })?);
    }
    Ok(volumes)
}

/// The value of a volume's tag.
pub(crate) fn tag_of<'a>(volume: &'a Volume, key: &str) -> Option<&'a str> {
    volume.tags().iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}

/// IOPS and throughput of a volume of `size_gib`, brought within what EBS takes for that size.
///
/// gp3: 3,000 IOPS for any size, more only up to 500 for each GiB; a quarter MiB/s for each of them.
/// io2 takes 1,000 for each GiB, io1 50.
pub fn performance(options: &VolumeOptions, size_gib: u32) -> (Option<u32>, Option<u32>) {
    let most = |per_gib: u32, least: u32| size_gib.saturating_mul(per_gib).max(least);
    match options.volume_type.as_str() {
        "gp3" => {
            let throughput = options.throughput_mib;
            let needed = throughput.map(|mib| mib.saturating_mul(4)).filter(|n| *n > 3_000);
            let iops = options.iops.max(needed).map(|iops| iops.min(most(500, 3_000)));
            let reachable = iops.unwrap_or(3_000) / 4;
            (iops, throughput.map(|mib| mib.min(reachable)))
        }
        "io1" => (options.iops.map(|iops| iops.min(most(50, 100))), None),
        "io2" => (options.iops.map(|iops| iops.min(most(1_000, 100))), None),
        _ => (None, None),
    }
}

/// Makes the volume of a unit in a zone, once: the client token finds it again.
pub(crate) async fn create(
    ec2: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &VolumeSource,
    zone: &AvailabilityZone,
) -> Result<VolumeId, CallError> {
    let options = &plan.volume_options;
    let (iops, throughput) = performance(options, source.size_gib);
    let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let tags = TagSpecification::builder().resource_type(ResourceType::Volume).set_tags(Some(tag::ec2(plan, unit)));
    let output = ec2
        .create_volume()
        .snapshot_id(source.snapshot_id.as_str())
        .availability_zone(zone.as_str())
        .volume_type(VolumeType::from(options.volume_type.as_str()))
        .set_iops(number(iops))
        .set_throughput(number(throughput))
        .set_volume_initialization_rate(number(options.initialization_rate_mib))
        .set_encrypted(options.kms_key_id.as_ref().map(|_| true))
        .set_kms_key_id(options.kms_key_id.clone())
        .client_token(plan.client_token(unit, zone.as_str()))
        .tag_specifications(tags.build())
        .send()
        .await
        .map_err(|error| CallError::of(&error))?;
    let id = output.volume_id().unwrap_or_default();
    // Found by its tag and deleted by the cleanup, like any volume that nobody remembers.
    id.parse().map_err(|_| CallError::malformed(format!("EC2 gave the volume the id {id:?}")))
}

/// Whether a zone has no room for a volume, and another may have.
pub(crate) fn is_full(failure: &CallError) -> bool {
    failure.is(NO_CAPACITY)
}

/// What it means that EC2 refused to make a volume.
pub(crate) fn refused(failure: CallError, source: &VolumeSource, action: String) -> Error {
    if failure.is(&["InvalidSnapshot.NotFound"]) {
        return failure.as_kind(Kind::SourceNotFound, action);
    }
    if failure.is(&["IncorrectState"]) {
        return failure.as_kind(Kind::RecoveryPointNotUsable, action);
    }
    // Other exports delete their volumes soon: worth waiting for, unlike a wrong parameter.
    if failure.is(&["VolumeLimitExceeded", "MaxIOPSLimitExceeded", "ResourceLimitExceeded"]) {
        return failure.as_kind(
            Kind::Throttled,
            format!("{action}: the account's EBS quota is used up; raise it, or run fewer exports at once"),
        );
    }
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => failure.during(action),
        _ if failure.code.as_deref().is_some_and(|code| code.to_ascii_lowercase().contains("kms")) => {
            failure.as_kind(Kind::RestoreFailed, format!("{action}: {}", vanished(source)))
        }
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}

/// What to look at when a volume does not come, or goes again by itself.
pub(crate) fn vanished(source: &VolumeSource) -> String {
    let snapshot = &source.snapshot_id;
    match &source.kms_key_id {
        Some(key) => format!(
            "EC2 could not make a volume of {snapshot}: this is what happens when the key {key} that encrypts it \
             cannot be used; the role of start-restore needs kms:CreateGrant, kms:Decrypt, kms:DescribeKey, \
             kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on it, by the key's own policy too where the key \
             belongs to another account, and the key must be enabled"
        ),
        None => format!(
            "EC2 could not make a volume of {snapshot}: if volumes are encrypted by default here, check that the role \
             of start-restore may use the default key (kms:CreateGrant, kms:Decrypt, \
             kms:GenerateDataKeyWithoutPlaintext)"
        ),
    }
}

/// Asks for the detachment of a volume. One that was detached since it was described is as good.
pub(crate) async fn detach(ec2: &Client, id: &str, force: bool) -> Result<(), Error> {
    let result = ec2.detach_volume().volume_id(id).force(force).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_not_found() || failure.is(&["IncorrectState"]) => Ok(()),
        Err(failure) => Err(failure.during(format!("detach the volume {id}"))),
    }
}

/// Deletes a volume. It is busy while it is being created, or attached since it was described.
pub(crate) async fn delete(ec2: &Client, id: &str) -> Result<Removal, Error> {
    match done(ec2.delete_volume().volume_id(id).send().await) {
        Ok(()) => Ok(Removal::Begun),
        Err(failure) if failure.is_not_found() => Ok(Removal::Gone),
        Err(failure) if failure.is(&["IncorrectState", "VolumeInUse"]) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("delete the volume {id}"))),
    }
}
