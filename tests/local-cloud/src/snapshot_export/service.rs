//! The tasks that there are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::task::{Status, Task};
use crate::context::Context;
use crate::rds::Rds;
use crate::recovery_point::ExportTaskFate;
use crate::s3::Store;

/// The export tasks of one region.
#[derive(Debug)]
pub(crate) struct SnapshotExports {
    pub(super) context: Arc<Context>,
    pub(super) store: Arc<Store>,
    pub(super) rds: Arc<Rds>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By identifier. None is ever removed, so that no identifier is used twice.
    pub(super) tasks: BTreeMap<String, Task>,
    /// The fates of the tasks to come.
    pub(super) fates: VecDeque<ExportTaskFate>,
}

impl SnapshotExports {
    pub(crate) fn new(context: &Arc<Context>, store: &Arc<Store>, rds: &Arc<Rds>) -> Self {
        Self { context: Arc::clone(context), store: Arc::clone(store), rds: Arc::clone(rds), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about the next task that is not decided about.
    pub(crate) fn push_fate(&self, fate: ExportTaskFate) {
        self.state().fates.push_back(fate);
    }

    /// Tasks that have not ended.
    pub(crate) fn running(&self) -> Vec<String> {
        let state = self.state();
        state.tasks.values().filter(|task| task.status.is_running()).map(|task| task.id.clone()).collect()
    }

    /// Moves a task on; `false` when it is not where that is possible.
    pub(super) fn advance(&self, id: &str, from: &Status, to: Status) -> bool {
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(id).filter(|task| task.status == *from) else { return false };
        if !to.is_running() {
            task.ended = Some(jiff::Timestamp::now());
        }
        if to == Status::Complete {
            task.percent = 100;
        }
        task.status = to;
        true
    }
}
