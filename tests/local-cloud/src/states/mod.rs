//! Step Functions: moto executes; here executions are followed to their end, so that their status events are sent.

mod answer;
mod deploy;
mod history;
mod result;
mod service;

pub(crate) use self::answer::answer;
pub(crate) use self::deploy::deploy;
pub(crate) use self::result::result;
pub(crate) use self::service::States;
