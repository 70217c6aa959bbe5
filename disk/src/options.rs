//! How a disk is read, and what came of reading a filesystem.

use crate::device::Access;

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
