//! The worker of AWS Backup Export: reads a disk or a database, writes its archives or dumps, and proves what it wrote.

pub mod attach;
pub mod aws;
pub mod cli;
pub mod config;
pub mod database;
pub mod destination;
pub mod native;
pub mod pipeline;
pub mod progress;
pub mod sink;
pub mod stop;
pub mod verify;
