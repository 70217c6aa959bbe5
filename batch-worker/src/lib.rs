//! The worker of AWS Backup Export: reads a disk, writes its archives, and proves what it wrote.

pub mod attach;
pub mod aws;
pub mod cli;
pub mod config;
pub mod destination;
pub mod error;
pub mod pipeline;
pub mod progress;
pub mod sink;
pub mod source;
pub mod stop;
pub mod verify;
