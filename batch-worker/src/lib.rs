//! The worker of AWS Backup Export: reads a disk or a database, writes its archives or dumps, and proves what it wrote.
//!
//! Read [`export`] first: the frame in which its four jobs work side by side, [`volume`], [`database`], [`native`] and
//! [`verify`].

pub mod cli;
pub mod config;
pub mod database;
pub mod export;
pub mod native;
pub mod progress;
pub mod stop;
pub mod verify;
pub mod volume;
