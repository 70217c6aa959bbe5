//! What the tests of several packages need: commands that say why they failed, disks and mounts that are always
//! released, a tree with everything in it, comparisons, the built programs, and sample plans.
//!
//! Everything is blocking and knows neither AWS nor the local cloud. Read [`disk`] first.
//!
//! ```no_run
//! use support::disk::Disk;
//! use support::{require_root, run};
//!
//! # fn main() -> anyhow::Result<()> {
//! require_root()?;
//! let directory = tempfile::tempdir()?;
//! let disk = Disk::filled(&directory.path().join("disk"), "ext4", 64 << 20, |root| {
//!     Ok(std::fs::write(root.join("hello"), "world")?)
//! })?;
//! let mounted = disk.mount("ro")?;
//! run(std::process::Command::new("ls").arg(mounted.path()))?;
//! mounted.unmount()?;
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

pub mod command;
pub mod compare;
pub mod database;
pub mod disk;
pub mod loop_device;
pub mod mount;
pub mod plan;
pub mod process;
pub mod program;
pub mod tree;

pub use command::{feed, run, shell};

/// Fails, rather than skips, without root.
pub fn require_root() -> anyhow::Result<()> {
    anyhow::ensure!(rustix::process::geteuid().is_root(), "this test mounts filesystems: run it as root (sudo)");
    Ok(())
}
