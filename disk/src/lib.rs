//! Disks: from a block device or an image file to entries and blocks, in an order that never changes.
//!
//! Read [`export`] first: it ties the parts together. The types form a chain: a [`Disk`] is opened, its [`Layout`]
//! read, each [`Section`] opened (mounted, if it can be), exported, and closed. Nothing here knows where the bytes go:
//! the archive writers of [`archive`] take them.
//!
//! ```no_run
//! use disk::{Access, Disk, Layout, Opened};
//!
//! # fn main() -> Result<(), disk::Error> {
//! let disk = Disk::open("disk.img".as_ref(), Access::Untouched, None)?;
//! for section in Layout::read(&disk)?.sections {
//!     match section.open(&disk)? {
//!         Opened::Filesystem(mounted) => {
//!             println!("{}: {} bytes in use", mounted.section.name, mounted.used_bytes()?);
//!             mounted.unmount()?;
//!         }
//!         Opened::Image(image) => println!("{}: an image, because {}", image.section.name, image.reason),
//!         Opened::Skipped(skipped) => println!("{}: left out, because {}", skipped.section.name, skipped.reason),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod device;
pub mod error;
pub mod export;
pub mod filesystem;
pub mod options;
pub mod partition;
pub mod progress;
mod read_ahead;
mod tool;
mod walk;

pub use device::{Access, Disk};
pub use error::Error;
pub use export::{ImageReport, export_filesystem, export_image};
pub use filesystem::{Image, Mounted, Opened, Section, Skipped};
pub use options::{FilesystemReport, Options};
pub use partition::{Fate, Layout, PartitionTable};
pub use progress::Progress;
