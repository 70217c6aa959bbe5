//! Filesystems: recognised by `blkid`, mounted read-only where nobody else sees them.
//!
//! A mount here never enters the mount table: it is a file descriptor, and gone when that is closed, even by SIGKILL.

use std::os::fd::OwnedFd;

use domain::manifest::Source;

use super::device::Node;
use super::{Disk, SourceError};

/// A partition, or the whole disk where there are none: what becomes one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `partition-1` or `disk`: the artifact's name without its suffix.
    pub name: String,
    /// Where it is and what is in it, for the manifest.
    pub source: Source,
}

/// What a section turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// A mounted filesystem, to be exported as tar.
    Filesystem(Mounted),
    /// Anything else, to be exported as an image.
    Image(Image),
    /// Not worth exporting, and why.
    Skipped(String),
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

impl Section {
    /// The partition's number; `None` for a whole disk.
    pub fn number(&self) -> Option<u32> {
        self.source.partition
    }

    /// Recognises what the section holds and mounts it if that can be done.
    ///
    /// # Errors
    /// Only what makes an image impossible, too: a filesystem that cannot be mounted is an image, with the error as its reason.
    pub fn open(&self, disk: &Disk) -> Result<Opened, SourceError> {
        todo!("{disk:?}")
    }
}

impl Mounted {
    /// Bytes in use according to the filesystem: an estimate of what will be read.
    pub fn used_bytes(&self) -> Result<u64, SourceError> {
        todo!()
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Unmounts the filesystem, and waits until its loop device is gone.
    pub fn unmount(self) -> Result<(), SourceError> {
        let Self { root, node, .. } = self;
        drop(root);
        node.close()
    }
}
