//! Volumes that are there without a restore: what a test says of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::service::Ec2;
use super::state::{Attachment, Volume};
use super::volume::now;

/// A volume whose content is a file of the test's own.
#[derive(Debug, Clone)]
pub struct VolumeSpec {
    /// `vol-…`.
    pub id: String,
    /// The disk. It is the device of an attached volume, or stands behind it; it need not exist. Deleted with the
    /// volume.
    pub file: PathBuf,
    /// The zone.
    pub availability_zone: String,
    /// The size that EC2 tells.
    pub size_gib: u64,
    pub tags: BTreeMap<String, String>,
    /// The instance that it is attached to, which need not exist.
    pub attached_to: Option<String>,
    /// Whether that instance lets go of it when asked; if not, only a forced detachment ends the attachment.
    pub lets_go: bool,
}

impl VolumeSpec {
    /// A free volume of one GiB without tags.
    pub fn new(id: &str, file: &Path, availability_zone: &str) -> Self {
        Self {
            id: id.to_owned(),
            file: file.to_owned(),
            availability_zone: availability_zone.to_owned(),
            size_gib: 1,
            tags: BTreeMap::new(),
            attached_to: None,
            lets_go: true,
        }
    }

    /// The same with a tag more.
    #[must_use]
    pub fn tagged(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same attached to an instance.
    #[must_use]
    pub fn attached_to(mut self, instance_id: &str) -> Self {
        self.attached_to = Some(instance_id.to_owned());
        self
    }

    /// The same held by its instance until the detachment is forced.
    #[must_use]
    pub fn held(mut self) -> Self {
        self.lets_go = false;
        self
    }
}

impl Ec2 {
    /// Adds a volume, or replaces the one of this id.
    pub(crate) fn add_volume(&self, spec: VolumeSpec) {
        let attachment = spec.attached_to.map(|instance_id| Attachment {
            instance_id,
            device_name: "/dev/sdf".to_owned(),
            state: "attached",
            since: now(),
            local: None,
            is_loop: false,
            holds_on: !spec.lets_go,
        });
        let volume = Volume {
            id: spec.id.clone(),
            state: if attachment.is_some() { "in-use" } else { "available" },
            size_gib: spec.size_gib,
            availability_zone: spec.availability_zone,
            snapshot_id: None,
            kind: "gp3".to_owned(),
            iops: None,
            throughput: None,
            encrypted: false,
            kms_key_id: None,
            created: now(),
            tags: spec.tags,
            attachment,
            file: spec.file,
            broken_from: None,
        };
        self.state().volumes.insert(spec.id, volume);
    }

    /// Makes a volume vanish, attached or not; its file stays. `false` when it is not there.
    pub(crate) fn remove_volume(&self, id: &str) -> bool {
        self.state().volumes.remove(id).is_some()
    }

    /// Makes device names be in use on every instance.
    pub(crate) fn occupy_device_names(&self, names: impl IntoIterator<Item = String>) {
        self.state().occupied_names.extend(names);
    }
}
