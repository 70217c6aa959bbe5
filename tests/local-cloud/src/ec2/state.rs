//! What EC2 has: volumes, snapshots, images, hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::host::Host;
use crate::recovery_point::VolumeFate;
use crate::wire::ApiError;

/// What EC2 has.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) images: BTreeMap<String, Image>,
    pub(super) hosts: Vec<Host>,
    /// Device names that something else than a volume has on every instance.
    pub(super) occupied_names: BTreeSet<String>,
    /// ClientToken → what was asked for, and the volume that was made.
    pub(super) tokens: BTreeMap<String, (String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) state: &'static str,
    pub(super) size_gib: u64,
    pub(super) availability_zone: String,
    pub(super) snapshot_id: Option<String>,
    pub(super) kind: String,
    pub(super) iops: Option<u64>,
    pub(super) throughput: Option<u64>,
    pub(super) encrypted: bool,
    pub(super) kms_key_id: Option<String>,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) attachment: Option<Attachment>,
    pub(super) file: PathBuf,
    pub(super) broken_from: Option<u64>,
}

/// An attachment.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) instance_id: String,
    pub(super) device_name: String,
    pub(super) state: &'static str,
    pub(super) since: String,
    pub(super) local: Option<PathBuf>,
    pub(super) is_loop: bool,
    /// Whether only a forced detachment ends it.
    pub(super) holds_on: bool,
}

/// A snapshot: a disk image that nobody writes to.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) volume_id: String,
    pub(crate) size_gib: u64,
    pub(crate) archived: bool,
    pub(crate) kms_key_arn: Option<String>,
    pub(crate) started: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) file: PathBuf,
    pub(crate) fate: VolumeFate,
    /// Reads of volumes made of it fail from this byte on.
    pub(crate) broken_from: Option<u64>,
}

/// An image: snapshots by device name.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: String,
    pub(crate) devices: Vec<(String, String)>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl State {
    pub(super) fn volume(&mut self, id: &str) -> Result<&mut Volume, ApiError> {
        self.volumes.get_mut(id).ok_or_else(|| not_found(id))
    }
}

fn not_found(id: &str) -> ApiError {
    ApiError::new(400, "InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}
