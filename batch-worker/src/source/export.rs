//! Ties the source together: one mounted filesystem to one tar, one range of a disk to one image.

use archive::{ImageWriter, TarArchiveWriter};

use super::read_ahead::{Block, Stretch, read_blocks, read_tree};
use super::{Access, Disk, Image, Mounted, Progress, SourceError};

/// How much is read ahead of the archive writer, and by how many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Reading threads, at least one.
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
    /// Bytes read; blocks that an image file does not store are not.
    pub bytes_read: u64,
}

impl Options {
    /// Sixteen chunks under way and as many waiting; more was not faster on disks that load each block on first touch.
    pub const READ_AHEAD_BYTES: usize = 32 * 1024 * 1024;

    /// 64 readers for a restored volume, whose every first touch waits for S3, and 8 for a disk that is here.
    pub const fn for_access(access: Access) -> Self {
        Self {
            readers: match access {
                Access::ThrowAway => 64,
                Access::Untouched => 8,
            },
            read_ahead_bytes: Self::READ_AHEAD_BYTES,
        }
    }
}

/// Writes everything in a mounted filesystem to a tar archive, which the caller finishes.
///
/// # Errors
/// The first failure in the order of the archive; it names the file. The archive is then to be abandoned.
pub fn export_filesystem(
    mounted: &Mounted,
    archive: &mut TarArchiveWriter,
    options: &Options,
    progress: &Progress,
) -> Result<FilesystemReport, SourceError> {
    let mut report =
        read_tree(mounted.root(), options, progress, &mut |entry, content| archive.append(entry, content))?;
    report.notes.extend(mounted.notes.iter().cloned());
    Ok(report)
}

/// Writes the raw bytes of a section to an image, which the caller finishes.
///
/// # Errors
/// A block that cannot be read after retries; the error names the disk and the offset.
pub fn export_image(
    disk: &Disk,
    image: &Image,
    archive: &mut ImageWriter,
    options: &Options,
    progress: &Progress,
) -> Result<ImageReport, SourceError> {
    let source = &image.section.source;
    let stretch = Stretch {
        file: disk.file(),
        name: &disk.path().display().to_string(),
        offset_bytes: source.offset_bytes,
        size_bytes: source.size_bytes,
    };
    let bytes_read = read_blocks(stretch, options, progress, &mut |block| match block {
        Block::Data(bytes) => archive.write(bytes),
        Block::Zeros(bytes) => archive.write_zeros(bytes),
    })?;
    Ok(ImageReport { bytes_read })
}
