//! The executions that there are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::context::Context;
use crate::error::Result;
use crate::event::Events;

/// The executions that were started.
#[derive(Debug)]
pub(crate) struct States {
    pub(super) context: Arc<Context>,
    pub(super) events: Arc<Events>,
    state: Mutex<Vec<Followed>>,
}

/// An execution that is followed to its end.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) arn: String,
    /// Its end was seen, and its status event was handed to the rules.
    pub(super) announced: bool,
}

impl States {
    pub(crate) fn new(context: &Arc<Context>, events: &Arc<Events>) -> Self {
        Self { context: Arc::clone(context), events: Arc::clone(events), state: Mutex::default() }
    }

    /// Calls an operation of moto.
    pub(super) async fn ask(&self, operation: &str, input: &Value) -> Result<Value> {
        self.context.moto.call_states(&self.context.names, "local", operation, input).await
    }

    /// Calls an operation as a person does: through the gateway, logged, and made to fail where a rule says so.
    pub(crate) async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        self.context.gateway.call_states(&self.context.names, "local", operation, input).await
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Vec<Followed>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ARNs of all executions, oldest first.
    pub(crate) fn started(&self) -> Vec<String> {
        self.state().iter().map(|each| each.arn.clone()).collect()
    }

    /// The ARNs of those that have not ended.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state().iter().filter(|each| !each.announced).map(|each| each.arn.clone()).collect()
    }

    pub(crate) fn is_announced(&self, arn: &str) -> bool {
        self.state().iter().any(|each| each.arn == arn && each.announced)
    }
}
