//! Snapshots and images, as recovery points leave them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::recovery_point::VolumeFate;

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

impl super::Ec2 {
    pub(crate) fn add_snapshot(&self, snapshot: Snapshot) {
        self.state().snapshots.insert(snapshot.id.clone(), snapshot);
    }

    pub(crate) fn add_image(&self, image: Image) {
        self.state().images.insert(image.id.clone(), image);
    }

    /// Removes a snapshot and its file; volumes made of it stay.
    pub(crate) fn remove_snapshot(&self, id: &str) {
        if let Some(snapshot) = self.state().snapshots.remove(id) {
            // The directory may be gone already.
            std::fs::remove_file(&snapshot.file).ok();
        }
    }

    /// Removes an image and its snapshots.
    pub(crate) fn remove_image(&self, id: &str) {
        let removed = self.state().images.remove(id);
        for (_, snapshot) in removed.map(|image| image.devices).unwrap_or_default() {
            self.remove_snapshot(&snapshot);
        }
    }

    /// Marks a snapshot as one whose volumes have a bad spot; `false` when it is not there.
    pub(crate) fn break_snapshot(&self, id: &str, from_byte: u64) -> bool {
        let mut state = self.state();
        let found = state.snapshots.get_mut(id);
        found.map(|snapshot| snapshot.broken_from = Some(from_byte)).is_some()
    }
}
