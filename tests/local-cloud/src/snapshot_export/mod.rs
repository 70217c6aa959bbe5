//! Export tasks of RDS: the tables of a snapshot, read from a scratch server of it, become Parquet in S3.

mod answer;
mod layout;
mod parquet;
mod run;
mod service;
mod start;
mod table;
mod task;

pub(crate) use self::answer::{answer, plays};
pub(crate) use self::service::SnapshotExports;
