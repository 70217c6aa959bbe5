//! One call of the reaper.

use std::collections::BTreeMap;

use domain::failure::Error;
use domain::id::ExecutionArn;
use jiff::Timestamp;

use crate::cleanup::Turn;

/// One call: what it is about, and what it has found so far.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The one execution that it is about.
    pub(super) only: Option<ExecutionArn>,
    pub(super) now: Timestamp,
    pub(super) turns: BTreeMap<ExecutionArn, Turn>,
    /// Executions that work, and since when.
    pub(super) running: BTreeMap<ExecutionArn, Timestamp>,
    /// What has no claim any more.
    pub(super) orphans: Turn,
    pub(super) errors: Vec<Error>,
}
