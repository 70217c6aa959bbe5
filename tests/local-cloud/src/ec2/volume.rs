//! Volumes and their lives: creating, available, in-use, gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::device::{self, Names};
use super::snapshot::Snapshot;
use super::{Ec2, State, new_id};
use crate::gateway::Shared;
use crate::observe::VolumeView;
use crate::options::Devices;
use crate::recovery_point::VolumeFate;
use crate::wire::{ApiError, Query};

/// How long a volume that could not be made is seen as `error`.
const ERROR_VISIBLE: Duration = Duration::from_millis(1500);

/// How often a detaching volume is looked at.
const DETACH_POLL: Duration = Duration::from_millis(50);

/// A volume.
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

fn not_found(id: &str) -> ApiError {
    ApiError::new(400, "InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
}

fn in_use(id: &str, instance: &str) -> ApiError {
    ApiError::new(400, "VolumeInUse", format!("Volume {id} is currently attached to {instance}"))
}

fn incorrect_state(volume: &Volume) -> ApiError {
    ApiError::new(400, "IncorrectState", format!("Volume '{}' is in the '{}' state", volume.id, volume.state))
}

pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

impl State {
    pub(super) fn volume(&mut self, id: &str) -> Result<&mut Volume, ApiError> {
        self.volumes.get_mut(id).ok_or_else(|| not_found(id))
    }
}

/// `CreateVolume`.
pub(super) fn create(shared: &Arc<Shared>, query: &Query) -> Result<Volume, ApiError> {
    let zone = query.required("AvailabilityZone")?.to_owned();
    if !shared.options.availability_zones().contains(&zone) {
        return Err(ApiError::new(400, "InvalidZone.NotFound", format!("The zone '{zone}' does not exist.")));
    }
    let mut state = shared.ec2.state();
    let asked = query.identity();
    if let Some(token) = query.get("ClientToken")
        && let Some((before, id)) = state.tokens.get(token)
    {
        if *before != asked {
            return Err(ApiError::new(
                400,
                "IdempotentParameterMismatch",
                format!("The client token '{token}' was used with different parameters"),
            ));
        }
        let id = id.clone();
        return state.volume(&id).cloned();
    }
    let snapshot = match query.get("SnapshotId") {
        None => None,
        Some(id) => {
            let found = state.snapshots.get(id).cloned();
            let missing =
                || ApiError::new(400, "InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."));
            Some(found.ok_or_else(missing)?)
        }
    };
    if let Some(archived) = snapshot.as_ref().filter(|snapshot| snapshot.archived) {
        return Err(ApiError::new(
            400,
            "IncorrectState",
            format!("Snapshot '{}' is archived; restore it first", archived.id),
        ));
    }
    let least = snapshot.as_ref().map_or(1, |snapshot| snapshot.size_gib);
    let size_gib = query.number("Size").unwrap_or(least);
    if size_gib < least {
        return Err(ApiError::new(
            400,
            "InvalidParameterValue",
            format!("Volume of {size_gib}GiB is smaller than snapshot, expect size >= {least}GiB"),
        ));
    }
    let id = new_id("vol");
    let volume = Volume {
        file: shared.directory.join("volumes").join(&id),
        id: id.clone(),
        state: "creating",
        size_gib,
        availability_zone: zone,
        snapshot_id: snapshot.as_ref().map(|snapshot| snapshot.id.clone()),
        kind: query.get("VolumeType").unwrap_or("gp2").to_owned(),
        iops: query.number("Iops"),
        throughput: query.number("Throughput"),
        encrypted: query.is_true("Encrypted")
            || snapshot.as_ref().is_some_and(|snapshot| snapshot.kms_key_arn.is_some()),
        kms_key_id: query.get("KmsKeyId").map(str::to_owned).or_else(|| snapshot.as_ref()?.kms_key_arn.clone()),
        created: now(),
        tags: query.tags("TagSpecification.1."),
        attachment: None,
        broken_from: snapshot.as_ref().and_then(|snapshot| snapshot.broken_from),
    };
    if let Some(token) = query.get("ClientToken") {
        state.tokens.insert(token.to_owned(), (asked, id.clone()));
    }
    state.volumes.insert(id.clone(), volume.clone());
    drop(state);
    tokio::spawn(fill(Arc::clone(shared), id, snapshot, size_gib));
    Ok(volume)
}

/// Gives a new volume its content, and then its fate.
async fn fill(shared: Arc<Shared>, id: String, snapshot: Option<Snapshot>, size_gib: u64) {
    let fate = snapshot.as_ref().map_or(VolumeFate::Available, |snapshot| snapshot.fate);
    if fate == VolumeFate::Stuck {
        return;
    }
    let target = shared.directory.join("volumes").join(&id);
    let content = tokio::task::spawn_blocking(move || -> Option<()> {
        match &snapshot {
            Some(snapshot) => device::copy_sparse(&snapshot.file, &target).ok()?,
            None => drop(std::fs::File::create(&target).ok()?),
        }
        let file = std::fs::OpenOptions::new().write(true).open(&target).ok()?;
        let size = (size_gib << 30).max(file.metadata().ok()?.len());
        file.set_len(size).ok()
    });
    let (copied, ()) = tokio::join!(content, tokio::time::sleep(shared.options.volume_creation));
    let made = fate == VolumeFate::Available && matches!(copied, Ok(Some(())));
    if let Ok(volume) = shared.ec2.state().volume(&id) {
        volume.state = if made { "available" } else { "error" };
    }
    if !made {
        tokio::time::sleep(ERROR_VISIBLE).await;
        shared.ec2.forget(&id);
    }
}

/// `DeleteVolume`.
pub(super) fn delete(shared: &Shared, id: &str) -> Result<(), ApiError> {
    {
        let mut state = shared.ec2.state();
        let volume = state.volume(id)?;
        if let Some(attachment) = &volume.attachment {
            return Err(in_use(id, &attachment.instance_id));
        }
        if !["available", "error"].contains(&volume.state) {
            return Err(incorrect_state(volume));
        }
    }
    shared.ec2.forget(id);
    Ok(())
}

/// `AttachVolume`.
pub(super) fn attach(shared: &Arc<Shared>, query: &Query) -> Result<Volume, ApiError> {
    let (id, instance, name) = (query.required("VolumeId")?, query.required("InstanceId")?, query.required("Device")?);
    let mut state = shared.ec2.state();
    let host = state.hosts.iter().find(|host| host.id == instance);
    let Some((zone, running)) = host.map(|host| (host.availability_zone.clone(), host.is_running())) else {
        return Err(ApiError::new(
            400,
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{instance}' does not exist"),
        ));
    };
    let device_taken = state
        .volumes
        .values()
        .filter_map(|volume| volume.attachment.as_ref())
        .any(|attachment| attachment.instance_id == instance && attachment.device_name == name)
        || state.occupied_names.contains(name);
    let volume = state.volume(id)?;
    if let Some(attachment) = &volume.attachment {
        return Err(in_use(id, &attachment.instance_id));
    }
    if volume.state != "available" {
        return Err(incorrect_state(volume));
    }
    if !running {
        return Err(ApiError::new(400, "IncorrectState", format!("Instance '{instance}' is not 'running'.")));
    }
    if volume.availability_zone != zone {
        let message = format!("The volume '{id}' is not in the same availability zone as instance '{instance}'");
        return Err(ApiError::new(400, "InvalidVolume.ZoneMismatch", message));
    }
    if device_taken {
        return Err(ApiError::new(
            400,
            "InvalidParameterValue",
            format!("Invalid value '{name}' for unixDevice. Attachment point {name} is already in use"),
        ));
    }
    volume.state = "in-use";
    volume.attachment = Some(Attachment {
        instance_id: instance.to_owned(),
        device_name: name.to_owned(),
        state: "attaching",
        since: now(),
        local: None,
        is_loop: false,
        holds_on: false,
    });
    let answer = volume.clone();
    drop(state);
    tokio::spawn(plug(Arc::clone(shared), id.to_owned()));
    Ok(answer)
}

/// Makes the device of an attachment.
async fn plug(shared: Arc<Shared>, id: String) {
    tokio::time::sleep(shared.options.attachment).await;
    let Ok((file, broken_from)) =
        shared.ec2.state().volume(&id).map(|volume| (volume.file.clone(), volume.broken_from))
    else {
        return;
    };
    let loops = shared.options.devices == Devices::Auto;
    let directory = shared.directory.clone();
    let name = id.clone();
    let made = tokio::task::spawn_blocking(move || {
        let device = loops.then(|| device::make_loop(&file).ok()).flatten();
        let is_loop = device.is_some();
        let local = device.unwrap_or_else(|| file.clone());
        if let Some(from) = broken_from {
            break_file(&file, from);
        }
        // Without the names nobody finds the device, and says so.
        Names { directory: &directory }.add(&name, &local).ok();
        (local, is_loop)
    });
    let Ok((local, is_loop)) = made.await else { return };
    if let Ok(volume) = shared.ec2.state().volume(&id)
        && let Some(attachment) = &mut volume.attachment
    {
        attachment.local = Some(local);
        attachment.is_loop = is_loop;
        if attachment.state == "attaching" {
            attachment.state = "attached";
        }
    }
}

/// Reads behind the end of a loop device's file fail with EIO: a device with a bad spot.
fn break_file(file: &Path, from_byte: u64) {
    // A file that cannot be shortened stays whole, and the test that asked for it fails.
    std::fs::OpenOptions::new().write(true).open(file).and_then(|file| file.set_len(from_byte)).ok();
}

/// `DetachVolume`.
pub(super) fn detach(shared: &Arc<Shared>, query: &Query) -> Result<Volume, ApiError> {
    let id = query.required("VolumeId")?;
    let mut state = shared.ec2.state();
    let volume = state.volume(id)?;
    let Some(attachment) = &mut volume.attachment else {
        return Err(ApiError::new(400, "IncorrectState", format!("Volume '{id}' is in the 'available' state.")));
    };
    if query.get("InstanceId").is_some_and(|instance| instance != attachment.instance_id) {
        return Err(ApiError::new(
            400,
            "InvalidAttachment.NotFound",
            format!("The volume '{id}' is not attached to that instance"),
        ));
    }
    let held = attachment.holds_on && !query.is_true("Force");
    let begins = !held && (attachment.holds_on || attachment.state != "detaching");
    attachment.holds_on = held;
    attachment.state = "detaching";
    let answer = volume.clone();
    drop(state);
    if begins {
        tokio::spawn(unplug(Arc::clone(shared), id.to_owned()));
    }
    Ok(answer)
}

/// Takes the device of an attachment away, as soon as nobody uses it.
async fn unplug(shared: Arc<Shared>, id: String) {
    tokio::time::sleep(shared.options.attachment).await;
    loop {
        let Ok(volume) = shared.ec2.state().volume(&id).cloned() else { return };
        let Some(attachment) = volume.attachment else { return };
        if let Some(local) = attachment.local.filter(|_| attachment.is_loop) {
            let file = volume.file.clone();
            let device = local.clone();
            let held = tokio::task::spawn_blocking(move || {
                if device::loop_holds(&device, &file) {
                    device::drop_loop(&device);
                }
                device::loop_holds(&device, &file)
            });
            if held.await.unwrap_or(true) {
                tokio::time::sleep(DETACH_POLL).await;
                continue;
            }
            Names { directory: &shared.directory }.remove(&id, &local);
        } else if volume.file.exists() {
            Names { directory: &shared.directory }.remove(&id, &volume.file);
        }
        if let Ok(volume) = shared.ec2.state().volume(&id) {
            volume.attachment = None;
            volume.state = "available";
        }
        return;
    }
}

impl Ec2 {
    fn forget(&self, id: &str) {
        if let Some(volume) = self.state().volumes.remove(id) {
            // A volume that never got its content has no file.
            std::fs::remove_file(&volume.file).ok();
        }
    }

    pub(crate) fn views(&self) -> Vec<VolumeView> {
        let state = self.state();
        let view = |volume: &Volume| VolumeView {
            id: volume.id.clone(),
            state: volume.state.to_owned(),
            availability_zone: volume.availability_zone.clone(),
            snapshot_id: volume.snapshot_id.clone(),
            tags: volume.tags.clone(),
            attachment: volume
                .attachment
                .as_ref()
                .map(|attachment| (attachment.instance_id.clone(), attachment.state.to_owned())),
            device: volume.attachment.as_ref().and_then(|attachment| attachment.local.clone()),
            file: volume.file.clone(),
        };
        state.volumes.values().map(view).collect()
    }

    /// Breaks a volume; `false` when it is not there.
    pub(crate) fn break_volume(&self, id: &str, from_byte: u64) -> bool {
        let mut state = self.state();
        let Ok(volume) = state.volume(id) else { return false };
        volume.broken_from = Some(from_byte);
        if volume.attachment.as_ref().is_some_and(|attachment| attachment.local.is_some()) {
            break_file(&volume.file, from_byte);
        }
        true
    }

    /// Drops all loop devices, when the cloud goes.
    pub(crate) fn unplug_all(&self, directory: &Path) {
        for device in device::loops_below(directory) {
            device::drop_loop(&device);
        }
        self.state().volumes.clear();
    }
}
