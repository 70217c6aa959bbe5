//! The sink between the member writer and the caller's: passes members on, and writes the rows that they complete.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{BoxError, Error, Result};
use crate::index::locate::Locator;
use crate::index::row::IndexRow;
use crate::index::writer::IndexWriter;
use crate::member::{Member, MemberSink};

/// The locator, shared by the thread that describes entries and the one that completes members.
#[derive(Clone)]
pub(super) struct SharedLocator(Arc<Mutex<Locator>>);

impl SharedLocator {
    pub(super) fn new(member_bytes: u32) -> Self {
        Self(Arc::new(Mutex::new(Locator::new(member_bytes))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Locator> {
        // A thread that panicked has ended the artifact anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the rows of an artifact come from.
pub(super) enum RowSource {
    /// Described by the tar writer.
    Entries(SharedLocator),
    /// One for each member.
    Blocks,
}

/// See the module.
pub(super) struct IndexingSink {
    pub(super) sink: Box<dyn MemberSink>,
    pub(super) index: IndexWriter<Box<dyn Write + Send>>,
    pub(super) rows: RowSource,
}

impl IndexingSink {
    pub(super) fn new(
        sink: impl MemberSink + 'static,
        index: impl Write + Send + 'static,
        rows: RowSource,
    ) -> Result<Self> {
        let index = IndexWriter::new(Box::new(index) as Box<dyn Write + Send>)?;
        Ok(Self { sink: Box::new(sink), index, rows })
    }

    fn push(&mut self, rows: Vec<IndexRow>) -> Result<(), Error> {
        rows.into_iter().try_for_each(|row| self.index.push(row))
    }

    /// Writes what the last member completed.
    pub(super) fn drain(&mut self) -> Result<()> {
        let rows = match &self.rows {
            RowSource::Entries(locator) => locator.lock().complete(),
            RowSource::Blocks => Vec::new(),
        };
        self.push(rows)
    }
}

impl MemberSink for IndexingSink {
    fn take(&mut self, member: Member) -> Result<(), BoxError> {
        let (number, begin, end) = (member.number, member.compressed_offset, member.compressed_end());
        let rows = match &self.rows {
            RowSource::Entries(locator) => locator.lock().member_done(number, begin, end),
            RowSource::Blocks if member.uncompressed_bytes == 0 => Vec::new(),
            RowSource::Blocks => {
                let bytes = u64::from(member.uncompressed_bytes);
                let offset = member.uncompressed_offset;
                vec![IndexRow::of_block(offset, bytes, member.zero, member.sha256, (begin, end))]
            }
        };
        self.sink.take(member)?;
        Ok(self.push(rows)?)
    }
}
