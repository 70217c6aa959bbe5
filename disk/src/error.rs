//! What can go wrong between a disk and the archive writers.

use std::io;
use std::path::PathBuf;

use domain::failure::Kind;

/// A failure to read a disk, with the name of what was being read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device or image file could not be opened.
    #[error("open {}: check the path, and that the volume is attached", path.display())]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The path leads to something that is not a disk.
    #[error("{} is {what}, neither a block device nor an image file", path.display())]
    NotADisk {
        /// What was asked for.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The disk is smaller than the caller knows it to be.
    #[error("{} has {actual_bytes} bytes, {expected_bytes} were expected: it is another disk, or was cut short", path.display())]
    TooSmall {
        /// What was opened.
        path: PathBuf,
        /// Its size.
        actual_bytes: u64,
        /// The size it should have.
        expected_bytes: u64,
    },
    /// The partition table contradicts itself or the disk, so that nothing it says can be trusted.
    #[error("the partition table of {}: {what}", path.display())]
    PartitionTable {
        /// The disk.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A read failed, after retries.
    #[error("read {what}")]
    Read {
        /// The device or file, with the offset where that is known.
        what: String,
        /// The last error.
        source: io::Error,
    },
    /// A tool of the system failed.
    #[error("{action}: {output}")]
    Tool {
        /// The command line.
        action: String,
        /// What it printed, or why it did not run.
        output: String,
    },
    /// A system call that prepares or ends reading failed.
    #[error("{action}")]
    System {
        /// What was tried, on what.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The archive writer failed.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The worker was asked to stop.
    #[error("asked to stop")]
    Cancelled,
}

impl Error {
    /// The failure kind under which the worker reports this.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Open { source, .. } | Self::System { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Kind::AccessDenied
            }
            Self::Open { .. } | Self::NotADisk { .. } | Self::TooSmall { .. } => Kind::SourceNotFound,
            Self::PartitionTable { .. } | Self::Read { .. } => Kind::ReadFailed,
            Self::Tool { .. } | Self::System { .. } | Self::Archive(_) => Kind::Internal,
            Self::Cancelled => Kind::Interrupted,
        }
    }

    pub(crate) fn system(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { action: action.into(), source: source.into() }
    }

    pub(crate) fn read(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Read { what: what.into(), source: source.into() }
    }
}

impl From<Error> for domain::failure::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::interrupted(),
            error => {
                let what = error.to_string();
                match std::error::Error::source(&error).map(domain::failure::chain) {
                    Some(source) => Self::caused_by(error.kind(), what, source),
                    None => Self::new(error.kind(), what),
                }
            }
        }
    }
}
