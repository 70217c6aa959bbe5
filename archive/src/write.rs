//! Writing an artifact and its index in one pass.

use std::io::{Read, Write};

use crate::codec::Compression;
use crate::digest::{Crc64Nvme, Sha256};
use crate::entry::Entry;
use crate::error::Result;
use crate::member::MemberSink;

/// Sparse files whose holes exceed their data by more than this have no hash of their logical content in the index, only one of the stored data.
pub const HASHED_HOLE_BYTES: u64 = 64 << 20;

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
    /// Bytes of uncompressed and compressed members that may be under way, at least two members.
    pub budget_bytes: usize,
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
    /// Full members of nothing but zeros.
    pub zero_members: u64,
    /// SHA-256 of the object.
    pub sha256: Sha256,
    /// CRC64NVME of the object.
    pub crc64nvme: Crc64Nvme,
    /// SHA-256 of the uncompressed stream.
    pub uncompressed_sha256: Sha256,
}

/// Writes one tar stream in members, and its index.
pub struct TarArchiveWriter {}

impl TarArchiveWriter {
    /// Starts the threads. Members go to `sink`, the Parquet file to `index`.
    pub fn new(
        options: ArchiveOptions,
        sink: impl MemberSink + 'static,
        index: impl Write + Send + 'static,
    ) -> Result<Self> {
        drop((options, sink, index));
        unimplemented!()
    }

    /// Appends an entry. `content` is read to its end and must give exactly [`Entry::stored_bytes`]: the extents of a sparse file one after the other,
    /// nothing for what is no file. An error is final: the artifact is to be abandoned.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        let _ = (entry, content.read_to_end(&mut bytes));
        unimplemented!()
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Ends the tar stream, waits until the sink has taken every member, and closes the index.
    pub fn finish(self) -> Result<ArtifactSummary> {
        unimplemented!()
    }
}

/// Writes the image of a block device in members, and its index: a row per member-sized block.
pub struct ImageWriter {}

impl ImageWriter {
    /// Starts the threads. Members go to `sink`, the Parquet file to `index`.
    pub fn new(
        options: ArchiveOptions,
        sink: impl MemberSink + 'static,
        index: impl Write + Send + 'static,
    ) -> Result<Self> {
        drop((options, sink, index));
        unimplemented!()
    }

    /// Appends the next bytes of the device, any number.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        unimplemented!("{data:?}")
    }

    /// Appends bytes that the caller knows to be zero. The result is the same as writing them.
    pub fn write_zeros(&mut self, bytes: u64) -> Result<()> {
        unimplemented!("{bytes:?}")
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        unimplemented!()
    }

    /// Waits until the sink has taken every member, and closes the index.
    pub fn finish(self) -> Result<ArtifactSummary> {
        unimplemented!()
    }
}
