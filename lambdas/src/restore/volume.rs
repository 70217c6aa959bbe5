//! A volume, made of an EBS snapshot.

use aws_sdk_ec2::types::{ResourceType, TagSpecification, VolumeState, VolumeType};
use domain::failure::Kind;
use domain::id::{AvailabilityZone, VolumeId};
use domain::plan::{Plan, Restored, Unit, VolumeOptions};
use domain::source::VolumeSource;

use super::{Progress, Turn};
use crate::aws::Failure;
use crate::error::Error;
use crate::volume::{self, tag};

/// What to do about a volume in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Wait and look again.
    Wait,
    /// Attach it.
    Use,
    /// It will not become usable.
    GiveUp(Kind, String),
}

/// How often a new volume may be unknown to EC2 before that means that it is gone: describing is eventually consistent.
const UNKNOWN_TURNS: u32 = 3;

/// Decides by what EC2 says of the volume: `None` when it does not know it.
pub fn next_step(state: Option<&VolumeState>, turn: u32, source: &VolumeSource) -> Step {
    match state {
        Some(VolumeState::Available | VolumeState::InUse) => Step::Use,
        // EC2 accepts the call and then cannot use the key: the volume shows an error for a while, and vanishes.
        Some(VolumeState::Error | VolumeState::Deleting | VolumeState::Deleted) => {
            Step::GiveUp(Kind::RestoreFailed, vanished(source))
        }
        None if turn >= UNKNOWN_TURNS => Step::GiveUp(Kind::RestoreFailed, vanished(source)),
        _ => Step::Wait,
    }
}

fn vanished(source: &VolumeSource) -> String {
    let snapshot = &source.snapshot_id;
    match &source.kms_key_id {
        Some(key) => format!(
            "EC2 could not make a volume of {snapshot}: this is what happens when the key {key} that encrypts it cannot be \
             used; the role of start-restore needs kms:CreateGrant, kms:Decrypt, kms:DescribeKey, \
             kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on it, by the key's own policy too where the key \
             belongs to another account, and the key must be enabled"
        ),
        None => format!(
            "EC2 could not make a volume of {snapshot}: if volumes are encrypted by default here, check that the role of \
             start-restore may use the default key (kms:CreateGrant, kms:Decrypt, kms:GenerateDataKeyWithoutPlaintext)"
        ),
    }
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

/// Makes the volume, in the first zone that takes it.
pub(super) async fn start(
    ec2: &aws_sdk_ec2::Client,
    plan: &Plan,
    unit: &Unit,
    source: &VolumeSource,
) -> Result<Progress, Error> {
    let mut full = Vec::new();
    for placement in &plan.placements {
        let zone = &placement.availability_zone;
        match create(ec2, plan, unit, source, zone).await {
            Ok(volume_id) => return Ok(Progress::Volume { volume_id, availability_zone: zone.clone() }),
            Err(failure) if failure.is(NO_CAPACITY) => full.push(zone.as_str()),
            Err(failure) => {
                let action = format!("make a volume of {} in {zone}", source.snapshot_id);
                return Err(refused(failure, source, action));
            }
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!(
            "make a volume of {}: no capacity for {} volumes in {}",
            source.snapshot_id,
            plan.volume_options.volume_type,
            full.join(", ")
        ),
    ))
}

/// Looks whether the volume is usable.
pub(super) async fn check(
    ec2: &aws_sdk_ec2::Client,
    source: &VolumeSource,
    volume_id: &VolumeId,
    turn: u32,
) -> Result<Turn, Error> {
    let state = volume::state(ec2, volume_id).await?;
    match next_step(state.as_ref(), turn, source) {
        Step::Wait => {
            let state = state.as_ref().map_or("unknown to EC2", |state| state.as_str());
            Ok(Turn::Wait { at: format!("the volume {volume_id} is {state}") })
        }
        Step::Use => Ok(Turn::Ready(Restored::Volume { volume_id: volume_id.clone() })),
        Step::GiveUp(kind, why) => {
            Err(Error::new(kind, format!("restore {} as {volume_id}: {why}", source.snapshot_id)))
        }
    }
}

/// Another zone may have what this one has not.
const NO_CAPACITY: &[&str] = &[
    "InsufficientVolumeCapacity",
    "InsufficientCapacity",
    "VolumeTypeNotAvailableInZone",
    "UnsupportedOperationInZone",
];

fn refused(failure: Failure, source: &VolumeSource, action: String) -> Error {
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

async fn create(
    ec2: &aws_sdk_ec2::Client,
    plan: &Plan,
    unit: &Unit,
    source: &VolumeSource,
    zone: &AvailabilityZone,
) -> Result<VolumeId, Failure> {
    let options = &plan.volume_options;
    let (iops, throughput) = performance(options, source.size_gib);
    let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let tags = super::tags(plan, unit).into_iter().map(|(key, value)| tag(&key, &value)).collect();
    let tags = TagSpecification::builder().resource_type(ResourceType::Volume).set_tags(Some(tags)).build();
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
        .tag_specifications(tags)
        .send()
        .await
        .map_err(|error| Failure::of(&error))?;
    let id = output.volume_id().unwrap_or_default();
    // Found by its tag and deleted by the cleanup, like any volume that nobody remembers.
    id.parse().map_err(|_| Failure::malformed(format!("EC2 gave the volume the id {id:?}")))
}
