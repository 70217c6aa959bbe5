//! Lambda: functions as processes that speak the Runtime API, one process for each function, kept warm.
//!
//! Invocations of one function run one after the other; a function that times out or dies is started anew.

mod answer;
mod runtime;
mod service;

pub(crate) use self::answer::{answer, identify};
pub(crate) use self::service::{Lambda, Reply, function_name, invoke};
