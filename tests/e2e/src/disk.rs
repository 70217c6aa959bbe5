//! Disks with real partitions and filesystems, made with the system's own tools.
//!
//! A [`Disk`] is a sparse image file. Making one needs root (loop devices and mounts), except for [`Disk::raw`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// An image file of a disk.
#[derive(Debug, Clone)]
pub struct Disk {
    path: PathBuf,
}

/// A loop device of a disk or partition; detached by [`Attached::detach`], or when dropped.
#[derive(Debug)]
pub struct Attached {
    device: PathBuf,
    detached: bool,
}

impl Disk {
    /// An empty disk of `bytes` in a new sparse file.
    pub fn raw(path: &Path, bytes: u64) -> Result<Self> {
        let file = File::create_new(path).with_context(|| format!("create {}", path.display()))?;
        file.set_len(bytes).with_context(|| format!("size {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The image file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a partition table given as an `sfdisk` script.
    pub fn partition(&self, script: &str) -> Result<()> {
        run_with_input(Command::new("sfdisk").arg("--quiet").arg(&self.path), script)
    }

    /// Attaches a loop device of the whole disk.
    pub fn attach(&self) -> Result<Attached> {
        self.attach_range(&[])
    }

    /// Attaches a loop device of one partition, found in the disk's own table. The kernel's nodes for partitions need a scan that not every machine does.
    pub fn attach_partition(&self, number: u32) -> Result<Attached> {
        let table = output(Command::new("sfdisk").arg("--json").arg(&self.path))?;
        let table: serde_json::Value = serde_json::from_str(&table).context("read what sfdisk printed")?;
        let suffix = format!("img{number}");
        let entry = table["partitiontable"]["partitions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|partition| partition["node"].as_str().is_some_and(|node| node.ends_with(&suffix)));
        let entry = entry.with_context(|| format!("{} has no partition {number}", self.path.display()))?;
        let sectors = |key: &str| entry[key].as_u64().map(|sectors| sectors * 512).context("sfdisk gave no sectors");
        let (offset, size) = (sectors("start")?.to_string(), sectors("size")?.to_string());
        self.attach_range(&["--offset", &offset, "--sizelimit", &size])
    }

    fn attach_range(&self, range: &[&str]) -> Result<Attached> {
        let output = output(Command::new("losetup").args(["--find", "--show"]).args(range).arg(&self.path))?;
        Ok(Attached { device: PathBuf::from(output.trim()), detached: false })
    }

    /// Makes a filesystem on the whole disk and fills it.
    pub fn format(&self, filesystem: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let attached = self.attach()?;
        format(attached.device(), filesystem, "data")?;
        with_mounted(attached.device(), fill)?;
        attached.detach()
    }
}

impl Attached {
    /// The device.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Detaches the device.
    pub fn detach(mut self) -> Result<()> {
        self.detached = true;
        run(Command::new("losetup").arg("--detach").arg(&self.device))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if !self.detached
            && let Err(error) = run(Command::new("losetup").arg("--detach").arg(&self.device))
        {
            eprintln!("{error:#}");
        }
    }
}

/// Makes a filesystem (`ext4`, `xfs`, `btrfs`, `swap`) with a label on a device.
pub fn format(device: &Path, filesystem: &str, label: &str) -> Result<()> {
    let mut command =
        Command::new(if filesystem == "swap" { "mkswap".to_owned() } else { format!("mkfs.{filesystem}") });
    match filesystem {
        "ext2" | "ext3" | "ext4" => command.args(["-q", "-F"]),
        "xfs" | "btrfs" => command.args(["-q", "-f"]),
        "swap" => &mut command,
        other => bail!("make a {other} filesystem: only ext2, ext3, ext4, xfs, btrfs and swap are made here"),
    };
    run(command.args(["-L", label]).arg(device))
}

/// Mounts a device in a temporary directory while `act` runs.
pub fn with_mounted<T>(device: &Path, act: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let directory = tempfile::tempdir().context("make a mount point")?;
    run(Command::new("mount").arg(device).arg(directory.path()))?;
    let result = act(directory.path());
    run(Command::new("umount").arg(directory.path()))?;
    result
}

/// Runs a command; its failure says what it printed.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a command and returns what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run_with_input(command: &mut Command, input: &str) -> Result<()> {
    let mut file = tempfile::tempfile().context("make a temporary file")?;
    std::io::Write::write_all(&mut file, input.as_bytes()).context("write a temporary file")?;
    std::io::Seek::rewind(&mut file).context("rewind a temporary file")?;
    run(command.stdin(file))
}
