//! Ties the source together: one mounted filesystem to one tar, one range of a disk to one image.

use super::{Disk, Image, Mounted, Progress, SourceError};

/// How much is read ahead of the archive writer, and by how many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Reading threads. 64 for a restored volume, whose every first touch waits for S3; 8 otherwise.
    pub readers: usize,
    /// Bytes of content held in memory ahead of the writer. One chunk of up to 1 MiB is always allowed.
    pub read_ahead_bytes: usize,
}

/// What was exported of a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesystemReport {
    /// Tar entries written.
    pub entries: u64,
    /// Paths of sockets, which tar cannot hold.
    pub sockets: Vec<Vec<u8>>,
    /// Remarks for the manifest.
    pub notes: Vec<String>,
    /// Bytes of content read.
    pub bytes_read: u64,
}

/// What was exported of a range of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageReport {
    /// Remarks for the manifest.
    pub notes: Vec<String>,
    /// Bytes read.
    pub bytes_read: u64,
}

// Signatures, pending the writers of the archive crate:
// pub fn export_filesystem<W>(mounted: &Mounted, archive: &mut archive::TarWriter<W>, options: &Options, progress: &Progress) -> Result<FilesystemReport, SourceError>
// pub fn export_image<W>(disk: &Disk, image: &Image, archive: &mut archive::ImageWriter<W>, options: &Options, progress: &Progress) -> Result<ImageReport, SourceError>
