//! The hashes of a file's content, the same whether it is written, verified or extracted.

use crate::digest::{Sha256, Sha256Stream};
use crate::entry::FileLayout;

/// Sparse files whose holes exceed their data by more than this have no hash of their logical content in the index,
/// only one of the stored data: hashing a terabyte of zeros takes ten minutes and proves nothing.
pub const HASHED_HOLE_BYTES: u64 = 64 << 20;

/// Hashes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentHashes {
    /// Of the logical content, holes as zeros, as `sha256sum` gives it.
    pub(crate) logical: Option<Sha256>,
    /// Of the stored segments, for sparse files.
    pub(crate) stored: Option<Sha256>,
}

/// Hashes stored bytes as they pass.
pub(crate) struct ContentHasher {
    layout: FileLayout,
    logical: Option<Sha256Stream>,
    stored: Option<Sha256Stream>,
    /// The extent that is being filled, and how much of it is.
    extent: usize,
    filled: u64,
    /// Logical position that was hashed.
    position: u64,
}

impl ContentHasher {
    pub(crate) fn new(layout: &FileLayout) -> Self {
        let stored_bytes = layout.stored_bytes();
        let sparse = layout.extents.is_some();
        let hashed = layout.size - stored_bytes <= stored_bytes.saturating_add(HASHED_HOLE_BYTES);
        Self {
            layout: layout.clone(),
            logical: hashed.then(Sha256Stream::default),
            stored: sparse.then(Sha256Stream::default),
            extent: 0,
            filled: 0,
            position: 0,
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        if let Some(stored) = &mut self.stored {
            stored.update(data);
        }
        let Some(logical) = &mut self.logical else {
            return;
        };
        let Some(extents) = &self.layout.extents else {
            logical.update(data);
            return;
        };
        let mut data = data;
        while let (false, Some(extent)) = (data.is_empty(), extents.get(self.extent)) {
            let start = extent.offset + self.filled;
            logical.update_zeros(start - self.position);
            let left = usize::try_from(extent.bytes - self.filled).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(data.len().min(left));
            logical.update(now);
            self.filled += now.len() as u64;
            self.position = start + now.len() as u64;
            if self.filled == extent.bytes {
                self.extent += 1;
                self.filled = 0;
            }
            data = later;
        }
    }

    pub(crate) fn finish(mut self) -> ContentHashes {
        if let (Some(logical), true) = (&mut self.logical, self.layout.extents.is_some()) {
            logical.update_zeros(self.layout.size - self.position);
        }
        ContentHashes { logical: self.logical.map(Sha256Stream::finish), stored: self.stored.map(Sha256Stream::finish) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Extent;

    #[test]
    fn a_sparse_file_is_hashed_as_sha256sum_would() {
        let extents = vec![Extent { offset: 5, bytes: 3 }, Extent { offset: 10, bytes: 2 }];
        let layout = FileLayout { size: 20, extents: Some(extents) };
        for step in 1..6 {
            let mut hasher = ContentHasher::new(&layout);
            b"abcde".chunks(step).for_each(|chunk| hasher.update(chunk));
            let found = hasher.finish();
            assert_eq!(found.logical, Some(Sha256::of(b"\0\0\0\0\0abc\0\0de\0\0\0\0\0\0\0\0")));
            assert_eq!(found.stored, Some(Sha256::of(b"abcde")));
        }
    }

    #[test]
    fn a_terabyte_of_hole_is_not_hashed() {
        let hashes = ContentHasher::new(&FileLayout::sparse(1 << 40, Vec::new())).finish();
        assert_eq!(hashes, ContentHashes { logical: None, stored: Some(Sha256::of(b"")) });
    }
}
