//! The EC2 operations that are played here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{State, view, volume};
use crate::gateway::Shared;
use crate::wire::{Answer, ApiError, Call, Query, page, passes, response};

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let query = Query::new(&call.body);
    let operation = call.operation.as_str();
    match operation {
        "CreateVolume" => {
            let made = volume::create(shared, &query)?;
            Ok(response::ec2(operation, |xml| view::volume(xml, &made)))
        }
        "DeleteVolume" => {
            volume::delete(shared, query.required("VolumeId")?)?;
            Ok(response::ec2(operation, |xml| {
                xml.text("return", true);
            }))
        }
        "AttachVolume" | "DetachVolume" => {
            let attach = operation == "AttachVolume";
            let changed = if attach { volume::attach(shared, &query)? } else { volume::detach(shared, &query)? };
            Ok(response::ec2(operation, |xml| {
                if let Some(attached) = &changed.attachment {
                    view::attachment(xml, &changed.id, attached);
                }
            }))
        }
        "DescribeVolumes" => describe_volumes(shared, &query, operation),
        "DescribeSnapshots" => describe_snapshots(shared, &query, operation),
        "DescribeImages" => describe_images(shared, &query, operation),
        "DescribeInstances" => describe_instances(shared, &query, operation),
        "CreateTags" | "DeleteTags" => change_tags(shared, &query, operation),
        "DescribeTags" => describe_tags(shared, &query, operation),
        "DescribeAvailabilityZones" => {
            let zones = shared.options.availability_zones();
            Ok(response::ec2(operation, |xml| {
                xml.items("availabilityZoneInfo", zones.iter().enumerate(), |xml, (number, zone)| {
                    xml.text("zoneName", zone)
                        .text("zoneState", "available")
                        .text("regionName", &shared.names.region)
                        .text("zoneId", format!("use1-az{}", number + 1))
                        .text("zoneType", "availability-zone")
                        .text("optInStatus", "opt-in-not-required");
                });
            }))
        }
        other => Err(ApiError::new(400, "InvalidAction", format!("The action {other} is not played"))),
    }
}

/// Refuses ids that do not exist.
fn check_ids<T>(ids: &[String], things: &BTreeMap<String, T>, code: &str, kind: &str) -> Result<(), ApiError> {
    match ids.iter().find(|id| !things.contains_key(*id)) {
        Some(id) => Err(ApiError::new(400, code, format!("The {kind} '{id}' does not exist."))),
        None => Ok(()),
    }
}

fn chosen(ids: &[String], id: &str) -> bool {
    ids.is_empty() || ids.iter().any(|each| each == id)
}

fn describe_volumes(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.ec2.state();
    let (ids, filters) = (query.list("VolumeId"), query.filters());
    check_ids(&ids, &state.volumes, "InvalidVolume.NotFound", "volume")?;
    let mut found = Vec::new();
    for volume in state.volumes.values().filter(|volume| chosen(&ids, &volume.id)) {
        if passes(&filters, &volume.tags, |name| view::volume_values(volume, name))? {
            found.push(volume);
        }
    }
    let (found, next) = page(query, found);
    Ok(response::ec2(operation, |xml| {
        xml.items("volumeSet", found, view::volume).optional("nextToken", next);
    }))
}

fn describe_snapshots(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.ec2.state();
    let (ids, filters) = (query.list("SnapshotId"), query.filters());
    check_ids(&ids, &state.snapshots, "InvalidSnapshot.NotFound", "snapshot")?;
    let mut found = Vec::new();
    for snapshot in state.snapshots.values().filter(|snapshot| chosen(&ids, &snapshot.id)) {
        if passes(&filters, &snapshot.tags, |name| view::snapshot_values(snapshot, name))? {
            found.push(snapshot);
        }
    }
    let (found, next) = page(query, found);
    Ok(response::ec2(operation, |xml| {
        xml.items("snapshotSet", found, |xml, snapshot| view::snapshot(xml, snapshot, &shared.names.account_id))
            .optional("nextToken", next);
    }))
}

fn describe_images(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.ec2.state();
    let ids = query.list("ImageId");
    check_ids(&ids, &state.images, "InvalidAMIID.NotFound", "image id")?;
    let found = state.images.values().filter(|image| chosen(&ids, &image.id));
    let size_of =
        |id: &str| state.snapshots.get(id).map(|snapshot| (snapshot.size_gib, snapshot.kms_key_arn.is_some()));
    Ok(response::ec2(operation, |xml| {
        xml.items("imagesSet", found, |xml, image| view::image(xml, image, &shared.names.account_id, size_of));
    }))
}

fn describe_instances(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.ec2.state();
    let (ids, filters) = (query.list("InstanceId"), query.filters());
    if let Some(id) = ids.iter().find(|id| !state.hosts.iter().any(|host| host.id == **id)) {
        return Err(ApiError::new(400, "InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")));
    }
    let mut found = Vec::new();
    for host in state.hosts.iter().filter(|host| chosen(&ids, &host.id)) {
        if passes(&filters, &host.tags, |name| view::host_values(host, name))? {
            found.push(host);
        }
    }
    Ok(response::ec2(operation, |xml| {
        xml.items("reservationSet", found, |xml, host| {
            let attached =
                |volume: &&super::Volume| volume.attachment.as_ref().is_some_and(|each| each.instance_id == host.id);
            let volumes: Vec<_> = state.volumes.values().filter(attached).collect();
            xml.text("reservationId", host.id.replacen("i-", "r-", 1)).text("ownerId", &shared.names.account_id).items(
                "instancesSet",
                [host],
                |xml, host| view::host(xml, host, &volumes),
            );
        });
    }))
}

/// The tags of a resource, whatever it is.
fn tags_of<'a>(state: &'a mut State, id: &str) -> Option<&'a mut BTreeMap<String, String>> {
    if let Some(volume) = state.volumes.get_mut(id) {
        return Some(&mut volume.tags);
    }
    if let Some(snapshot) = state.snapshots.get_mut(id) {
        return Some(&mut snapshot.tags);
    }
    if let Some(image) = state.images.get_mut(id) {
        return Some(&mut image.tags);
    }
    state.hosts.iter_mut().find(|host| host.id == id).map(|host| &mut host.tags)
}

fn change_tags(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let mut state = shared.ec2.state();
    let tags = query.tags("");
    for id in query.list("ResourceId") {
        let Some(existing) = tags_of(&mut state, &id) else {
            return Err(ApiError::new(400, "InvalidID", format!("The ID '{id}' is not valid")));
        };
        for (key, value) in &tags {
            if operation == "CreateTags" {
                existing.insert(key.clone(), value.clone());
            } else {
                existing.remove(key);
            }
        }
    }
    Ok(response::ec2(operation, |xml| {
        xml.text("return", true);
    }))
}

fn describe_tags(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.ec2.state();
    let volumes = state.volumes.values().map(|volume| (&volume.id, "volume", &volume.tags));
    let snapshots = state.snapshots.values().map(|snapshot| (&snapshot.id, "snapshot", &snapshot.tags));
    let images = state.images.values().map(|image| (&image.id, "image", &image.tags));
    let mut found = Vec::new();
    for (id, kind, tags) in volumes.chain(snapshots).chain(images) {
        for (key, value) in tags {
            let values = |name: &str| match name {
                "resource-id" => Some(vec![id.clone()]),
                "resource-type" => Some(vec![kind.to_owned()]),
                "key" => Some(vec![key.clone()]),
                "value" => Some(vec![value.clone()]),
                _ => None,
            };
            if passes(&query.filters(), &BTreeMap::from([(key.clone(), value.clone())]), values)? {
                found.push((id.clone(), kind, key.clone(), value.clone()));
            }
        }
    }
    let (found, next) = page(query, found);
    Ok(response::ec2(operation, |xml| {
        xml.items("tagSet", found, |xml, (id, kind, key, value)| {
            xml.text("resourceId", id).text("resourceType", kind).text("key", key).text("value", value);
        })
        .optional("nextToken", next);
    }))
}
