//! Writing an artifact and its index in one pass.
//!
//! [`TarArchiveWriter`] turns entries into one pax tar stream, [`ImageWriter`] takes the bytes of a device. Both hand the stream to a
//! [`MemberWriter`](crate::MemberWriter), whose sink (`indexing`) gives the members to the caller and writes the index as their offsets become known.

mod image;
mod indexing;
mod tar;

pub use image::ImageWriter;
pub use tar::TarArchiveWriter;

use crate::codec::Compression;
use crate::digest::{Crc64Nvme, Sha256};
use crate::index::row::{ArtifactKind, IndexMetadata};
use crate::member::{MemberOptions, StreamSummary};

/// How an artifact is written.
#[derive(Debug, Clone)]
pub struct ArchiveOptions {
    /// Name of the artifact, for the index: `partition-1.tar.gz`.
    pub artifact: String,
    /// The export, for the index.
    pub export_id: Option<String>,
    /// How the stream is cut and compressed.
    pub compression: Compression,
    /// Compressor threads, at least one. The bytes do not depend on it.
    pub threads: usize,
    /// Bytes of members that may be under way, uncompressed and compressed together. At least six members are, whatever is said here.
    pub budget_bytes: usize,
}

impl ArchiveOptions {
    fn members(&self, hash_members: bool) -> MemberOptions {
        let Self { compression, threads, budget_bytes, .. } = *self;
        MemberOptions { compression, threads, budget_bytes, hash_members }
    }

    pub(crate) fn metadata(self, kind: ArtifactKind, summary: ArtifactSummary) -> IndexMetadata {
        let Self { artifact, export_id, compression, .. } = self;
        IndexMetadata { kind, artifact, export_id, compression, summary }
    }
}

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
