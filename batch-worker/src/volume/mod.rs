//! Disks: volumes that are attached first, and devices and image files that are here. Read [`run`] first.

pub mod attach;
mod run;

pub use run::run;
