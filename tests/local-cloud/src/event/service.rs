//! The rules and schedules that there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pattern;
use crate::context::Context;
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::stack::{RuleSpec, ScheduleSpec};

/// The rules and schedules of the default bus.
#[derive(Debug)]
pub(crate) struct Events {
    pub(super) context: Arc<Context>,
    pub(super) dead_letters: Arc<DeadLetters>,
    state: Mutex<State>,
    /// Deliveries that are under way.
    pub(super) pending: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rules: Vec<RuleSpec>,
    pub(super) schedules: Vec<ScheduleSpec>,
}

impl Events {
    pub(crate) fn new(context: &Arc<Context>, dead_letters: &Arc<DeadLetters>) -> Self {
        Self {
            context: Arc::clone(context),
            dead_letters: Arc::clone(dead_letters),
            state: Mutex::default(),
            pending: AtomicUsize::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_rule(&self, rule: RuleSpec) -> Result<()> {
        if let Some(message) = pattern::problem(&rule.pattern) {
            return Err(Error::Stack { name: rule.name, message: format!("its pattern is wrong: {message}") });
        }
        let mut state = self.state();
        state.rules.retain(|each| each.name != rule.name);
        state.rules.push(rule);
        Ok(())
    }

    pub(crate) fn add_schedule(&self, schedule: ScheduleSpec) {
        let mut state = self.state();
        state.schedules.retain(|each| each.name != schedule.name);
        state.schedules.push(schedule);
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }
}
