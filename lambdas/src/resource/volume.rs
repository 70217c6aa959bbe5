//! Volumes as EC2 shows them, and the tags by which ours are found.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Tag, Volume, VolumeState};
use domain::id::VolumeId;

use crate::aws::Failure;
use crate::error::Error;

/// A tag.
pub fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// The state of a volume; `None` when EC2 does not know it.
pub async fn state(ec2: &Client, id: &VolumeId) -> Result<Option<VolumeState>, Error> {
    let result = ec2.describe_volumes().volume_ids(id.as_str()).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(output) => Ok(output.volumes().first().and_then(|volume| volume.state().cloned())),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the volume {id}"))),
    }
}

/// All volumes that carry a tag, whatever their state.
pub async fn tagged(ec2: &Client, key: &str, value: Option<&str>) -> Result<Vec<Volume>, Error> {
    let filter = match value {
        Some(value) => Filter::builder().name(format!("tag:{key}")).values(value),
        None => Filter::builder().name("tag-key").values(key),
    };
    let mut pages = ec2.describe_volumes().filters(filter.build()).into_paginator().items().send();
    let mut volumes = Vec::new();
    while let Some(volume) = pages.next().await {
        volumes.push(volume.map_err(|error| {
            let value = value.unwrap_or("any value");
            Failure::of(&error).during(format!("describe the volumes tagged {key} = {value}"))
        })?);
    }
    Ok(volumes)
}

/// The value of a volume's tag.
pub fn tag_of<'a>(volume: &'a Volume, key: &str) -> Option<&'a str> {
    volume.tags().iter().find(|tag| tag.key() == Some(key)).and_then(Tag::value)
}
