//! Batch: job definitions, queues and jobs. A job is a process: the definition's entry point with the job's command.

mod answer;
mod job;
mod retry;
mod run;
mod service;

pub(crate) use self::answer::{answer, identify};
pub(crate) use self::service::Batch;
