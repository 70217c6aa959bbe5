//! What can go wrong while an artifact is written or read.

use std::io;

/// The error of a [`crate::MemberSink`]: whatever the receiver of the bytes has.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was tried, and on what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
    /// An entry that tar cannot hold, or that no filesystem could have.
    #[error("archive {path:?}: {reason}")]
    Entry {
        /// The entry, lossy.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The content of a file could not be read.
    #[error("read {path:?}")]
    Source {
        /// The file, lossy.
        path: String,
        /// What the filesystem said.
        source: io::Error,
    },
    /// A file gave fewer or more bytes than its entry says: it changed while it was read, or its entry lies.
    #[error("read {path:?}: {reason}")]
    Changed {
        /// The file, lossy.
        path: String,
        /// Shorter or longer.
        reason: String,
    },
    /// The receiver of the compressed members failed.
    #[error("hand on member {member}")]
    Sink {
        /// The member's number, from 0.
        member: u64,
        /// What the receiver said.
        source: BoxError,
    },
    /// The compressor failed; it has no reason to, short of memory.
    #[error("compress member {member}: {reason}")]
    Compress {
        /// The member's number, from 0.
        member: u64,
        /// What the compressor said.
        reason: String,
    },
    /// The index could not be written or read.
    #[error("{tried} the index")]
    Index {
        /// `write` or `read`.
        tried: &'static str,
        /// What Parquet said.
        source: parquet::errors::ParquetError,
    },
    /// The index is well-formed Parquet, but not an index that this version understands.
    #[error("read the index: {0}")]
    UnknownIndex(String),
    /// The compressed stream could not be read: the disk or the network, not its content.
    #[error("read the compressed stream at byte {offset}")]
    Stream {
        /// Compressed bytes read before.
        offset: u64,
        /// What the source said.
        source: io::Error,
    },
    /// The compressed stream is not what a writer of this format makes.
    #[error("member {member} at compressed byte {offset} {reason}")]
    Member {
        /// The member's number, from 0.
        member: u64,
        /// Where it begins in the compressed stream.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The compressed stream ends within a member.
    #[error("the compressed stream is cut short after {bytes} bytes")]
    CutShort {
        /// Its length.
        bytes: u64,
    },
    /// The tar stream ends before its two closing blocks, though the compressed stream ends where a member does.
    #[error("the tar stream ends at byte {offset}, before its end")]
    Ended {
        /// Its length.
        offset: u64,
    },
    /// The tar stream within is not what a writer of this format makes.
    #[error("tar stream at byte {offset}: {reason}")]
    Tar {
        /// Where in the uncompressed stream.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A file could not be restored.
    #[error("restore {path:?}: {tried}")]
    Restore {
        /// The entry, lossy.
        path: String,
        /// Which step.
        tried: &'static str,
        /// What the filesystem said.
        source: io::Error,
    },
    /// An entry that must not be restored: it leads out of the destination.
    #[error("restore {path:?}: {reason}")]
    Unsafe {
        /// The entry, lossy.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A thread of this crate ended without a word, which is a defect of it.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

impl Error {
    pub(crate) fn entry(path: &[u8], reason: impl Into<String>) -> Self {
        Self::Entry { path: String::from_utf8_lossy(path).into_owned(), reason: reason.into() }
    }

    pub(crate) fn tar(offset: u64, reason: impl Into<String>) -> Self {
        Self::Tar { offset, reason: reason.into() }
    }
}
