//! Mounts, which end with whoever made them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::run;

/// A device or an image file, mounted in a directory of its own; unmounted by [`Mounted::unmount`], or when dropped. Needs
/// root.
#[derive(Debug)]
pub struct Mounted {
    directory: tempfile::TempDir,
    unmounted: bool,
}

impl Mounted {
    /// Mounts it with options (`ro`, `rw,noatime`); an image file gets a loop device, which goes with the mount.
    pub fn new(source: &Path, options: &str) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a mount point")?;
        let is_file = source.metadata().with_context(|| format!("look at {}", source.display()))?.is_file();
        let options = if is_file { format!("loop,{options}") } else { options.to_owned() };
        run(Command::new("mount").args(["-o", &options]).arg(source).arg(directory.path()))?;
        Ok(Self { directory, unmounted: false })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Unmounts it; fails while somebody uses it.
    pub fn unmount(mut self) -> Result<()> {
        self.unmounted = true;
        run(Command::new("umount").arg(self.directory.path())).map(drop)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.unmounted
            && let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.directory.path()))
        {
            eprintln!("{error:#}");
        }
    }
}
