//! Reading an index.

use std::path::Path;

use parquet::file::reader::ChunkReader;

use super::row::{IndexMetadata, IndexRow};
use crate::error::Result;

/// An open index, in a local file or anything else that gives ranges of bytes (`bytes::Bytes` does).
pub struct IndexReader {}

impl IndexReader {
    /// Opens a local file.
    pub fn open(path: &Path) -> Result<Self> {
        unimplemented!("{path:?}")
    }

    /// Opens any source.
    pub fn new<R: ChunkReader + 'static>(source: R) -> Result<Self> {
        unimplemented!("{}", source.len())
    }

    /// What the index says about its artifact.
    pub fn metadata(&self) -> &IndexMetadata {
        unimplemented!()
    }

    /// Every row, in the order of the stream. Memory holds one row group at a time.
    pub fn rows(&self) -> Box<dyn Iterator<Item = Result<IndexRow>> + '_> {
        unimplemented!()
    }

    /// The row of one path (as in [`IndexRow::path`]).
    pub fn find(&self, path: &[u8]) -> Result<Option<IndexRow>> {
        unimplemented!("{path:?}")
    }
}
