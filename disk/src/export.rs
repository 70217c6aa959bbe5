//! Ties the source together: one mounted filesystem to one tar, one range of a disk to one image.

use archive::{ImageWriter, TarArchiveWriter};

use crate::device::Disk;
use crate::error::Error;
use crate::filesystem::{Image, Mounted};
use crate::options::{FilesystemReport, Options};
use crate::progress::Progress;
use crate::read_ahead::{Block, Stretch, read_blocks, read_tree};

/// What was exported of a range of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageReport {
    /// Bytes read; blocks that an image file does not store are not.
    pub bytes_read: u64,
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
) -> Result<FilesystemReport, Error> {
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
) -> Result<ImageReport, Error> {
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
