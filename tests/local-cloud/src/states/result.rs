//! Executions as tests see them.

use std::time::Duration;

use serde_json::{Value, json};

use super::history;
use super::service::States;
use crate::error::{Error, Result};
use crate::execution::{ExecutionResult, ExecutionStatus};

/// An execution as it stands.
pub(crate) async fn result(states: &States, arn: &str) -> Result<ExecutionResult> {
    let described = states.ask("DescribeExecution", &json!({"executionArn": arn})).await?;
    let history = states.ask("GetExecutionHistory", &json!({"executionArn": arn, "maxResults": 1000})).await?;
    let events: Vec<Value> = history["events"].as_array().cloned().unwrap_or_default();
    let parsed =
        |name: &str| described.get(name).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let text = |name: &str| described.get(name).and_then(Value::as_str).map(str::to_owned);
    let ended_as: ExecutionStatus = serde_json::from_value(described["status"].clone()).map_err(|error| {
        Error::Call { operation: format!("DescribeExecution of {arn}"), message: error.to_string() }
    })?;
    let seconds = |name: &str| described[name].as_f64();
    let started = seconds("startDate").unwrap_or_default();
    Ok(ExecutionResult {
        arn: arn.to_owned(),
        status: ended_as,
        input: parsed("input").unwrap_or_default(),
        output: parsed("output"),
        error: text("error"),
        cause: text("cause"),
        duration: Duration::from_secs_f64((seconds("stopDate").unwrap_or(started) - started).max(0.0)),
        states: history::states(&events, started),
        history: events,
    })
}
