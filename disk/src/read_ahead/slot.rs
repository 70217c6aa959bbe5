//! A visit of the walk on its way to the writer: waiting, looked at, and its chunks as they are read.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use archive::{Entry, EntryKind, Extent};

use crate::error::Error;
use crate::walk::Visit;
use crate::walk::describe::Links;

/// Where a visit is on its way.
#[derive(Debug)]
pub(super) enum State {
    /// Nobody has looked at it.
    Waiting(Visit),
    /// Somebody looks at it.
    Busy,
    /// A socket, which is only listed.
    Socket,
    /// Looked at.
    Entry(Entry),
    /// Handed to the writer, which still reads its content.
    Delivered,
    /// It could not be looked at.
    Failed(Error),
}

/// A visit, in the order of the walk.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) path: Vec<u8>,
    pub(super) file: Option<Arc<OwnedFd>>,
    pub(super) links: Option<Links>,
    /// Whether it was decided if it is a hard link, which only its turn in the order shows.
    pub(super) settled: bool,
    pub(super) pieces: Pieces,
    pub(super) chunks: VecDeque<Chunk>,
    /// Number of the first of `chunks`.
    pub(super) first_chunk: u64,
}

/// A chunk of content.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Being read.
    Busy,
    Read(Vec<u8>),
    /// Could not be read.
    Failed(Error),
}

/// What is still to be read of a file.
#[derive(Debug, Default)]
pub(super) struct Pieces(VecDeque<Extent>);

impl Slot {
    pub(super) fn new(visit: Visit) -> Self {
        Self {
            path: visit.path.clone(),
            state: State::Waiting(visit),
            file: None,
            links: None,
            settled: false,
            pieces: Pieces::default(),
            chunks: VecDeque::new(),
            first_chunk: 0,
        }
    }
}

impl Pieces {
    pub(super) fn of(entry: &Entry) -> Self {
        let EntryKind::File(layout) = &entry.kind else {
            return Self::default();
        };
        let whole = Extent { offset: 0, bytes: layout.size };
        Self(match &layout.extents {
            Some(extents) => extents.iter().copied().collect(),
            None if layout.size == 0 => VecDeque::new(),
            None => VecDeque::from([whole]),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How long the next chunk would be.
    pub(super) fn next_bytes(&self, limit: usize) -> usize {
        let mut bytes = 0;
        for piece in &self.0 {
            bytes = limit.min(bytes + usize::try_from(piece.bytes).unwrap_or(limit));
            if bytes == limit {
                break;
            }
        }
        bytes
    }

    /// Takes the pieces of the next chunk: several small extents, or a part of a large one.
    pub(super) fn take(&mut self, limit: usize) -> Vec<Extent> {
        let mut left = limit as u64;
        let mut taken = Vec::new();
        while left > 0
            && let Some(first) = self.0.front_mut()
        {
            let bytes = first.bytes.min(left);
            taken.push(Extent { offset: first.offset, bytes });
            first.offset += bytes;
            first.bytes -= bytes;
            left -= bytes;
            if first.bytes == 0 {
                self.0.pop_front();
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use archive::{EntryPath, FileLayout};

    use super::*;

    fn pieces(layout: FileLayout) -> Pieces {
        let path = EntryPath::new("f").unwrap();
        Pieces::of(&Entry::new(path, EntryKind::File(layout)))
    }

    #[test]
    fn chunks_cover_the_extents_in_order() {
        let extent = |offset, bytes| Extent { offset, bytes };
        let layout = vec![extent(0, 512), extent(4096, 1024), extent(1 << 30, 4096)];
        let mut pieces = pieces(FileLayout::sparse(1 << 40, layout));
        assert_eq!(pieces.next_bytes(2048), 2048);
        assert_eq!(pieces.take(2048), [extent(0, 512), extent(4096, 1024), extent(1 << 30, 512)]);
        assert_eq!(pieces.next_bytes(10_000), 3584);
        assert_eq!(pieces.take(10_000), [extent((1 << 30) + 512, 3584)]);
        assert!(pieces.is_empty());
    }

    #[test]
    fn an_empty_file_has_no_chunks() {
        assert!(pieces(FileLayout::dense(0)).is_empty());
    }
}
