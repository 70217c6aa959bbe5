//! Where bytes go. [`ObjectSink`] is a place that holds objects; [`ObjectUpload`] is one object on its way there.
//!
//! An object appears only by [`ObjectUpload::complete`], which takes a [`Finished`]: the proof, made by
//! [`StreamWriter::finish`] alone, that the archive writer handed over everything and how many bytes of which checksum
//! that was. A writer that fails never makes one, so what it left is aborted.

mod directory;
mod multipart;
mod part;
mod s3;
mod stream;
mod transfer;

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use domain::part::PartPlan;

use archive::Crc64Nvme;

use domain::failure::Result;

pub use directory::DirectorySink;
pub use part::{PARTS_MEMORY_BYTES, in_flight};
pub use s3::S3Sink;
pub use stream::{CHANNEL_BYTES, Finished, Members, StreamReader, StreamWriter, channel};
pub use transfer::transfer;

/// A checksum that grows with a stream.
#[derive(Debug, Clone)]
pub(crate) struct Crc64Digest(crc_fast::Digest);

impl Crc64Digest {
    pub(crate) fn new() -> Self {
        Self(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn value(&self) -> Crc64Nvme {
        Crc64Nvme(self.0.finalize())
    }
}

/// What to do when an object of that name is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Replace it: what an earlier attempt left.
    Replace,
    /// Leave it alone.
    Keep,
}

/// What became of a small object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written,
    /// Another object of that name, with other content, was there and stayed.
    AlreadyThere,
}

/// An object as the place that holds it describes it, after it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub crc64nvme: Crc64Nvme,
}

/// A place that holds objects: a bucket, a directory, and in tests one that fails.
#[async_trait]
pub trait ObjectSink: Send + Sync + Debug {
    /// The full name of `key` as people write it.
    fn locate(&self, key: &str) -> String;

    /// Whether the place is there and ours to write to. Called before anything is attached or created.
    async fn preflight(&self) -> Result<()>;

    /// A small object whole, or `None` when there is none.
    async fn read(&self, key: &str) -> Result<Option<Bytes>>;

    /// Writes a small object at once.
    async fn put(&self, key: &str, content: Bytes, existing: Existing) -> Result<Put>;

    /// Begins an object of unknown length in parts of the sizes that `plan` gives. It replaces one of the same name, but only when it is complete.
    async fn begin(&self, key: &str, plan: PartPlan) -> Result<Box<dyn ObjectUpload>>;
}

/// One object on its way. Neither completed nor aborted, it warns when it is dropped.
#[async_trait]
pub trait ObjectUpload: Send {
    /// Takes the next bytes. Waits while too much is in flight.
    async fn write(&mut self, chunk: Bytes) -> Result<()>;

    /// Makes the object appear, after comparing what was written with what the writer says it gave, and afterwards what
    /// the place reports of the object. On failure the upload is aborted.
    async fn complete(self: Box<Self>, proof: Finished) -> Result<Stored>;

    /// Removes every trace. Failures are logged: whoever aborts has a better error to report.
    async fn abort(self: Box<Self>);
}
