//! Volumes of an execution, found by its tag: detached, then deleted.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Volume, VolumeAttachmentState, VolumeState};
use domain::id::ExecutionArn;
use domain::tag::EXECUTION;

use super::turn::Turn;
use crate::resource::removal::Removal;
use crate::resource::volume;

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
    let volumes = match volume::tagged(ec2, EXECUTION, Some(execution.as_str())).await {
        Ok(volumes) => volumes,
        Err(error) => {
            turn.errors.push(error);
            return;
        }
    };
    for found in volumes {
        one(ec2, &found, may_detach, force, turn).await;
    }
}

async fn one(ec2: &Client, found: &Volume, may_detach: bool, force: bool, turn: &mut Turn) {
    let id = found.volume_id().unwrap_or_default();
    let attachment = found.attachments().first();
    let step = next_step(found.state(), attachment.and_then(|attachment| attachment.state()), may_detach, force);
    let remaining = match step {
        Step::Ignore => return,
        Step::Wait => {
            let state = found.state().map_or("unknown", |state| state.as_str());
            format!("volume {id} ({state})")
        }
        Step::Detach | Step::ForceDetach => {
            turn.note(volume::detach(ec2, id, step == Step::ForceDetach).await);
            format!("volume {id} (detaching)")
        }
        Step::Delete => match volume::delete(ec2, id).await {
            Ok(Removal::Begun) => {
                turn.removed.push(format!("volume {id}"));
                format!("volume {id} (deleting)")
            }
            Ok(Removal::Gone) => return,
            // The next turn sees what it is.
            Ok(Removal::Busy) => format!("volume {id} (not ready to be deleted)"),
            Err(error) => {
                turn.errors.push(error);
                return;
            }
        },
    };
    turn.remaining.push(remaining);
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
