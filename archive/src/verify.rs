//! Reading an artifact back and comparing everything that is known about it.

use std::io::Read;

use parquet::file::reader::ChunkReader;

use crate::codec::Codec;
use crate::digest::{Crc64Nvme, Sha256};
use crate::error::Error;
use crate::index::row::ArtifactKind;

/// What an artifact must be, from its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name, for messages.
    pub artifact: String,
    /// Tar or image.
    pub kind: ArtifactKind,
    /// Its codec.
    pub codec: Codec,
    /// Size of the object.
    pub compressed_bytes: u64,
    /// Size of the tar stream or image within.
    pub uncompressed_bytes: u64,
    /// Tar entries, or blocks.
    pub entries: u64,
    /// SHA-256 of the object.
    pub sha256: Sha256,
    /// CRC64NVME of the object.
    pub crc64nvme: Crc64Nvme,
    /// SHA-256 of the uncompressed stream.
    pub uncompressed_sha256: Sha256,
}

/// What was read and found equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Compressed bytes read.
    pub compressed_bytes: u64,
    /// Uncompressed bytes hashed.
    pub uncompressed_bytes: u64,
    /// Rows of the index that were found in the stream, with their hashes.
    pub entries: u64,
}

/// The first thing that differs, in words: `partition-1.tar.gz: cut short at 1000 of 2000 bytes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{artifact}: {difference}")]
pub struct Mismatch {
    /// The artifact.
    pub artifact: String,
    /// What differs.
    pub difference: String,
}

/// Why an artifact is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// What is stored is not what was written. Trying again will not help.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The artifact or its index could not be read: this says nothing about what is stored.
    #[error("verify {artifact}")]
    Unreadable {
        /// The artifact.
        artifact: String,
        /// What failed.
        source: Error,
    },
}

/// Reads `stream` to its end and compares it with `expected` and with every row of `index`.
///
/// `threads` decompress; `progress` is told the compressed bytes read so far after each member. An `index` that is damaged is a mismatch.
pub fn verify_artifact<R, I>(
    stream: R,
    index: I,
    expected: &Expected,
    threads: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, VerifyError>
where
    R: Read + Send + 'static,
    I: ChunkReader + 'static,
{
    progress(index.len());
    drop(stream);
    unimplemented!("{expected:?} {threads}")
}
