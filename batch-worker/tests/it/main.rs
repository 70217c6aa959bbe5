//! The worker as Batch and people run it, and its way to a volume: on real disks, real database servers, and AWS in
//! this process.
//!
//! Disks are mounted, so this needs root (sudo). The servers and clients of PostgreSQL and MariaDB and the tools of
//! filesystems are installed by `tests/setup-packages`; without them tests fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attach;
mod device;
mod mariadb;
mod memory;
mod plan;
mod postgres;
mod record;
mod source;
mod volume;
mod worker;
