//! What to do next with a volume: a decision over what EC2 says of it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::{Volume, VolumeAttachmentState, VolumeState};
use domain::failure::{Error, Kind, Result};
use domain::id::{AvailabilityZone, InstanceId, VolumeId};
use jiff::Timestamp;

/// A volume as EC2 describes it, reduced to what matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeView {
    /// The volume.
    pub id: VolumeId,
    /// `available`, `in-use`, …
    pub state: VolumeState,
    /// Its zone.
    pub availability_zone: AvailabilityZone,
    /// Its size.
    pub size_gib: u32,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    pub tags: BTreeMap<String, String>,
    /// To what it is attached, and how firmly.
    pub attachments: Vec<(InstanceId, VolumeAttachmentState)>,
}

impl VolumeView {
    /// Whether there is any tie to `instance`, be it on its way in or out.
    pub fn is_attached_to(&self, instance: &InstanceId) -> bool {
        self.attachments
            .iter()
            .any(|(attached, state)| attached == instance && *state != VolumeAttachmentState::Detached)
    }
}

impl TryFrom<&Volume> for VolumeView {
    type Error = Error;

    fn try_from(volume: &Volume) -> Result<Self> {
        let strange =
            |what: &str| Error::new(Kind::Internal, format!("describe a volume: EC2 answered without a usable {what}"));
        let attachments = volume
            .attachments()
            .iter()
            .filter_map(|attachment| {
                let instance = attachment.instance_id()?.parse().ok()?;
                Some((instance, attachment.state()?.clone()))
            })
            .collect();
        Ok(Self {
            id: volume.volume_id().and_then(|id| id.parse().ok()).ok_or_else(|| strange("volume id"))?,
            state: volume.state().cloned().ok_or_else(|| strange("state"))?,
            availability_zone: volume
                .availability_zone()
                .and_then(|zone| zone.parse().ok())
                .ok_or_else(|| strange("availability zone"))?,
            size_gib: volume.size().and_then(|size| u32::try_from(size).ok()).ok_or_else(|| strange("size"))?,
            created_at: volume.create_time().and_then(|time| Timestamp::from_second(time.secs()).ok()),
            tags: volume
                .tags()
                .iter()
                .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
                .collect(),
            attachments,
        })
    }
}

/// What to do next on the way to an attached volume.
#[derive(Debug)]
pub enum Step {
    /// Nothing: it is attached here.
    Attached,
    /// Look again later.
    Wait,
    /// Attach it here.
    Attach,
    /// Detach it from an instance.
    Detach {
        /// Which.
        from: InstanceId,
        /// Whether to take it away from an instance that does not let go.
        force: bool,
    },
    /// It will never be attached.
    Refuse(Error),
}

/// Decides for a volume that is to be attached to `here`. `detaching_for` is the time since its detachment was asked
/// for.
pub fn next_step(view: &VolumeView, here: &InstanceId, detaching_for: Option<Duration>, force_after: Duration) -> Step {
    match &view.state {
        VolumeState::Available => Step::Attach,
        VolumeState::InUse => in_use(view, here, detaching_for, force_after),
        VolumeState::Deleting | VolumeState::Deleted => {
            Step::Refuse(Error::new(Kind::SourceNotFound, format!("{} is being deleted", view.id)))
        }
        VolumeState::Error => Step::Refuse(Error::new(
            Kind::RestoreFailed,
            format!("{} is in state error: its snapshot's KMS key may not be usable for this account", view.id),
        )),
        // `creating`, and states that are not known yet.
        _ => Step::Wait,
    }
}

fn in_use(view: &VolumeView, here: &InstanceId, detaching_for: Option<Duration>, force_after: Duration) -> Step {
    let asked = detaching_for.is_some();
    let overdue = detaching_for.is_some_and(|time| time > force_after);
    for (instance, state) in &view.attachments {
        match state {
            VolumeAttachmentState::Detached => {}
            VolumeAttachmentState::Attached if instance == here => return Step::Attached,
            // On its way here, or an earlier attempt on this very host is letting go of it; the clock runs from our
            // asking.
            _ if instance == here || (asked && !overdue) => return Step::Wait,
            _ => {
                return Step::Detach { from: instance.clone(), force: overdue };
            }
        }
    }
    Step::Wait
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "i-0aaaaaaaaaaaaaaaa";
    const DEAD: &str = "i-0dddddddddddddddd";
    const FORCE: Duration = Duration::from_secs(90);

    fn view(state: VolumeState, attachments: &[(&str, VolumeAttachmentState)]) -> VolumeView {
        VolumeView {
            id: "vol-0123456789abcdef0".parse().unwrap(),
            state,
            availability_zone: "us-east-1a".parse().unwrap(),
            size_gib: 8,
            created_at: None,
            tags: BTreeMap::new(),
            attachments: attachments.iter().map(|(id, state)| (id.parse().unwrap(), state.clone())).collect(),
        }
    }

    fn step(view: &VolumeView, detaching: Option<u64>) -> String {
        let here = HERE.parse().unwrap();
        let step = next_step(view, &here, detaching.map(Duration::from_secs), FORCE);
        match step {
            Step::Refuse(error) => error.kind().to_string(),
            Step::Detach { from, force } => format!("detach {from} {force}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    #[test]
    fn a_free_volume_is_attached_and_an_attached_one_used() {
        use VolumeAttachmentState::{Attached, Attaching};
        assert_eq!(step(&view(VolumeState::Available, &[]), None), "attach");
        assert_eq!(step(&view(VolumeState::Creating, &[]), None), "wait");
        assert_eq!(step(&view(VolumeState::InUse, &[(HERE, Attaching)]), None), "wait");
        assert_eq!(step(&view(VolumeState::InUse, &[(HERE, Attached)]), None), "attached");
    }

    #[test]
    fn a_volume_of_a_dead_host_is_detached_once_and_then_by_force() {
        use VolumeAttachmentState::{Attached, Detaching};
        let attached = view(VolumeState::InUse, &[(DEAD, Attached)]);
        assert_eq!(step(&attached, None), format!("detach {DEAD} false"));
        assert_eq!(step(&attached, Some(10)), "wait");
        let detaching = view(VolumeState::InUse, &[(DEAD, Detaching)]);
        assert_eq!(step(&detaching, Some(10)), "wait");
        assert_eq!(step(&detaching, Some(91)), format!("detach {DEAD} true"));
    }

    #[test]
    fn a_volume_that_will_never_come_is_refused() {
        assert_eq!(step(&view(VolumeState::Error, &[]), None), "RestoreFailed");
        assert_eq!(step(&view(VolumeState::Deleting, &[]), None), "SourceNotFound");
    }
}
