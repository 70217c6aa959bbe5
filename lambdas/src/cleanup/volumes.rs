//! Volumes of an execution, found by its tag: detached, then deleted.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Volume, VolumeAttachmentState, VolumeState};
use domain::id::ExecutionArn;
use domain::tag::EXECUTION;

use super::Turn;
use crate::aws::{Failure, done};
use crate::error::Error;
use crate::volume::tagged;

/// What to do with a volume now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is gone.
    Ignore,
    /// It is on its way.
    Wait,
    Detach,
    ForceDetach,
    Delete,
}

/// Decides by the volume's state and that of its attachment.
pub(super) fn next_step(
    state: Option<&VolumeState>,
    attachment: Option<&VolumeAttachmentState>,
    may_detach: bool,
    force: bool,
) -> Step {
    match state {
        Some(VolumeState::Deleted) => Step::Ignore,
        Some(VolumeState::Deleting) => Step::Wait,
        Some(VolumeState::InUse) => match attachment {
            _ if !may_detach => Step::Wait,
            // The disk is a throw-away copy that nobody writes to: force costs nothing but is slower to settle.
            Some(VolumeAttachmentState::Detaching | VolumeAttachmentState::Busy) => {
                if force {
                    Step::ForceDetach
                } else {
                    Step::Wait
                }
            }
            _ => Step::Detach,
        },
        _ => Step::Delete,
    }
}

pub(super) async fn remove(ec2: &Client, execution: &ExecutionArn, may_detach: bool, force: bool, turn: &mut Turn) {
    let volumes = match tagged(ec2, EXECUTION, Some(execution.as_str())).await {
        Ok(volumes) => volumes,
        Err(error) => {
            turn.errors.push(error);
            return;
        }
    };
    for volume in volumes {
        one(ec2, &volume, may_detach, force, turn).await;
    }
}

async fn one(ec2: &Client, volume: &Volume, may_detach: bool, force: bool, turn: &mut Turn) {
    let id = volume.volume_id().unwrap_or_default();
    let attachment = volume.attachments().first();
    let step = next_step(volume.state(), attachment.and_then(|attachment| attachment.state()), may_detach, force);
    let remaining = match step {
        Step::Ignore => return,
        Step::Wait => {
            let state = volume.state().map_or("unknown", |state| state.as_str());
            format!("volume {id} ({state})")
        }
        Step::Detach | Step::ForceDetach => {
            turn.note(detach(ec2, id, step == Step::ForceDetach).await);
            format!("volume {id} (detaching)")
        }
        Step::Delete => match delete(ec2, id).await {
            Ok(()) => {
                turn.removed.push(format!("volume {id}"));
                format!("volume {id} (deleting)")
            }
            Err(failure) if failure.is_not_found() => return,
            // Still being created, or attached since it was described: the next turn sees what it is.
            Err(failure) if failure.is(&["IncorrectState", "VolumeInUse"]) => {
                format!("volume {id} (not ready to be deleted)")
            }
            Err(failure) => {
                turn.errors.push(failure.during(format!("delete the volume {id}")));
                return;
            }
        },
    };
    turn.remaining.push(remaining);
}

async fn detach(ec2: &Client, id: &str, force: bool) -> Result<(), Error> {
    let result = ec2.detach_volume().volume_id(id).force(force).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => Ok(()),
        // Detached since it was described.
        Err(failure) if failure.is_not_found() || failure.is(&["IncorrectState"]) => Ok(()),
        Err(failure) => Err(failure.during(format!("detach the volume {id}"))),
    }
}

async fn delete(ec2: &Client, id: &str) -> Result<(), Failure> {
    done(ec2.delete_volume().volume_id(id).send().await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::VolumeAttachmentState as Attachment;

    #[test]
    fn volumes_are_detached_before_they_are_deleted_and_forced_late() {
        let step = |state, attachment, force| next_step(Some(&state), attachment, true, force);
        let in_use = VolumeState::InUse;
        assert_eq!(step(VolumeState::Available, None, false), Step::Delete);
        assert_eq!(step(VolumeState::Error, None, false), Step::Delete);
        assert_eq!(step(VolumeState::Deleting, None, true), Step::Wait);
        assert_eq!(step(VolumeState::Deleted, None, true), Step::Ignore);
        assert_eq!(step(in_use.clone(), Some(&Attachment::Attached), true), Step::Detach);
        assert_eq!(step(in_use.clone(), Some(&Attachment::Detaching), false), Step::Wait);
        assert_eq!(step(in_use.clone(), Some(&Attachment::Detaching), true), Step::ForceDetach);
        assert_eq!(step(in_use.clone(), Some(&Attachment::Busy), true), Step::ForceDetach);
        assert_eq!(next_step(Some(&in_use), Some(&Attachment::Attached), false, true), Step::Wait);
    }
}
