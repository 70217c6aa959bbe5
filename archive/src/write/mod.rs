//! Writing an artifact and its index in one pass.
//!
//! [`TarArchiveWriter`] turns entries into one pax tar stream, [`ImageWriter`] takes the bytes of a device. Both hand
//! the stream to a [`MemberWriter`](crate::MemberWriter), whose sink (`indexing`) gives the members to the caller and
//! writes the index as their offsets become known.

mod image;
mod indexing;
mod tar;

pub use image::ImageWriter;
pub use tar::TarArchiveWriter;

use crate::codec::Compression;
use crate::index::row::{ArtifactKind, IndexMetadata};
use crate::member::MemberOptions;
use crate::summary::ArtifactSummary;

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
    /// Bytes of members that may be under way, uncompressed and compressed together. At least six members are, whatever
    /// is said here.
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
