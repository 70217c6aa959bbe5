//! What an artifact is known by once it is written or read.

use crate::digest::{Crc64Nvme, Sha256};
use crate::member::StreamSummary;

/// What an artifact is known by. Equal for equal input, whatever the threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactSummary {
    /// Size of the object.
    pub compressed_bytes: u64,
    /// Size of the tar stream or image within.
    pub uncompressed_bytes: u64,
    /// Tar entries, or blocks of an image: rows of the index.
    pub entries: u64,
    /// Members in the object.
    pub members: u64,
    /// Members of full size and nothing but zeros.
    pub zero_members: u64,
    /// SHA-256 of the object.
    pub sha256: Sha256,
    /// CRC64NVME of the object.
    pub crc64nvme: Crc64Nvme,
    /// SHA-256 of the uncompressed stream.
    pub uncompressed_sha256: Sha256,
}

impl ArtifactSummary {
    pub(crate) fn of_stream(stream: &StreamSummary, entries: u64) -> Self {
        Self {
            compressed_bytes: stream.compressed_bytes,
            uncompressed_bytes: stream.uncompressed_bytes,
            entries,
            members: stream.members,
            zero_members: stream.zero_members,
            sha256: stream.sha256,
            crc64nvme: stream.crc64nvme,
            uncompressed_sha256: stream.uncompressed_sha256,
        }
    }
}
