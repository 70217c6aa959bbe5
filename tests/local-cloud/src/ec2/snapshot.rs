//! Snapshots and images, as recovery points leave them.

use super::service::Ec2;
use super::state::{Image, Snapshot};

impl Ec2 {
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
