//! Images: the bytes of a device, in members, with a row of the index for each.

use std::io::Write;

use super::ArchiveOptions;
use super::indexing::{IndexingSink, RowSource};
use crate::error::Result;
use crate::index::row::ArtifactKind;
use crate::member::MemberSink;
use crate::member::write::MemberWriter;
use crate::summary::ArtifactSummary;

/// Writes the image of a block device in members, and its index: a row for each member-sized block, with its hash and
/// whether it is all zeros.
pub struct ImageWriter {
    options: ArchiveOptions,
    members: MemberWriter<IndexingSink>,
}

impl ImageWriter {
    /// Starts the threads. Members go to `sink`, the Parquet file to `index`.
    pub fn new(
        options: ArchiveOptions,
        sink: impl MemberSink + 'static,
        index: impl Write + Send + 'static,
    ) -> Result<Self> {
        let sink = IndexingSink::new(sink, index, RowSource::Blocks)?;
        let members = MemberWriter::new(options.members(true), sink)?;
        Ok(Self { options, members })
    }

    /// Appends the next bytes of the device, any number.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.members.write(data)
    }

    /// Appends bytes that the caller knows to be zero. The result is the same as writing them.
    pub fn write_zeros(&mut self, bytes: u64) -> Result<()> {
        self.members.write_zeros(bytes)
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        self.members.uncompressed_bytes()
    }

    /// Waits until the sink has taken every member, and closes the index.
    pub fn finish(self) -> Result<ArtifactSummary> {
        let (stream, sink) = self.members.finish()?;
        let summary = ArtifactSummary::of_stream(&stream, sink.index.len());
        sink.index.finish(&self.options.metadata(ArtifactKind::Image, summary.clone()))?;
        Ok(summary)
    }
}
