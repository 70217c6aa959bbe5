//! The disks of an EBS or EC2 recovery point.

use super::piece::Piece;
use super::refusal::refuse;
use crate::arn::{RecoveryPointArn, RecoveryPointKind};
use crate::facts::{DeviceFacts, Facts, SnapshotFacts};
use crate::failure::{Kind, Result};
use crate::id::SnapshotId;
use crate::key::segment;
use crate::source::{Source, VolumeSource};

/// The disks of a recovery point, and what of its image has none.
pub(super) struct Disks {
    pub(super) pieces: Vec<Piece>,
    pub(super) ephemeral: Vec<String>,
}

impl Disks {
    /// An image's volumes lie in folders even when there is only one, so that the layout tells the type.
    fn of(volumes: Vec<Disk<'_>>, is_image: bool, ephemeral: Vec<String>) -> Self {
        Self { pieces: volumes.into_iter().map(|disk| disk.piece(is_image)).collect(), ephemeral }
    }
}

struct Disk<'a> {
    key: String,
    device_name: Option<String>,
    snapshot: &'a SnapshotFacts,
}

impl Disk<'_> {
    fn piece(self, in_folder: bool) -> Piece {
        Piece {
            in_folder,
            source: Source::Volume(VolumeSource {
                snapshot_id: self.snapshot.id.clone(),
                size_gib: self.snapshot.size_gib,
                device_name: self.device_name,
                kms_key_id: self.snapshot.kms_key_id.clone(),
            }),
            key: self.key,
        }
    }
}

pub(super) fn disks(arn: &RecoveryPointArn, facts: &Facts) -> Result<Disks> {
    let snapshot = |id: &SnapshotId| {
        let found = facts.snapshots.iter().find(|snapshot| snapshot.id == *id);
        match found {
            Some(snapshot) => check_snapshot(arn, snapshot).map(|()| snapshot),
            None => refuse(
                Kind::RecoveryPointNotUsable,
                format!("the snapshot {id} of {arn} does not exist any more, or is not shared with this account"),
            ),
        }
    };
    if let RecoveryPointKind::EbsSnapshot(id) = arn.kind() {
        let snapshot = snapshot(id)?;
        let key = snapshot.source_volume().map_or_else(|| id.to_string(), ToString::to_string);
        return Ok(Disks::of(vec![Disk { key, device_name: None, snapshot }], false, Vec::new()));
    }
    let Some(image) = &facts.image else {
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!("the image of {arn} does not exist any more: AWS Backup still lists it, but EC2 does not"),
        );
    };
    // A disabled image cannot be launched, but its snapshots are whole.
    if !matches!(image.state.as_str(), "available" | "disabled") {
        return refuse(Kind::RecoveryPointNotUsable, format!("the image of {arn} is {}, not available", image.state));
    }
    let mut volumes = Vec::new();
    let mut ephemeral = Vec::new();
    for device in &image.devices {
        match &device.snapshot_id {
            Some(id) => volumes.push((device, snapshot(id)?)),
            None => ephemeral.push(device.name.clone()),
        }
    }
    if volumes.is_empty() {
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!("the image of {arn} has no EBS volumes, so there is nothing to export"),
        );
    }
    let volumes = volumes
        .iter()
        .map(|(device, snapshot)| Disk {
            key: disk_key(&volumes, device, snapshot),
            device_name: Some(device.name.clone()),
            snapshot,
        })
        .collect();
    Ok(Disks::of(volumes, true, ephemeral))
}

/// A key that no other disk of the image has: the source volume, else the snapshot, else snapshot and device.
fn disk_key(disks: &[(&DeviceFacts, &SnapshotFacts)], device: &DeviceFacts, snapshot: &SnapshotFacts) -> String {
    let times = |is_same: &dyn Fn(&SnapshotFacts) -> bool| disks.iter().filter(|(_, other)| is_same(other)).count();
    match snapshot.source_volume() {
        Some(volume) if times(&|other| other.volume_id == snapshot.volume_id) == 1 => volume.to_string(),
        _ if times(&|other| other.id == snapshot.id) == 1 => snapshot.id.to_string(),
        _ => {
            let device = device.name.rsplit('/').next().unwrap_or_default();
            format!("{}-{}", snapshot.id, segment(device))
        }
    }
}

fn check_snapshot(arn: &RecoveryPointArn, snapshot: &SnapshotFacts) -> Result<()> {
    let id = &snapshot.id;
    if snapshot.storage_tier == "archive" {
        return refuse(
            Kind::RecoveryPointArchived,
            format!(
                "the snapshot {id} of {arn} lies in the archive tier: restore it first (aws ec2 restore-snapshot-tier \
                 --snapshot-id {id} --temporary-restore-days 7), wait until its storage tier is standard, then start \
                 the export again"
            ),
        );
    }
    if snapshot.state != "completed" {
        let why = snapshot.state_message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!(
                "the snapshot {id} of {arn} is {}{why}, not completed: start the export again when it is",
                snapshot.state
            ),
        );
    }
    Ok(())
}
