//! The disk: a block device or an image file, opened for reading, and the loop devices through which its parts are
//! mounted.
//!
//! A loop device is marked to vanish with its last user as soon as it exists, so that a killed worker leaves none.
//! Closing it waits until it is gone.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::error::Error;
use crate::tool;

/// How long a loop device may take to vanish after its last user left.
const DETACH_DEADLINE: Duration = Duration::from_secs(20);

/// What the export may do to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The disk is a restored copy that is deleted afterwards: a mount may replay a journal.
    ThrowAway,
    /// The disk belongs to somebody: nothing may be written to it.
    Untouched,
}

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    sector_bytes: u32,
    device_number: Option<u64>,
    access: Access,
}

/// A block device that shows a part of a disk, or all of it.
#[derive(Debug)]
pub struct Node {
    path: PathBuf,
    loop_device: Option<LoopDevice>,
}

#[derive(Debug)]
struct LoopDevice {
    path: PathBuf,
    /// Keeps the device alive until it is mounted; `None` when closed.
    hold: Option<File>,
    identity: String,
}

impl Disk {
    /// Opens a block device or an image file; `expected_bytes` is the least size it must have.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::NotADisk`] and [`Error::TooSmall`] name the path.
    pub fn open(path: &Path, access: Access, expected_bytes: Option<u64>) -> Result<Self, Error> {
        let open_error = |source| Error::Open { path: path.to_owned(), source };
        let not_a_disk = |what| Error::NotADisk { path: path.to_owned(), what };
        // A fifo or a terminal must not be opened before it is known to be none.
        let kind = std::fs::metadata(path).map_err(open_error)?.file_type();
        if !kind.is_block_device() && !kind.is_file() {
            return Err(not_a_disk(if kind.is_dir() {
                "a directory"
            } else if kind.is_fifo() {
                "a fifo"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a character device"
            }));
        }
        let mut file = open_quietly(path).map_err(open_error)?;
        let metadata = file.metadata().map_err(open_error)?;
        let is_block_device = metadata.file_type().is_block_device();
        if !is_block_device && !metadata.is_file() {
            return Err(not_a_disk("something else since it was looked at"));
        }
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(open_error)?;
        if let Some(expected_bytes) = expected_bytes
            && size_bytes < expected_bytes
        {
            return Err(Error::TooSmall { path: path.to_owned(), actual_bytes: size_bytes, expected_bytes });
        }
        if size_bytes == 0 {
            return Err(not_a_disk("empty"));
        }
        let sector_bytes = if is_block_device {
            rustix::fs::ioctl_blksszget(&file).map_err(|error| open_error(error.into()))?
        } else {
            512
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            size_bytes,
            sector_bytes,
            device_number: is_block_device.then(|| metadata.rdev()),
            access,
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The logical sector size of a device; 512 for an image file, which has none.
    pub fn sector_bytes(&self) -> u32 {
        self.sector_bytes
    }

    /// What may be done to it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Reads exactly `length` bytes at `offset`.
    ///
    /// # Errors
    /// [`Error::Read`] names the disk and the offset.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| {
            Error::read(format!("{} at byte {offset} ({length} bytes)", self.path.display()), error)
        })?;
        Ok(bytes)
    }

    /// A block device for a part of the disk: the kernel's own partition node where there is a right one, otherwise a
    /// loop device. Of a disk that must stay untouched it is a read-only loop device in any case.
    pub(crate) fn node(&self, offset_bytes: u64, size_bytes: u64) -> Result<Node, Error> {
        if let (Access::ThrowAway, Some(device)) = (self.access, self.device_number) {
            if offset_bytes == 0 && size_bytes == self.size_bytes {
                return Ok(Node { path: self.path.clone(), loop_device: None });
            }
            if let Some(path) = partition_node(device, offset_bytes, size_bytes) {
                return Ok(Node { path, loop_device: None });
            }
        }
        let loop_device = LoopDevice::attach(&self.path, self.access, offset_bytes, size_bytes)?;
        Ok(Node { path: loop_device.path.clone(), loop_device: Some(loop_device) })
    }
}

impl Node {
    /// The path of the block device.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a loop device to its mount alone.
    pub(crate) fn release(&mut self) {
        if let Some(device) = &mut self.loop_device {
            device.hold = None;
        }
    }

    /// Detaches the loop device, if it is one, and waits until it is gone.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        match self.loop_device.take() {
            Some(device) => device.detach(),
            None => Ok(()),
        }
    }
}

impl LoopDevice {
    fn attach(backing: &Path, access: Access, offset_bytes: u64, size_bytes: u64) -> Result<Self, Error> {
        let offset = offset_bytes.to_string();
        let limit = size_bytes.to_string();
        let backing = backing.as_os_str();
        let mut arguments = vec!["--find".as_ref(), "--show".as_ref()];
        if access == Access::Untouched {
            arguments.push("--read-only".as_ref());
        }
        arguments.extend([
            "--offset".as_ref(),
            offset.as_ref(),
            "--sizelimit".as_ref(),
            limit.as_ref(),
            "--".as_ref(),
            backing,
        ]);
        let path = PathBuf::from(tool::require("losetup", arguments)?);
        let hold = open_quietly(&path);
        // In use by `hold`, it is only marked: the kernel detaches it when its last user closes it.
        tool::require("losetup", ["--detach".as_ref(), path.as_os_str()])?;
        let hold = hold.map_err(|source| Error::system(format!("open the loop device {}", path.display()), source))?;
        let identity = identity(&path).unwrap_or_default();
        Ok(Self { path, hold: Some(hold), identity })
    }

    fn detach(mut self) -> Result<(), Error> {
        self.hold = None;
        let deadline = Instant::now() + DETACH_DEADLINE;
        while self.is_attached() {
            if Instant::now() > deadline {
                return Err(Error::system(
                    format!("detach the loop device {}", self.path.display()),
                    io::Error::from(io::ErrorKind::ResourceBusy),
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether the device still is what was attached here, and not what somebody else attached under the same number
    /// since.
    fn is_attached(&self) -> bool {
        identity(&self.path).is_some_and(|identity| identity == self.identity)
    }
}

/// What tells two uses of one loop device number apart; `None` when nothing is attached. Kernels before 5.15 have no
/// `diskseq`.
fn identity(path: &Path) -> Option<String> {
    let directory = Path::new("/sys/block").join(path.file_name()?);
    let backing = std::fs::read(directory.join("loop/backing_file")).ok()?;
    let offset = std::fs::read_to_string(directory.join("loop/offset")).ok()?;
    let sequence = std::fs::read_to_string(directory.join("diskseq")).unwrap_or_default();
    Some(format!("{sequence}{offset}{}", backing.escape_ascii()))
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if self.hold.take().is_some() {
            tracing::warn!(device = %self.path.display(), "loop device dropped without being closed");
        }
    }
}

/// Opens for reading without touching the access time where that is allowed (owner or root).
fn open_quietly(path: &Path) -> io::Result<File> {
    let open = |flags: OFlags| OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    open(OFlags::NOATIME).or_else(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied { open(OFlags::empty()) } else { Err(error) }
    })
}

/// The node of the kernel's partition with exactly this start and size.
fn partition_node(device: u64, offset_bytes: u64, size_bytes: u64) -> Option<PathBuf> {
    // sysfs counts in units of 512 bytes whatever the sector size.
    let wanted = (offset_bytes / 512, size_bytes / 512);
    if !offset_bytes.is_multiple_of(512) || !size_bytes.is_multiple_of(512) {
        return None;
    }
    let directory =
        PathBuf::from(format!("/sys/dev/block/{}:{}", rustix::fs::major(device), rustix::fs::minor(device)));
    for entry in std::fs::read_dir(directory).ok()?.flatten() {
        let number =
            |file: &str| -> Option<u64> { std::fs::read_to_string(entry.path().join(file)).ok()?.trim().parse().ok() };
        if number("partition").is_none() || (number("start"), number("size")) != (Some(wanted.0), Some(wanted.1)) {
            continue;
        }
        let node = Path::new("/dev").join(entry.file_name());
        let sysfs_number = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        let metadata = std::fs::metadata(&node).ok()?;
        let number = format!("{}:{}", rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        if metadata.file_type().is_block_device() && number == sysfs_number.trim() {
            return Some(node);
        }
    }
    None
}
