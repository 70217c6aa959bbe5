//! Executions of the state machine, as tests see them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The state of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionStatus {
    /// It runs.
    Running,
    /// It reached a Succeed state, or the end.
    Succeeded,
    /// It failed.
    Failed,
    /// The root timeout ended it.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

/// An execution that ended.
#[derive(Debug, Clone)]
pub struct ExecutionResult {
    pub arn: String,
    /// How it ended.
    pub status: ExecutionStatus,
    pub input: Value,
    /// Its output, when it succeeded.
    pub output: Option<Value>,
    /// Its error, when it did not.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
    /// How long it took.
    pub duration: Duration,
    /// The states that were entered, in order.
    pub states: Vec<StateEntered>,
    /// The whole history, as `GetExecutionHistory` gives it.
    pub history: Vec<Value>,
}

impl ExecutionResult {
    /// The names of the states entered, in order.
    pub fn state_names(&self) -> Vec<&str> {
        self.states.iter().map(|state| state.name.as_str()).collect()
    }
}

/// A state that an execution entered.
#[derive(Debug, Clone)]
pub struct StateEntered {
    /// The state's name.
    pub name: String,
    /// When, after the start of the execution.
    pub after: Duration,
    /// How long it took, if it was left.
    pub took: Option<Duration>,
}

impl std::fmt::Display for ExecutionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        })
    }
}
