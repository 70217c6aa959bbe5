//! EC2: volumes, snapshots, images, the hosts of Batch, and their tags. All other EC2 operations are moto's.

mod answer;
mod device;
mod host;
mod snapshot;
mod spec;
mod view;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub(crate) use self::answer::answer;
pub(crate) use self::device::{copy_sparse, loops_below};
pub(crate) use self::host::{Host, start as start_host};
pub(crate) use self::snapshot::{Image, Snapshot};
pub use self::spec::VolumeSpec;
use self::volume::Volume;
use crate::wire::query_pairs;

/// The EC2 of one region.
#[derive(Debug, Default)]
pub(crate) struct Ec2 {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    volumes: BTreeMap<String, Volume>,
    snapshots: BTreeMap<String, Snapshot>,
    images: BTreeMap<String, Image>,
    hosts: Vec<Host>,
    /// Device names that something else than a volume has on every instance.
    occupied_names: BTreeSet<String>,
    /// ClientToken → what was asked for, and the volume that was made.
    tokens: BTreeMap<String, (String, String)>,
}

/// The operations that are played here.
const OPERATIONS: [&str; 12] = [
    "AttachVolume",
    "CreateTags",
    "CreateVolume",
    "DeleteTags",
    "DeleteVolume",
    "DescribeAvailabilityZones",
    "DescribeImages",
    "DescribeInstances",
    "DescribeSnapshots",
    "DescribeTags",
    "DescribeVolumes",
    "DetachVolume",
];

pub(crate) fn plays(operation: &str) -> bool {
    OPERATIONS.contains(&operation)
}

/// The operation and the resource that a request names.
pub(crate) fn identify(body: &Bytes) -> (String, String) {
    let form = query_pairs(&String::from_utf8_lossy(body));
    let names = ["VolumeId", "VolumeId.1", "SnapshotId", "SnapshotId.1", "ImageId.1", "ResourceId.1", "InstanceId.1"];
    let resource = names.iter().find_map(|name| form.get(*name).cloned());
    (form.get("Action").cloned().unwrap_or_default(), resource.unwrap_or_default())
}

impl Ec2 {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new id of EC2's form: a prefix and 17 hex digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-0{}", &digits[..16])
}

/// Makes a volume of a snapshot, as a restore job does; returns its id.
pub(crate) fn create_of_snapshot(
    shared: &std::sync::Arc<crate::gateway::Shared>,
    snapshot: &str,
    zone: &str,
) -> Result<String, crate::wire::ApiError> {
    let query = crate::wire::Query::new(format!("SnapshotId={snapshot}&AvailabilityZone={zone}").as_bytes());
    volume::create(shared, &query).map(|volume| volume.id)
}
