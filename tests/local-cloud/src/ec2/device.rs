//! An attached volume on this machine: a loop device, and the names under which programs look for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// Where the names are kept: `<directory>/dev/disk/by-id` and `<directory>/sys`.
#[derive(Debug, Clone)]
pub(super) struct Names<'a> {
    pub(super) directory: &'a Path,
}

impl Names<'_> {
    fn link(&self, volume_id: &str) -> PathBuf {
        let serial = volume_id.replace('-', "");
        self.directory.join("dev/disk/by-id").join(format!("nvme-Amazon_Elastic_Block_Store_{serial}"))
    }

    fn sysfs(&self, device: &Path) -> Option<PathBuf> {
        Some(self.directory.join("sys/class/block").join(device.file_name()?))
    }

    /// Makes the names of a device.
    pub(super) fn add(&self, volume_id: &str, device: &Path) -> Result<()> {
        let link = self.link(volume_id);
        if let Some(parent) = link.parent() {
            std::fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        // A link that an earlier attachment left behind points elsewhere.
        std::fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(device, &link).map_err(Error::file("create", &link))?;
        if let Some(sysfs) = self.sysfs(device) {
            let directory = sysfs.join("device");
            std::fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
            let serial = directory.join("serial");
            // NVMe pads the serial number to 20 characters.
            std::fs::write(&serial, format!("{:<20}\n", volume_id.replace('-', "")))
                .map_err(Error::file("write", &serial))?;
            let model = directory.join("model");
            std::fs::write(&model, format!("{:<40}\n", "Amazon Elastic Block Store"))
                .map_err(Error::file("write", &model))?;
        }
        Ok(())
    }

    /// Removes the names of a device.
    pub(super) fn remove(&self, volume_id: &str, device: &Path) {
        // Whether they were there does not matter.
        std::fs::remove_file(self.link(volume_id)).ok();
        if let Some(sysfs) = self.sysfs(device) {
            std::fs::remove_dir_all(sysfs).ok();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let failed = |message: String| Error::Program { program: format!("{program} {}", arguments.join(" ")), message };
    let output = Command::new(program).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A copy of an image that takes no space for holes, and shares blocks where the filesystem can.
pub(crate) fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    run("cp", &["--sparse=always", "--reflink=auto", &from, &to]).map(drop)
}

/// Makes a loop device of a file.
pub(super) fn make_loop(file: &Path) -> Result<PathBuf> {
    let device = run("losetup", &["-fP", "--show", &file.display().to_string()])?;
    // A disk reads ahead 128 KiB by default; a loop device takes over what its file's filesystem does, up to 16 MiB.
    run("blockdev", &["--setra", "256", &device])?;
    Ok(PathBuf::from(device))
}

/// Asks for the end of a loop device. One that is in use goes when its last user does.
pub(super) fn drop_loop(device: &Path) {
    // One that is gone already is what was wanted.
    run("losetup", &["-d", &device.display().to_string()]).ok();
}

/// Whether a loop device still holds this file.
pub(super) fn loop_holds(device: &Path, file: &Path) -> bool {
    let Some(name) = device.file_name() else { return false };
    let backing = Path::new("/sys/block").join(name).join("loop/backing_file");
    std::fs::read_to_string(backing).is_ok_and(|text| Path::new(text.trim().trim_end_matches(" (deleted)")) == file)
}

/// The loop devices of files below a directory.
pub(crate) fn loops_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/sys/block") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let backing = std::fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(backing.trim()).starts_with(directory) {
            found.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    found
}
