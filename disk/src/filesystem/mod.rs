//! Filesystems: recognised by `blkid`, mounted read-only where nobody else sees them.
//!
//! A mount here never enters the mount table: it is a file descriptor, and gone when that is closed, even by SIGKILL.

mod mount;
mod probe;

use std::os::fd::{AsFd, OwnedFd};

use domain::manifest::Source;

use self::probe::{Probe, Treatment};
use crate::device::{Access, Disk, Node};
use crate::error::Error;

/// Enough for the superblock of every filesystem that is looked into.
const SUPERBLOCK_BYTES: u64 = 128 * 1024;

/// A partition, or the whole disk where there are none: what becomes one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `partition-1` or `disk`: the artifact's name without its suffix.
    pub name: String,
    /// Where it is and what is in it, for the manifest.
    pub source: Source,
    /// Why it is not even looked into.
    defect: Option<String>,
}

/// What a section turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// A mounted filesystem, to be exported as tar.
    Filesystem(Mounted),
    /// Anything else, to be exported as an image.
    Image(Image),
    /// Not worth exporting.
    Skipped(Skipped),
}

/// A filesystem, mounted read-only.
#[derive(Debug)]
pub struct Mounted {
    root: OwnedFd,
    node: Node,
    /// What is exported.
    pub section: Section,
    /// Remarks for the manifest: a journal that was not replayed.
    pub notes: Vec<String>,
}

/// A range of the disk.
#[derive(Debug)]
pub struct Image {
    /// What is exported.
    pub section: Section,
    /// Why it is not exported file by file.
    pub reason: String,
}

/// A section that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// What is left out.
    pub section: Section,
    /// Why.
    pub reason: String,
}

impl Section {
    pub(super) fn new(name: String, source: Source, defect: Option<String>) -> Self {
        Self { name, source, defect }
    }

    /// The partition's number; `None` for a whole disk.
    pub fn number(&self) -> Option<u32> {
        self.source.partition
    }

    /// Recognises what the section holds and mounts it if that can be done.
    ///
    /// # Errors
    /// Only what makes an image impossible, too: a filesystem that cannot be mounted is an image, with the error as its
    /// reason.
    pub fn open(&self, disk: &Disk) -> Result<Opened, Error> {
        let mut section = self.clone();
        if let Some(reason) = &self.defect {
            return Ok(Opened::Image(Image { section, reason: reason.clone() }));
        }
        let (offset, size) = (self.source.offset_bytes, self.source.size_bytes);
        let probe = Probe::read(disk, offset, size)?;
        let length = usize::try_from(size.min(SUPERBLOCK_BYTES)).expect("at most 128 KiB");
        let treatment = probe.treatment(&disk.read_at(offset, length)?);
        section.source.filesystem = probe.kind;
        section.source.label = probe.label;
        section.source.uuid = probe.uuid;
        Ok(match treatment {
            Treatment::Skip(reason) => Opened::Skipped(Skipped { section, reason }),
            Treatment::Image(reason) => Opened::Image(Image { section, reason }),
            Treatment::Mount(kind) => match try_mount(disk, &section, &kind)? {
                Ok((root, node, notes)) => Opened::Filesystem(Mounted { root, node, section, notes }),
                Err(reason) => Opened::Image(Image { section, reason }),
            },
        })
    }
}

type Mount = (OwnedFd, Node, Vec<String>);

/// Tries every way to mount a section; the inner error is the reason for an image.
fn try_mount(disk: &Disk, section: &Section, kind: &str) -> Result<Result<Mount, String>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Err(format!("{kind} could not be mounted: only root can mount it")));
    }
    let mut node = disk.node(section.source.offset_bytes, section.source.size_bytes)?;
    let mut errors: Vec<String> = Vec::new();
    let attempts = mount::attempts(kind).into_iter();
    // On a copy that may be written, only damage keeps a journal from being replayed: its files are not to be trusted,
    // its bytes are.
    let writable = disk.access() == Access::ThrowAway;
    for attempt in attempts.filter(|attempt| !(writable && attempt.skips_replay())) {
        match mount::mount(node.path(), &attempt) {
            Ok(root) => {
                node.release();
                let notes = attempt.note.map(|note| format!("{}: {note}", section.name)).into_iter().collect();
                return Ok(Ok((root, node, notes)));
            }
            Err(error) if errors.contains(&error) => {}
            Err(error) => errors.push(error),
        }
    }
    node.close()?;
    Ok(Err(format!("{kind} could not be mounted: {}", errors.join(", then: "))))
}

impl Mounted {
    /// Bytes in use according to the filesystem: an estimate of what will be read.
    ///
    /// # Errors
    /// When the filesystem does not answer.
    pub fn used_bytes(&self) -> Result<u64, Error> {
        let usage = rustix::fs::fstatvfs(self.root.as_fd())
            .map_err(|error| Error::system(format!("ask {} for its usage", self.section.name), error))?;
        Ok(usage.f_blocks.saturating_sub(usage.f_bfree).saturating_mul(usage.f_frsize))
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Unmounts the filesystem, and waits until its loop device is gone.
    pub fn unmount(self) -> Result<(), Error> {
        let Self { root, node, .. } = self;
        drop(root);
        node.close()
    }
}
