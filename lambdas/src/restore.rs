//! The start-restore and check-restore Lambdas: one volume of one snapshot, made and waited for.

use aws_sdk_ec2::types::{ResourceType, TagSpecification, VolumeState, VolumeType};
use domain::failure::Kind;
use domain::id::{AvailabilityZone, VolumeId};
use domain::plan::{Placement, Plan, PlannedVolume, VolumeOptions};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::Failure;
use crate::error::Error;
use crate::volume::{self, tag};

/// What both are given; `restore` only to check-restore.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// The plan.
    pub plan: Plan,
    /// The volume of it.
    pub volume: PlannedVolume,
    /// What the last turn said.
    pub restore: Option<Restore>,
}

/// `$.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// Whether the volume is usable.
    pub state: State,
    /// How often it was looked at.
    pub turn: u32,
    /// The volume.
    pub volume_id: VolumeId,
    /// Its zone.
    pub availability_zone: AvailabilityZone,
    /// The queue whose instances are in that zone.
    pub job_queue: String,
    /// How long to wait before the next look.
    pub wait_seconds: u32,
    /// Until when the volume must be usable. It counts from the first look: the volumes of a large image wait for their turn.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// The worker's arguments.
    pub command: Vec<String>,
    /// The verifier's arguments.
    pub verify_command: Vec<String>,
}

/// Whether a volume is usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Look again.
    Pending,
    /// It is.
    Ready,
}

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
pub fn next_step(state: Option<&VolumeState>, turn: u32, is_late: bool, volume: &PlannedVolume) -> Step {
    let snapshot = &volume.snapshot_id;
    match state {
        Some(VolumeState::Available | VolumeState::InUse) => Step::Use,
        // EC2 accepts the call and then cannot use the key: the volume shows an error for a while, and vanishes.
        Some(VolumeState::Error | VolumeState::Deleting | VolumeState::Deleted) => {
            Step::GiveUp(Kind::RestoreFailed, vanished(volume))
        }
        None if turn >= UNKNOWN_TURNS => Step::GiveUp(Kind::RestoreFailed, vanished(volume)),
        _ if is_late => Step::GiveUp(
            Kind::RestoreTimedOut,
            format!(
                "the volume of {snapshot} is {} at its deadline: start the export again, with a higher \
                 RESTORE_TIMEOUT_MINUTES if this happens again",
                state.map_or("unknown to EC2", |state| state.as_str())
            ),
        ),
        _ => Step::Wait,
    }
}

fn vanished(volume: &PlannedVolume) -> String {
    let snapshot = &volume.snapshot_id;
    match &volume.kms_key_id {
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
pub async fn start(ec2: &aws_sdk_ec2::Client, request: Request) -> Result<Restore, Error> {
    let Request { plan, volume, .. } = request;
    let mut full = Vec::new();
    for placement in &plan.placements {
        match create(ec2, &plan, &volume, &placement.availability_zone).await {
            Ok(volume_id) => {
                return Ok(Restore::new(&plan, &volume, volume_id, placement));
            }
            Err(failure) if failure.is(NO_CAPACITY) => full.push(placement.availability_zone.as_str()),
            Err(failure) => {
                let zone = &placement.availability_zone;
                let action = format!("make a volume of {} in {zone}", volume.snapshot_id);
                return Err(refused(failure, &volume, action));
            }
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!(
            "make a volume of {}: no capacity for {} volumes in {}",
            volume.snapshot_id,
            plan.volume_options.volume_type,
            full.join(", ")
        ),
    ))
}

/// Another zone may have what this one has not.
const NO_CAPACITY: &[&str] = &[
    "InsufficientVolumeCapacity",
    "InsufficientCapacity",
    "VolumeTypeNotAvailableInZone",
    "UnsupportedOperationInZone",
];

fn refused(failure: Failure, volume: &PlannedVolume, action: String) -> Error {
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
            failure.as_kind(Kind::RestoreFailed, format!("{action}: {}", vanished(volume)))
        }
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}

async fn create(
    ec2: &aws_sdk_ec2::Client,
    plan: &Plan,
    volume: &PlannedVolume,
    zone: &AvailabilityZone,
) -> Result<VolumeId, Failure> {
    let options = &plan.volume_options;
    let (iops, throughput) = performance(options, volume.size_gib);
    let number = |value: Option<u32>| value.and_then(|value| i32::try_from(value).ok());
    let name = format!("{} {}", plan.export_id, volume.key);
    let ours = [
        (domain::tag::EXPORT_ID, plan.export_id.as_str()),
        (domain::tag::EXECUTION, plan.execution.as_str()),
        (domain::tag::VOLUME_KEY, &volume.key),
        ("Name", &name),
    ];
    // EC2 refuses a key that comes twice; by ours the volume is found again.
    let theirs = plan.resource_tags.iter().filter(|(key, _)| ours.iter().all(|(our, _)| our != key));
    let theirs = theirs.map(|(key, value)| tag(key, value));
    let tags = ours.iter().map(|(key, value)| tag(key, value)).chain(theirs).collect();
    let tags = TagSpecification::builder().resource_type(ResourceType::Volume).set_tags(Some(tags)).build();
    let output = ec2
        .create_volume()
        .snapshot_id(volume.snapshot_id.as_str())
        .availability_zone(zone.as_str())
        .volume_type(VolumeType::from(options.volume_type.as_str()))
        .set_iops(number(iops))
        .set_throughput(number(throughput))
        .set_volume_initialization_rate(number(options.initialization_rate_mib))
        .set_encrypted(options.kms_key_id.as_ref().map(|_| true))
        .set_kms_key_id(options.kms_key_id.clone())
        .client_token(plan.client_token(volume, zone))
        .tag_specifications(tags)
        .send()
        .await
        .map_err(|error| Failure::of(&error))?;
    let id = output.volume_id().unwrap_or_default();
    // Found by its tag and deleted by the cleanup, like any volume that nobody remembers.
    id.parse().map_err(|_| Failure::malformed(format!("EC2 gave the volume the id {id:?}")))
}

impl Restore {
    fn new(plan: &Plan, volume: &PlannedVolume, volume_id: VolumeId, placement: &Placement) -> Self {
        Self {
            state: State::Pending,
            turn: 0,
            availability_zone: placement.availability_zone.clone(),
            job_queue: placement.job_queue.clone(),
            wait_seconds: plan.poll_seconds.min(5),
            deadline: None,
            command: plan.export_command(volume, &volume_id),
            verify_command: plan.verify_command(volume),
            volume_id,
        }
    }
}

/// Looks whether the volume is usable.
pub async fn check(ec2: &aws_sdk_ec2::Client, request: Request, now: Timestamp) -> Result<Restore, Error> {
    let Request { plan, volume, restore } = request;
    let Some(restore) = restore else {
        return Err(Error::new(Kind::Internal, "check a restore that was not started"));
    };
    let state = volume::state(ec2, &restore.volume_id).await?;
    let allowed = plan.restore_deadline.duration_since(plan.started_at);
    let deadline = restore.deadline.unwrap_or_else(|| now.checked_add(allowed).unwrap_or(Timestamp::MAX));
    let is_late = now >= deadline;
    let turn = restore.turn.saturating_add(1);
    let budget = allowed.as_secs();
    let waiting = Restore {
        turn,
        deadline: Some(deadline),
        wait_seconds: plan.wait_seconds(restore.turn, u32::try_from(budget).unwrap_or(u32::MAX)),
        ..restore
    };
    match next_step(state.as_ref(), waiting.turn, is_late, &volume) {
        Step::Wait => Ok(waiting),
        Step::Use => Ok(Restore { state: State::Ready, wait_seconds: 0, ..waiting }),
        Step::GiveUp(kind, why) => {
            Err(Error::new(kind, format!("restore {} as {}: {why}", volume.snapshot_id, waiting.volume_id)))
        }
    }
}
