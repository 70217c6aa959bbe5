//! The source side of an export: from a block device or an image file to entries and blocks, in an order that never changes.
//!
//! Read [`export`] first: it ties the parts together. The types form a chain: a [`Disk`] is opened, its [`Layout`] read, each
//! [`Section`] opened (mounted, if it can be), exported, and closed. Nothing here knows where the bytes go.

pub mod device;
pub mod error;
pub mod export;
pub mod filesystem;
pub mod partition;
pub mod progress;
pub mod read_ahead;
mod tool;
pub mod walk;

pub use device::{Access, Disk};
pub use error::SourceError;
pub use export::{FilesystemReport, ImageReport, Options, export_filesystem, export_image};
pub use filesystem::{Image, Mounted, Opened, Section, Skipped};
pub use partition::{Fate, Layout, PartitionTable};
pub use progress::Progress;
