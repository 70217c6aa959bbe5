//! Loop devices, which end with whoever made them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::run;

/// A loop device of a file or of a part of one; detached by [`LoopDevice::detach`], or when dropped. Needs root.
#[derive(Debug)]
pub struct LoopDevice {
    device: PathBuf,
    detached: bool,
}

impl LoopDevice {
    /// A loop device of a whole file.
    pub fn of(file: &Path) -> Result<Self> {
        Self::with(file, &[])
    }

    /// A loop device of a whole file that has sectors of so many bytes.
    pub fn with_sectors(file: &Path, sector_bytes: u32) -> Result<Self> {
        Self::with(file, &["--sector-size", &sector_bytes.to_string()])
    }

    /// A loop device of some bytes of a file.
    pub fn of_range(file: &Path, offset_bytes: u64, size_bytes: u64) -> Result<Self> {
        Self::with(file, &["--offset", &offset_bytes.to_string(), "--sizelimit", &size_bytes.to_string()])
    }

    fn with(file: &Path, options: &[&str]) -> Result<Self> {
        let printed = run(Command::new("losetup").args(["--find", "--show"]).args(options).arg(file))?;
        Ok(Self { device: PathBuf::from(printed.trim()), detached: false })
    }

    /// `/dev/loop…`.
    pub fn path(&self) -> &Path {
        &self.device
    }

    /// Detaches it.
    pub fn detach(mut self) -> Result<()> {
        self.detached = true;
        self.release()
    }

    fn release(&self) -> Result<()> {
        run(Command::new("losetup").arg("--detach").arg(&self.device)).map(drop)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if !self.detached
            && let Err(error) = self.release()
        {
            eprintln!("{error:#}");
        }
    }
}

/// The files behind loop devices that lie below a directory.
pub fn loops_below(directory: &Path) -> Result<Vec<String>> {
    let listed = run(Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]))?;
    let below = directory.display().to_string();
    Ok(listed.lines().filter(|line| line.contains(&below)).map(str::to_owned).collect())
}

/// Asserts that no loop device of a file is left, nor of one below a directory.
pub fn assert_released(path: &Path) -> Result<()> {
    let left = loops_below(path)?;
    ensure!(left.is_empty(), "loop devices are left: {left:?}");
    Ok(())
}
