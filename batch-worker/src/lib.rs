//! The worker of AWS Backup Export: reads a disk, writes its archives, and proves what it wrote.

pub mod aws;
pub mod destination;
pub mod error;
pub mod sink;
pub mod source;
