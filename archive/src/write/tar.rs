//! Archives: one pax tar stream, in members, with a row of the index for each entry.

use std::io::{ErrorKind, Read, Write};

use super::ArchiveOptions;
use super::indexing::{IndexingSink, RowSource, SharedLocator};
use crate::content::ContentHasher;
use crate::entry::{Entry, EntryKind};
use crate::error::{Error, Result};
use crate::index::row::{ArtifactKind, IndexRow, Location};
use crate::member::MemberSink;
use crate::member::write::MemberWriter;
use crate::pax::{BLOCK_BYTES, encode, padding};
use crate::summary::ArtifactSummary;

const READ_BYTES: usize = 256 << 10;

/// Writes one tar stream in members, and its index.
pub struct TarArchiveWriter {
    options: ArchiveOptions,
    members: MemberWriter<IndexingSink>,
    locator: SharedLocator,
    buffer: Vec<u8>,
    failed: bool,
}

impl TarArchiveWriter {
    /// Starts the threads. Members go to `sink`, the Parquet file to `index`.
    pub fn new(
        options: ArchiveOptions,
        sink: impl MemberSink + 'static,
        index: impl Write + Send + 'static,
    ) -> Result<Self> {
        let locator = SharedLocator::new(options.compression.member_bytes());
        let sink = IndexingSink::new(sink, index, RowSource::Entries(locator.clone()))?;
        let members = MemberWriter::new(options.members(false), sink)?;
        Ok(Self { options, members, locator, buffer: vec![0; READ_BYTES], failed: false })
    }

    /// Appends an entry. `content` is read to its end and must give exactly [`Entry::stored_bytes`]: the extents of a
    /// sparse file one after the other, nothing for what is no file. An error is final: the artifact must be abandoned,
    /// and `finish` refuses.
    pub fn append(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let result = self.append_entry(entry, content);
        self.failed |= result.is_err();
        result
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        self.members.uncompressed_bytes()
    }

    /// Ends the tar stream, waits until the sink has taken every member, and closes the index.
    pub fn finish(mut self) -> Result<ArtifactSummary> {
        if self.failed {
            return Err(Error::Setting("an entry failed: the archive cannot be finished".into()));
        }
        self.members.write(&[0; 2 * BLOCK_BYTES])?;
        let (stream, mut sink) = self.members.finish()?;
        sink.drain()?;
        let summary = ArtifactSummary::of_stream(&stream, sink.index.len());
        sink.index.finish(&self.options.metadata(ArtifactKind::Tar, summary.clone()))?;
        Ok(summary)
    }

    fn append_entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let (headers, entry_bytes) = encode::headers(entry)?;
        let begin = self.members.uncompressed_bytes();
        self.locator.lock().begin(begin);
        self.members.write(&headers)?;
        let hashes = match &entry.kind {
            EntryKind::File(layout) => {
                let mut hasher = ContentHasher::new(layout);
                self.copy(entry, content, &mut hasher)?;
                Some(hasher.finish())
            }
            EntryKind::Directory
            | EntryKind::Symlink(_)
            | EntryKind::HardLink(_)
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_) => None,
        };
        self.members.write(&[0; BLOCK_BYTES][..padding(entry.stored_bytes())])?;
        debug_assert_eq!(self.members.uncompressed_bytes(), begin + entry_bytes);
        let location = Location { entry_bytes, ..Location::default() };
        self.locator.lock().describe(IndexRow::of_entry(entry, hashes, location));
        Ok(())
    }

    /// Copies exactly the stored bytes: a file that shrank or grew since its entry was made is an error, never padded
    /// or cut.
    fn copy(&mut self, entry: &Entry, content: &mut dyn Read, hasher: &mut ContentHasher) -> Result<()> {
        let stored = entry.stored_bytes();
        let changed = |reason: String| Error::Changed { path: entry.path.to_lossy(), reason };
        let mut copied = 0;
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Source { path: entry.path.to_lossy(), source }),
            };
            if read == 0 {
                break;
            }
            copied += read as u64;
            if copied > stored {
                return Err(changed(format!("it gave more than the {stored} bytes that it had when it was listed")));
            }
            hasher.update(&self.buffer[..read]);
            self.members.write(&self.buffer[..read])?;
        }
        if copied < stored {
            return Err(changed(format!("it ended after {copied} of {stored} bytes")));
        }
        Ok(())
    }
}
