//! Where exports lie: a bucket, or a directory laid out like one. Read in [`read`], written in [`mod@write`].
//!
//! Both are the same to whoever uses them: an object appears whole or not at all, a manifest is never replaced, a range
//! is exact, and a bucket of somebody else is refused. `tests/it/contract.rs` holds both to it.
//!
//! ```
//! use store::Folder;
//! use store::write::{DirectorySink, Existing, ObjectSink as _, Put};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let sink = DirectorySink::new(directory.path());
//! assert_eq!(sink.put("manifest.json", "{}".into(), Existing::Keep).await?, Put::Written);
//! assert_eq!(sink.put("manifest.json", "[]".into(), Existing::Keep).await?, Put::AlreadyThere);
//!
//! let (folder, name) = Folder::of_object(&sink.locate("manifest.json"))?;
//! assert_eq!((folder, name.as_str()), (Folder::Directory(directory.path().join("")), "manifest.json"));
//! # Ok(())
//! # })
//! # }
//! ```

pub mod location;
pub mod read;
pub mod write;

pub use location::Folder;
pub use read::Store;
