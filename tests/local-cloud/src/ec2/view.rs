//! How EC2 describes what it has, in XML, and the values that filters look at.

use super::host::Host;
use super::snapshot::{Image, Snapshot};
use super::volume::{Attachment, Volume};
use crate::wire::Xml;

fn one(value: impl std::fmt::Display) -> Vec<String> {
    vec![value.to_string()]
}

/// What a volume has under a filter's name.
pub(super) fn volume_values(volume: &Volume, name: &str) -> Option<Vec<String>> {
    let attachment =
        |get: fn(&Attachment) -> &str| Some(volume.attachment.iter().map(|each| get(each).to_owned()).collect());
    match name {
        "volume-id" => Some(one(&volume.id)),
        "status" => Some(one(volume.state)),
        "snapshot-id" => Some(volume.snapshot_id.iter().cloned().collect()),
        "availability-zone" => Some(one(&volume.availability_zone)),
        "size" => Some(one(volume.size_gib)),
        "volume-type" => Some(one(&volume.kind)),
        "encrypted" => Some(one(volume.encrypted)),
        "create-time" => Some(one(&volume.created)),
        "attachment.instance-id" => attachment(|each| &each.instance_id),
        "attachment.status" => attachment(|each| each.state),
        "attachment.device" => attachment(|each| &each.device_name),
        _ => None,
    }
}

/// The fields of an attachment.
pub(super) fn attachment(xml: &mut Xml, volume_id: &str, attachment: &Attachment) {
    xml.text("volumeId", volume_id)
        .text("instanceId", &attachment.instance_id)
        .text("device", &attachment.device_name)
        .text("status", attachment.state)
        .text("attachTime", &attachment.since)
        .text("deleteOnTermination", false);
}

/// The fields of a volume.
pub(super) fn volume(xml: &mut Xml, volume: &Volume) {
    xml.text("volumeId", &volume.id)
        .text("size", volume.size_gib)
        .text("snapshotId", volume.snapshot_id.as_deref().unwrap_or_default())
        .text("availabilityZone", &volume.availability_zone)
        .text("status", volume.state)
        .text("createTime", &volume.created)
        .text("volumeType", &volume.kind)
        .optional("iops", volume.iops)
        .optional("throughput", volume.throughput)
        .text("encrypted", volume.encrypted)
        .optional("kmsKeyId", volume.kms_key_id.as_ref())
        .text("multiAttachEnabled", false)
        .items("attachmentSet", &volume.attachment, |xml, each| attachment(xml, &volume.id, each))
        .tags(&volume.tags);
}

/// What a snapshot has under a filter's name.
pub(super) fn snapshot_values(snapshot: &Snapshot, name: &str) -> Option<Vec<String>> {
    match name {
        "snapshot-id" => Some(one(&snapshot.id)),
        "volume-id" => Some(one(&snapshot.volume_id)),
        "volume-size" => Some(one(snapshot.size_gib)),
        "status" => Some(one("completed")),
        "storage-tier" => Some(one(if snapshot.archived { "archive" } else { "standard" })),
        "encrypted" => Some(one(snapshot.kms_key_arn.is_some())),
        "start-time" => Some(one(&snapshot.started)),
        _ => None,
    }
}

/// The fields of a snapshot.
pub(super) fn snapshot(xml: &mut Xml, snapshot: &Snapshot, owner: &str) {
    xml.text("snapshotId", &snapshot.id)
        .text("volumeId", &snapshot.volume_id)
        .text("status", "completed")
        .text("startTime", &snapshot.started)
        .text("progress", "100%")
        .text("ownerId", owner)
        .text("volumeSize", snapshot.size_gib)
        .text("description", "This snapshot is created by the AWS Backup service.")
        .text("encrypted", snapshot.kms_key_arn.is_some())
        .optional("kmsKeyId", snapshot.kms_key_arn.as_ref())
        .text("storageTier", if snapshot.archived { "archive" } else { "standard" })
        .tags(&snapshot.tags);
}

/// The fields of an image.
pub(super) fn image(xml: &mut Xml, image: &Image, owner: &str, size_of: impl Fn(&str) -> Option<(u64, bool)>) {
    xml.text("imageId", &image.id)
        .text("imageLocation", format!("{owner}/{}", image.name))
        .text("name", &image.name)
        .text("imageState", "available")
        .text("imageOwnerId", owner)
        .text("isPublic", false)
        .text("architecture", "x86_64")
        .text("imageType", "machine")
        .text("rootDeviceType", "ebs")
        .optional("rootDeviceName", image.devices.first().map(|(name, _)| name))
        .text("virtualizationType", "hvm")
        .text("creationDate", &image.created)
        .items("blockDeviceMapping", &image.devices, |xml, (name, snapshot)| {
            xml.text("deviceName", name).element("ebs", |xml| {
                xml.text("snapshotId", snapshot).text("deleteOnTermination", true).text("volumeType", "gp3");
                if let Some((size, encrypted)) = size_of(snapshot) {
                    xml.text("volumeSize", size).text("encrypted", encrypted);
                }
            });
        })
        .tags(&image.tags);
}

/// What a host has under a filter's name.
pub(super) fn host_values(host: &Host, name: &str) -> Option<Vec<String>> {
    match name {
        "instance-id" => Some(one(&host.id)),
        "instance-state-name" => Some(one(if host.is_running() { "running" } else { "terminated" })),
        "availability-zone" => Some(one(&host.availability_zone)),
        _ => None,
    }
}

/// The fields of a host, as an instance.
pub(super) fn host(xml: &mut Xml, host: &Host, volumes: &[&Volume]) {
    let (code, state) = if host.is_running() { (16, "running") } else { (48, "terminated") };
    xml.text("instanceId", &host.id)
        .text("imageId", "ami-00000000000000000")
        .element("instanceState", |xml| {
            xml.text("code", code).text("name", state);
        })
        .text("instanceType", "m7i.large")
        .text("launchTime", &host.launched)
        .element("placement", |xml| {
            xml.text("availabilityZone", &host.availability_zone).text("tenancy", "default");
        })
        .text("instanceLifecycle", "spot")
        .text("rootDeviceName", "/dev/xvda")
        .items(
            "blockDeviceMapping",
            volumes.iter().filter_map(|volume| Some((volume, volume.attachment.as_ref()?))),
            |xml, (volume, attached)| {
                xml.text("deviceName", &attached.device_name).element("ebs", |xml| {
                    xml.text("volumeId", &volume.id)
                        .text("status", attached.state)
                        .text("attachTime", &attached.since)
                        .text("deleteOnTermination", false);
                });
            },
        )
        .tags(&host.tags);
}
