//! The block device of a volume, by the serial number that EBS gives its NVMe disks.
//!
//! The by-id link is only a hint: links outlive their disks, and the next disk may get the old name. So the serial is
//! read from sysfs in any case, and where there is no link every disk of sysfs is looked at.

use std::path::{Path, PathBuf};

use domain::failure::{Error, Kind, Result};
use domain::id::VolumeId;

const LINK_PREFIX: &str = "nvme-Amazon_Elastic_Block_Store_";

/// Where devices are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTree {
    /// `/dev/disk/by-id`.
    pub by_id: PathBuf,
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for DeviceTree {
    fn default() -> Self {
        Self { by_id: "/dev/disk/by-id".into(), sysfs: "/sys".into(), dev: "/dev".into() }
    }
}

impl DeviceTree {
    /// The device of `volume`, or `None` while there is none.
    pub fn find(&self, volume: &VolumeId) -> Result<Option<PathBuf>> {
        let serial = volume.nvme_serial();
        if let Some(device) = self.linked(&serial) {
            return Ok(Some(device));
        }
        self.scanned(&serial)
    }

    fn linked(&self, serial: &str) -> Option<PathBuf> {
        let link = self.by_id.join(format!("{LINK_PREFIX}{serial}"));
        let device = link.canonicalize().ok()?;
        if self.serial_of(device.file_name()?.as_ref()).as_deref() == Some(serial) {
            return Some(device);
        }
        tracing::warn!(link = %link.display(), device = %device.display(), "the link leads to a disk with another serial number");
        None
    }

    fn scanned(&self, serial: &str) -> Result<Option<PathBuf>> {
        let class = self.sysfs.join("class/block");
        let failed = |error| Error::caused_by(Kind::Internal, format!("list the disks of {}", class.display()), error);
        let entries = match std::fs::read_dir(&class) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            // Partitions have no `device` of their own, but may show their disk's.
            if entry.path().join("partition").exists() {
                continue;
            }
            let device = self.dev.join(&name);
            if self.serial_of(name.as_ref()).as_deref() == Some(serial) && device.exists() {
                return Ok(Some(device));
            }
        }
        Ok(None)
    }

    fn serial_of(&self, name: &Path) -> Option<String> {
        let file = self.sysfs.join("class/block").join(name).join("device/serial");
        // NVMe pads serial numbers with spaces. EBS shows them with and without the dash, depending on the kernel's
        // age.
        let text = std::fs::read_to_string(file).ok()?;
        Some(text.trim().replacen("vol-", "vol", 1))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        root: tempfile::TempDir,
        tree: DeviceTree,
        volume: VolumeId,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let tree = DeviceTree {
                by_id: root.path().join("by-id"),
                sysfs: root.path().join("sys"),
                dev: root.path().join("dev"),
            };
            for directory in [&tree.by_id, &tree.sysfs.join("class/block"), &tree.dev] {
                fs::create_dir_all(directory).unwrap();
            }
            Self { root, tree, volume: "vol-0123456789abcdef0".parse().unwrap() }
        }

        fn disk(&self, name: &str, serial: &str) -> PathBuf {
            let directory = self.tree.sysfs.join("class/block").join(name).join("device");
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("serial"), format!("{serial}   \n")).unwrap();
            let device = self.tree.dev.join(name);
            fs::write(&device, "").unwrap();
            device.canonicalize().unwrap()
        }

        fn link(&self, target: &Path) {
            let link = format!("{LINK_PREFIX}{}", self.volume.nvme_serial());
            symlink(target, self.tree.by_id.join(link)).unwrap();
        }
    }

    #[test]
    fn the_link_is_followed_when_the_serial_agrees() {
        let fixture = Fixture::new();
        let device = fixture.disk("nvme1n1", "vol0123456789abcdef0");
        fixture.link(&device);
        assert_eq!(fixture.tree.find(&fixture.volume).unwrap(), Some(device));
    }

    #[test]
    fn a_stale_link_is_not_believed() {
        let fixture = Fixture::new();
        let other = fixture.disk("nvme1n1", "vol0fffffffffffffff0");
        fixture.link(&other);
        assert_eq!(fixture.tree.find(&fixture.volume).unwrap(), None);
        let ours = fixture.disk("nvme2n1", "vol0123456789abcdef0");
        let found = fixture.tree.find(&fixture.volume).unwrap().unwrap();
        assert_eq!(found.canonicalize().unwrap(), ours);
    }

    #[test]
    fn without_a_link_the_serial_is_looked_up_and_partitions_are_not_taken() {
        let fixture = Fixture::new();
        assert_eq!(fixture.tree.find(&fixture.volume).unwrap(), None);
        fixture.disk("nvme1n1p1", "vol0123456789abcdef0");
        let partition = fixture.tree.sysfs.join("class/block/nvme1n1p1/partition");
        fs::write(partition, "1").unwrap();
        assert_eq!(fixture.tree.find(&fixture.volume).unwrap(), None);
        fixture.disk("nvme1n1", "vol0123456789abcdef0");
        let found = fixture.tree.find(&fixture.volume).unwrap().unwrap();
        assert_eq!(found.file_name().unwrap(), "nvme1n1");
        assert!(found.starts_with(fixture.root.path()));
    }

    #[test]
    fn a_new_disk_of_another_volume_is_never_taken() {
        let fixture = Fixture::new();
        fixture.disk("nvme1n1", "vol0fffffffffffffff0");
        fixture.disk("nvme2n1", "AWS-instance-store");
        assert_eq!(fixture.tree.find(&fixture.volume).unwrap(), None);
    }
}
