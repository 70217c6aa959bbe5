//! Members: the compressed pieces of an artifact, each of which can be read by itself.
//!
//! `write` cuts and compresses, `read` splits and decompresses, `gzip` and `zstd` know the bytes.

mod compress;
mod frame;
pub mod read;
pub mod write;

use bytes::Bytes;

use crate::codec::Compression;
use crate::digest::{Crc64Nvme, Sha256};
use crate::error::BoxError;

/// A finished member, handed to the sink in order.
#[derive(Debug, Clone)]
pub struct Member {
    /// From 0.
    pub number: u64,
    /// Where it begins in the compressed stream.
    pub compressed_offset: u64,
    /// Where its content begins in the uncompressed stream.
    pub uncompressed_offset: u64,
    /// Length of its content.
    pub uncompressed_bytes: u32,
    /// Whether its content is nothing but zeros.
    pub zero: bool,
    /// SHA-256 of its content, where that was asked for.
    pub sha256: Option<Sha256>,
    /// The compressed member.
    pub data: Bytes,
}

impl Member {
    /// Where it ends in the compressed stream.
    pub fn compressed_end(&self) -> u64 {
        self.compressed_offset + self.data.len() as u64
    }
}

/// Takes the compressed members of an artifact, in order, on a thread of its own.
///
/// An error ends the artifact: it comes back from the next call of the writer, or from `finish`. A sink may block; it
/// must return (with an error) when its receiver is gone. Nothing tells a sink that the artifact is complete, not even
/// being dropped: only the writer's `finish` does.
pub trait MemberSink: Send {
    /// Takes one member.
    fn take(&mut self, member: Member) -> Result<(), BoxError>;
}

impl<F> MemberSink for F
where
    F: FnMut(Member) -> Result<(), BoxError> + Send,
{
    fn take(&mut self, member: Member) -> Result<(), BoxError> {
        self(member)
    }
}

/// How members are made.
#[derive(Debug, Clone, Copy)]
pub struct MemberOptions {
    /// How the stream is cut and compressed.
    pub compression: Compression,
    /// Compressor threads, at least one. The bytes do not depend on it.
    pub threads: usize,
    /// Bytes of members that may be under way, uncompressed and compressed together. At least six members are, whatever
    /// is said here.
    pub budget_bytes: usize,
    /// Whether each member's content is hashed by itself.
    pub hash_members: bool,
}

/// What passed through a member writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// Length of the compressed stream.
    pub compressed_bytes: u64,
    /// Length of the uncompressed stream.
    pub uncompressed_bytes: u64,
    /// Number of members.
    pub members: u64,
    /// Members of full size and nothing but zeros.
    pub zero_members: u64,
    /// SHA-256 of the compressed stream.
    pub sha256: Sha256,
    /// CRC64NVME of the compressed stream.
    pub crc64nvme: Crc64Nvme,
    /// SHA-256 of the uncompressed stream.
    pub uncompressed_sha256: Sha256,
}

/// Whether a buffer holds nothing but zeros.
pub(crate) fn is_zero(data: &[u8]) -> bool {
    let (blocks, rest) = data.as_chunks::<64>();
    blocks.iter().all(|block| block.iter().fold(0, |any, byte| any | byte) == 0) && rest.iter().all(|byte| *byte == 0)
}
