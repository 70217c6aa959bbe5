//! Disks with real partitions and filesystems, made with the system's own tools.
//!
//! A [`Disk`] is a sparse image file. What mounts it or makes loop devices of it needs root; the rest does not.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{feed, run};
use crate::loop_device::LoopDevice;
use crate::mount::Mounted;

/// An image file of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// An empty disk of `bytes` in a new sparse file.
    pub fn new(path: &Path, bytes: u64) -> Result<Self> {
        let file = File::create_new(path).with_context(|| format!("create {}", path.display()))?;
        file.set_len(bytes).with_context(|| format!("size {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// A disk of `bytes` that do not compress: no partition, no filesystem.
    pub fn noise(path: &Path, bytes: u64) -> Result<Self> {
        let disk = Self::new(path, 0)?;
        let source = File::open("/dev/urandom").context("open /dev/urandom")?;
        let mut target = File::options().write(true).open(path).with_context(|| format!("open {}", path.display()))?;
        std::io::copy(&mut source.take(bytes), &mut target).with_context(|| format!("fill {}", path.display()))?;
        Ok(disk)
    }

    /// A disk that is one filesystem, mounted once to be filled. Needs root.
    pub fn filled(path: &Path, filesystem: &str, bytes: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let disk = Self::new(path, bytes)?;
        format(path, filesystem, "data")?;
        let mounted = disk.mount("rw")?;
        fill(mounted.path())?;
        mounted.unmount()?;
        Ok(disk)
    }

    /// A disk that is one ext4 filesystem with a copy of a tree. Needs no root.
    pub fn of_tree(path: &Path, tree: &Path, bytes: u64) -> Result<Self> {
        let disk = Self::new(path, bytes)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-L", "data", "-d"]).arg(tree).arg(path))?;
        Ok(disk)
    }

    /// The disk in the file `nvme9n1` of a directory, of 48 MiB with a GPT: ext4 with the file `hello` and 12 MiB that do not
    /// compress in `folder/noise`, and behind it (sector 67,584, 8,192 sectors) a partition that nothing can mount. Needs no
    /// root.
    pub fn with_two_partitions(directory: &Path) -> Result<Self> {
        use std::os::unix::fs::FileExt as _;
        let tree = directory.join("tree");
        std::fs::create_dir_all(tree.join("folder"))?;
        std::fs::write(tree.join("hello"), "hello, world\n")?;
        // So that an upload of it takes more than one part.
        std::fs::write(tree.join("folder/noise"), crate::tree::noise(1, 12 << 20))?;
        let disk = Self::new(&directory.join("nvme9n1"), 48 << 20)?;
        disk.partition("label: gpt\nstart=2048,size=65536\nstart=67584,size=8192\n")?;
        let offset = ["-E", "offset=1048576"];
        run(Command::new("mkfs.ext4").args(["-q", "-d"]).arg(&tree).args(offset).arg(&disk.path).arg("32M"))?;
        let file = File::options().write(true).open(&disk.path)?;
        file.write_all_at(&vec![0x5a; 1 << 20], 67_584 * 512)?;
        Ok(disk)
    }

    /// The image file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a partition table given as an `sfdisk` script.
    pub fn partition(&self, script: &str) -> Result<()> {
        partition(&self.path, script)
    }

    /// Mounts the filesystem that the whole disk is. Needs root.
    pub fn mount(&self, options: &str) -> Result<Mounted> {
        Mounted::new(&self.path, options)
    }

    /// A loop device of the whole disk. Needs root.
    pub fn attach(&self) -> Result<LoopDevice> {
        LoopDevice::of(&self.path)
    }

    /// A loop device of one partition, found in the disk's own table. The kernel's nodes for partitions need a scan that not
    /// every machine does. Needs root.
    pub fn attach_partition(&self, number: u32) -> Result<LoopDevice> {
        let table = run(Command::new("sfdisk").arg("--json").arg(&self.path))?;
        let table: serde_json::Value = serde_json::from_str(&table).context("read what sfdisk printed")?;
        let whole = self.path.display().to_string();
        // `disk` has `disk1`, `disk9` has `disk9p1`.
        let is_it = |entry: &&serde_json::Value| {
            let suffix = entry["node"].as_str().and_then(|node| node.strip_prefix(&whole));
            suffix.is_some_and(|suffix| suffix.trim_start_matches('p') == number.to_string())
        };
        let entry = table["partitiontable"]["partitions"].as_array().into_iter().flatten().find(is_it);
        let entry = entry.with_context(|| format!("{whole} has no partition {number}"))?;
        let bytes = |key: &str| entry[key].as_u64().map(|sectors| sectors * 512).context("sfdisk gave no sectors");
        LoopDevice::of_range(&self.path, bytes("start")?, bytes("size")?)
    }
}

/// Writes a partition table given as an `sfdisk` script to a device or an image file.
pub fn partition(path: &Path, script: &str) -> Result<()> {
    feed(Command::new("sfdisk").arg("--quiet").arg(path), script).map(drop)
}

/// Makes a filesystem (`ext4`, `xfs`, `btrfs`, `swap`) with a label on a device or an image file.
pub fn format(path: &Path, filesystem: &str, label: &str) -> Result<()> {
    let mut command =
        Command::new(if filesystem == "swap" { "mkswap".to_owned() } else { format!("mkfs.{filesystem}") });
    match filesystem {
        "ext2" | "ext3" | "ext4" => command.args(["-q", "-F"]),
        "xfs" | "btrfs" => command.args(["-q", "-f"]),
        "swap" => &mut command,
        other => bail!("make a {other} filesystem: only ext2, ext3, ext4, xfs, btrfs and swap are made here"),
    };
    run(command.args(["-L", label]).arg(path)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loop_device::{assert_released, loops_below};

    #[test]
    fn a_disk_is_filled_mounted_and_released() -> Result<()> {
        crate::require_root()?;
        let work = tempfile::tempdir()?;
        let disk = Disk::filled(&work.path().join("disk"), "ext4", 16 << 20, |root| {
            Ok(std::fs::write(root.join("hello"), "world")?)
        })?;
        let mounted = disk.mount("ro")?;
        assert_eq!(std::fs::read_to_string(mounted.path().join("hello"))?, "world");
        assert_eq!(loops_below(work.path())?.len(), 1);
        assert!(assert_released(disk.path()).is_err());
        let at = mounted.path().to_owned();
        drop(mounted);
        assert!(!at.exists());
        assert_released(work.path())
    }

    #[test]
    fn partitions_are_found_in_the_disks_own_table() -> Result<()> {
        crate::require_root()?;
        let work = tempfile::tempdir()?;
        let disk = Disk::with_two_partitions(work.path())?;
        let first = disk.attach_partition(1)?;
        let mounted = Mounted::new(first.path(), "ro")?;
        assert_eq!(std::fs::read_to_string(mounted.path().join("hello"))?, "hello, world\n");
        mounted.unmount()?;
        first.detach()?;
        let second = disk.attach_partition(2)?;
        assert_eq!(std::fs::read(second.path())?.len(), 8192 * 512);
        drop(second);
        assert!(disk.attach_partition(3).is_err());
        let whole = LoopDevice::with_sectors(disk.path(), 4096)?;
        assert_eq!(run(Command::new("blockdev").arg("--getss").arg(whole.path()))?, "4096\n");
        whole.detach()?;
        assert_released(work.path())
    }

    #[test]
    fn a_disk_of_noise_does_not_compress() -> Result<()> {
        let work = tempfile::tempdir()?;
        let disk = Disk::noise(&work.path().join("disk"), 1 << 20)?;
        let size: u64 = crate::shell(&format!("gzip -c {} | wc -c", disk.path().display()))?.trim().parse()?;
        assert!(size > 1 << 20 && disk.path().metadata()?.len() == 1 << 20);
        assert!(Disk::new(disk.path(), 1).is_err(), "it is there");
        Ok(())
    }
}
