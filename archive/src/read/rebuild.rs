//! Making an index again from its artifact alone.

use std::io::{Read, Write};

use super::archive::ArchiveReader;
use crate::digest::Sha256Stream;
use crate::error::Result;
use crate::index::row::{ArtifactKind, IndexRow};
use crate::index::writer::IndexWriter;
use crate::member::read::{DecodedMember, MemberReader};
use crate::summary::ArtifactSummary;
use crate::write::ArchiveOptions;

/// Reads an artifact to its end and writes its index. With the options with which the artifact was written, the index
/// is the same, byte for byte.
pub fn rebuild_index(
    stream: impl Read + Send + 'static,
    kind: ArtifactKind,
    options: ArchiveOptions,
    index: impl Write + Send,
) -> Result<ArtifactSummary> {
    let mut rows = IndexWriter::new(index)?;
    let summary = match kind {
        ArtifactKind::Tar => {
            let mut archive = ArchiveReader::new(stream, options.compression.codec(), options.threads)?;
            while archive.next_entry()?.is_some() {
                rows.push(archive.finish_entry()?)?;
            }
            archive.finish()?
        }
        ArtifactKind::Image => {
            let mut image = ImageReader::new(stream, &options)?;
            while let Some(row) = image.next_row(&mut |_| {})? {
                rows.push(row)?;
            }
            image.finish()?
        }
    };
    rows.finish(&options.metadata(kind, summary.clone()))?;
    Ok(summary)
}

/// Reads an image block by block.
pub(super) struct ImageReader {
    members: MemberReader,
    member_bytes: usize,
    summary: Totals,
    uncompressed: Sha256Stream,
}

#[derive(Default)]
struct Totals {
    uncompressed_bytes: u64,
    entries: u64,
    members: u64,
    zero_members: u64,
}

impl ImageReader {
    pub(super) fn new(stream: impl Read + Send + 'static, options: &ArchiveOptions) -> Result<Self> {
        Ok(Self {
            members: MemberReader::new(stream, options.compression.codec(), options.threads, true)?,
            member_bytes: options.compression.member_bytes() as usize,
            summary: Totals::default(),
            uncompressed: Sha256Stream::default(),
        })
    }

    /// The next block; `content` is given its bytes.
    pub(super) fn next_row(&mut self, content: &mut dyn FnMut(&[u8])) -> Result<Option<IndexRow>> {
        while let Some(member) = self.members.next_member()? {
            let DecodedMember { compressed_offset, compressed_end, zero, sha256, content: block, .. } = member;
            self.uncompressed.update(&block);
            content(&block);
            let (offset, bytes) = (self.summary.uncompressed_bytes, block.len() as u64);
            self.summary.members += 1;
            self.summary.uncompressed_bytes += bytes;
            self.summary.zero_members += u64::from(zero && block.len() == self.member_bytes);
            if bytes > 0 {
                self.summary.entries += 1;
                return Ok(Some(IndexRow::of_block(offset, bytes, zero, sha256, (compressed_offset, compressed_end))));
            }
        }
        Ok(None)
    }

    pub(super) fn finish(self) -> Result<ArtifactSummary> {
        let object = self.members.finish()?;
        let Totals { uncompressed_bytes, entries, members, zero_members } = self.summary;
        Ok(ArtifactSummary {
            compressed_bytes: object.compressed_bytes,
            uncompressed_bytes,
            entries,
            members,
            zero_members,
            sha256: object.sha256,
            crc64nvme: object.crc64nvme,
            uncompressed_sha256: self.uncompressed.finish(),
        })
    }
}
