//! A volume, made of an EBS snapshot.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::VolumeState;
use domain::failure::{Error, Kind};
use domain::id::VolumeId;
use domain::plan::{Plan, Restored, Unit};
use domain::source::VolumeSource;

use super::look::Look;
use super::progress::Progress;
use crate::resource::volume;

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
            Step::GiveUp(Kind::RestoreFailed, volume::vanished(source))
        }
        None if turn >= UNKNOWN_TURNS => Step::GiveUp(Kind::RestoreFailed, volume::vanished(source)),
        _ => Step::Wait,
    }
}

/// Makes the volume, in the first zone that takes it.
pub(super) async fn start(ec2: &Client, plan: &Plan, unit: &Unit, source: &VolumeSource) -> Result<Progress, Error> {
    let mut full = Vec::new();
    for placement in &plan.placements {
        let zone = &placement.availability_zone;
        match volume::create(ec2, plan, unit, source, zone).await {
            Ok(volume_id) => return Ok(Progress::Volume { volume_id, availability_zone: zone.clone() }),
            Err(failure) if volume::is_full(&failure) => full.push(zone.as_str()),
            Err(failure) => {
                let action = format!("make a volume of {} in {zone}", source.snapshot_id);
                return Err(volume::refused(failure, source, action));
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
pub(super) async fn check(ec2: &Client, source: &VolumeSource, volume_id: &VolumeId, turn: u32) -> Result<Look, Error> {
    let state = volume::state(ec2, volume_id).await?;
    match next_step(state.as_ref(), turn, source) {
        Step::Wait => {
            let state = state.as_ref().map_or("unknown to EC2", |state| state.as_str());
            Ok(Look::Wait { at: format!("the volume {volume_id} is {state}") })
        }
        Step::Use => Ok(Look::Ready(Restored::Volume { volume_id: volume_id.clone() })),
        Step::GiveUp(kind, why) => {
            Err(Error::new(kind, format!("restore {} as {volume_id}: {why}", source.snapshot_id)))
        }
    }
}
