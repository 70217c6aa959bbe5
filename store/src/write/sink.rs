//! A place that holds objects.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use domain::failure::Result;
use domain::part::PartPlan;

use super::upload::Upload;

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

    /// Begins an object of unknown length in parts of the sizes that `plan` gives. It replaces one of the same name,
    /// but only when it is complete.
    async fn begin(&self, key: &str, plan: PartPlan) -> Result<Upload>;
}
