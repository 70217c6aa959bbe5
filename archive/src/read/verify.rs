//! Reading an artifact back and comparing everything that is known about it.

use std::fmt::Display;
use std::io::Read;

use parquet::file::reader::ChunkReader;

use super::archive::ArchiveReader;
use super::compare::{content_difference, place_difference};
use super::rebuild::ImageReader;
use crate::codec::Codec;
use crate::digest::{Crc64Nvme, Sha256};
use crate::error::Error;
use crate::index::reader::IndexReader;
use crate::index::row::{ArtifactKind, IndexMetadata, IndexRow};
use crate::summary::ArtifactSummary;
use crate::write::ArchiveOptions;

/// What an artifact must be, from its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its name, for messages.
    pub artifact: String,
    /// Tar or image.
    pub kind: ArtifactKind,
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
        artifact: String,
        /// What failed.
        source: Error,
    },
}

/// Reads `stream` to its end and compares it with `expected` and with every row of `index`, in order and in bounded
/// memory.
///
/// `threads` decompress; `progress` is told the compressed bytes read so far. A damaged `index` is a mismatch: give it
/// whole, in memory or in a local file.
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
    verify_image_and(stream, index, expected, threads, progress, &mut |_| {})
}

/// Does what [`verify_artifact`] does, and gives `content` the bytes of an image in their order, before they are found
/// to be right or wrong.
pub fn verify_image_and<R, I>(
    stream: R,
    index: I,
    expected: &Expected,
    threads: usize,
    progress: &mut dyn FnMut(u64),
    content: &mut dyn FnMut(&[u8]),
) -> Result<Verified, VerifyError>
where
    R: Read + Send + 'static,
    I: ChunkReader + 'static,
{
    let artifact = || expected.artifact.clone();
    let verdict = |problem: Problem| match problem {
        Problem::Differs(difference) | Problem::Ended(difference) => {
            VerifyError::Mismatch(Mismatch { artifact: artifact(), difference })
        }
        Problem::Failed(source) => VerifyError::Unreadable { artifact: artifact(), source },
    };
    let index = IndexReader::new(index).map_err(|error| verdict(Problem::of_index(&error)))?;
    check_metadata(index.metadata(), expected).map_err(verdict)?;
    let mut contents = match expected.kind {
        ArtifactKind::Tar => {
            ArchiveReader::new(stream, expected.codec, threads).map(|reader| Contents::Tar(Box::new(reader)))
        }
        ArtifactKind::Image => {
            let options = ArchiveOptions {
                artifact: artifact(),
                export_id: None,
                compression: index.metadata().compression,
                threads,
                budget_bytes: 0,
            };
            ImageReader::new(stream, &options).map(Contents::Image)
        }
    }
    .map_err(|error| verdict(Problem::Failed(error)))?;

    let rows = compare_rows(&mut contents, &index, progress, content);
    let found = match rows {
        Ok(()) => contents.finish().map_err(Problem::of_stream).map_err(verdict)?,
        Err(Problem::Ended(difference)) => {
            // An artifact that was cut between two members looks like one that lacks entries: the length says it
            // better.
            let read = contents.finish().ok().map(|found| found.compressed_bytes);
            let difference = match read {
                Some(bytes) if bytes != expected.compressed_bytes => length(bytes, expected.compressed_bytes),
                _ => difference,
            };
            return Err(verdict(Problem::Differs(difference)));
        }
        Err(other) => return Err(verdict(other)),
    };
    check_totals(&found, expected).map_err(verdict)?;
    Ok(Verified {
        compressed_bytes: found.compressed_bytes,
        uncompressed_bytes: found.uncompressed_bytes,
        entries: found.entries,
    })
}

enum Problem {
    Differs(String),
    /// The stream ended early, though between two members.
    Ended(String),
    Failed(Error),
}

impl Problem {
    fn of_stream(error: Error) -> Self {
        match error {
            Error::Stream { .. } | Error::Setting(_) | Error::Panicked(_) => Self::Failed(error),
            Error::Ended { .. } => Self::Ended(error.to_string()),
            content => Self::Differs(content.to_string()),
        }
    }

    fn of_index(error: &Error) -> Self {
        let cause = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
        Self::Differs(format!("its index is damaged: {error}{cause}"))
    }
}

enum Contents {
    Tar(Box<ArchiveReader>),
    Image(ImageReader),
}

impl Contents {
    fn next_row(
        &mut self,
        progress: &mut dyn FnMut(u64),
        content: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<IndexRow>, Error> {
        match self {
            Self::Tar(archive) => {
                if archive.next_entry()?.is_none() {
                    return Ok(None);
                }
                while archive.read_content()?.is_some() {
                    progress(archive.compressed_position());
                }
                archive.finish_entry().map(Some)
            }
            Self::Image(image) => image.next_row(content),
        }
    }

    fn finish(self) -> Result<ArtifactSummary, Error> {
        match self {
            Self::Tar(archive) => archive.finish(),
            Self::Image(image) => image.finish(),
        }
    }
}

fn compare_rows(
    contents: &mut Contents,
    index: &IndexReader,
    progress: &mut dyn FnMut(u64),
    content: &mut dyn FnMut(&[u8]),
) -> Result<(), Problem> {
    let mut rows = index.rows();
    let mut misplaced = None;
    loop {
        let stored = contents.next_row(progress, content).map_err(|error| match error {
            Error::CutShort { bytes } => Problem::Differs(length(bytes, index.metadata().summary.compressed_bytes)),
            other => Problem::of_stream(other),
        })?;
        let listed = rows.next().transpose().map_err(|error| Problem::of_index(&error))?;
        match (stored, listed) {
            (None, None) => return misplaced.map_or(Ok(()), |difference| Err(Problem::Differs(difference))),
            (Some(stored), Some(listed)) => {
                progress(stored.member_end);
                if let Some(difference) = content_difference(&listed, &stored) {
                    return Err(Problem::Differs(difference));
                }
                misplaced = misplaced.or_else(|| place_difference(&listed, &stored));
            }
            (Some(stored), None) => {
                return Err(Problem::Differs(format!("it holds {:?}, which the index does not list", stored.name())));
            }
            (None, Some(listed)) => {
                return Err(Problem::Ended(format!("it lacks {:?}, which the index lists", listed.name())));
            }
        }
    }
}

fn check_metadata(index: &IndexMetadata, expected: &Expected) -> Result<(), Problem> {
    if index.kind != expected.kind || index.compression.codec() != expected.codec {
        return Err(Problem::Differs(format!(
            "its index is of a {:?} with {}, the manifest says {:?} with {}",
            index.kind,
            index.compression.codec(),
            expected.kind,
            expected.codec
        )));
    }
    check_totals(&index.summary, expected).map_err(|problem| match problem {
        Problem::Differs(difference) => Problem::Differs(format!("its index belongs to other content: {difference}")),
        other @ (Problem::Ended(_) | Problem::Failed(_)) => other,
    })
}

fn check_totals(found: &ArtifactSummary, expected: &Expected) -> Result<(), Problem> {
    let same = |what: &str, found: &dyn Display, expected: &dyn Display| {
        let (found, expected) = (found.to_string(), expected.to_string());
        if found == expected {
            return Ok(());
        }
        Err(Problem::Differs(format!("its {what} is {found}, the manifest says {expected}")))
    };
    if found.compressed_bytes != expected.compressed_bytes {
        return Err(Problem::Differs(length(found.compressed_bytes, expected.compressed_bytes)));
    }
    same("uncompressed length", &found.uncompressed_bytes, &expected.uncompressed_bytes)?;
    same("number of entries", &found.entries, &expected.entries)?;
    same("uncompressed SHA-256", &found.uncompressed_sha256, &expected.uncompressed_sha256)?;
    same("SHA-256", &found.sha256, &expected.sha256)?;
    same("CRC64NVME", &found.crc64nvme, &expected.crc64nvme)
}

fn length(found: u64, expected: u64) -> String {
    if found < expected {
        format!("it is cut short: {found} of {expected} bytes are there")
    } else {
        format!("it is longer than it should be: {found} bytes instead of {expected}")
    }
}
