//! Step Functions: moto executes; here executions are followed to their end, so that their status events are sent.

mod history;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::event;
use crate::execution::{ExecutionResult, ExecutionStatus};
use crate::gateway::{Shared, forward};
use crate::moto::MotoClient;
use crate::stack::{Definition, StateMachineSpec};
use crate::wire::{Answer, ApiError, Call};

/// How often a running execution is looked at.
const POLL: Duration = Duration::from_millis(40);

/// The executions that were started.
#[derive(Debug, Default)]
pub(crate) struct States {
    state: Mutex<Vec<Followed>>,
}

#[derive(Debug)]
struct Followed {
    arn: String,
    /// Its end was seen, and its status event was handed to the rules.
    announced: bool,
}

impl States {
    fn state(&self) -> MutexGuard<'_, Vec<Followed>> {
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

/// Calls an operation of Step Functions, at moto or through the gateway.
pub(crate) async fn call(
    shared: &Shared,
    client: &MotoClient,
    principal: &str,
    operation: &str,
    input: &Value,
) -> Result<Value> {
    let target = format!("AWSStepFunctions.{operation}");
    client.call_json(&shared.names, principal, "states", &target, input).await
}

pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    if call.operation != "StartExecution" {
        return forward(shared, call).await;
    }
    let mut body = call.json()?;
    if body.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        body["name"] = json!(uuid::Uuid::new_v4().to_string());
    }
    let named =
        Call { parts: call.parts.clone(), body: Bytes::from(body.to_string()), operation: call.operation.clone() };
    let response = forward(shared, &named).await?;
    let (parts, body) = response.into_parts();
    let bytes =
        body.collect().await.map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))?.to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Some(arn) = answer.get("executionArn").and_then(Value::as_str) {
        let mut state = shared.states.state();
        // The same name and input again is the same execution.
        if !state.iter().any(|each| each.arn == arn) {
            state.push(Followed { arn: arn.to_owned(), announced: false });
            tokio::spawn(follow(Arc::clone(shared), arn.to_owned()));
        }
    }
    Ok(http::Response::from_parts(parts, s3s::Body::from(bytes)))
}

/// Waits for the end of an execution, and sends its status event.
async fn follow(shared: Arc<Shared>, arn: String) {
    loop {
        tokio::time::sleep(POLL).await;
        let described = call(&shared, &shared.moto, "local", "DescribeExecution", &json!({"executionArn": arn})).await;
        let Ok(described) = described else { continue };
        if described["status"] == "RUNNING" {
            continue;
        }
        let millis = |name: &str| described[name].as_f64().map(|seconds| (seconds * 1000.0).round());
        let output = compact(&described["output"]);
        let detail = json!({"executionArn": arn, "stateMachineArn": described["stateMachineArn"], "name": described["name"],
            "status": described["status"], "startDate": millis("startDate"), "stopDate": millis("stopDate"),
            "input": described["input"], "inputDetails": {"included": true}, "output": output,
            "outputDetails": output.is_string().then(|| json!({"included": true})), "error": described.get("error"), "cause": described.get("cause")});
        let event = json!({"version": "0", "id": uuid::Uuid::new_v4().to_string(), "detail-type": "Step Functions Execution Status Change",
            "source": "aws.states", "account": shared.names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": shared.names.region, "resources": [arn], "detail": detail});
        event::deliver(&shared, event);
        for each in shared.states.state().iter_mut().filter(|each| each.arn == arn) {
            each.announced = true;
        }
        return;
    }
}

/// JSON text without the spaces that moto leaves in it: Step Functions writes none, and patterns match the text.
fn compact(text: &Value) -> Value {
    let parsed = text.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed.map_or_else(|| text.clone(), |value| Value::String(value.to_string()))
}

/// An execution as it stands.
pub(crate) async fn result(shared: &Shared, arn: &str) -> Result<ExecutionResult> {
    let described = call(shared, &shared.moto, "local", "DescribeExecution", &json!({"executionArn": arn})).await?;
    let history =
        call(shared, &shared.moto, "local", "GetExecutionHistory", &json!({"executionArn": arn, "maxResults": 1000}))
            .await?;
    let events: Vec<Value> = history["events"].as_array().cloned().unwrap_or_default();
    let parsed =
        |name: &str| described.get(name).and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let text = |name: &str| described.get(name).and_then(Value::as_str).map(str::to_owned);
    let status: ExecutionStatus = serde_json::from_value(described["status"].clone()).map_err(|error| Error::Call {
        operation: format!("DescribeExecution of {arn}"),
        message: error.to_string(),
    })?;
    let seconds = |name: &str| described[name].as_f64();
    let started = seconds("startDate").unwrap_or_default();
    Ok(ExecutionResult {
        arn: arn.to_owned(),
        status,
        input: parsed("input").unwrap_or_default(),
        output: parsed("output"),
        error: text("error"),
        cause: text("cause"),
        duration: Duration::from_secs_f64((seconds("stopDate").unwrap_or(started) - started).max(0.0)),
        states: history::states(&events, started),
        history: events,
    })
}

/// Fills in the tokens of a definition. A token without a value is refused.
fn substitute(spec: &StateMachineSpec, text: &str) -> Result<String> {
    let failed = |message: String| Error::Stack { name: spec.name.clone(), message };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((token, tail)) = after.split_once('}') else { return Err(failed("a `${` has no `}`".to_owned())) };
        let value = spec.substitutions.get(token);
        let value = value.ok_or_else(|| failed(format!("the definition's token {token} has no value")))?;
        out.push_str(before);
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    let Some(seconds) = spec.timeout_seconds else { return Ok(out) };
    let mut definition: Value = serde_json::from_str(&out).map_err(|error| failed(error.to_string()))?;
    definition["TimeoutSeconds"] = json!(seconds);
    Ok(definition.to_string())
}

/// Creates or updates a state machine.
pub(crate) async fn deploy(shared: &Shared, spec: &StateMachineSpec) -> Result<()> {
    let text = match &spec.definition {
        Definition::File(path) => std::fs::read_to_string(path).map_err(Error::file("read", path))?,
        Definition::Text(text) => text.clone(),
    };
    let definition = substitute(spec, &text)?;
    let arn = shared.names.state_machine(&spec.name);
    let role = format!("arn:{}:iam::{}:role/states", shared.names.partition, shared.names.account_id);
    let exists =
        call(shared, &shared.moto, "local", "DescribeStateMachine", &json!({"stateMachineArn": arn})).await.is_ok();
    let (operation, input) = if exists {
        ("UpdateStateMachine", json!({"stateMachineArn": arn, "definition": definition, "roleArn": role}))
    } else {
        (
            "CreateStateMachine",
            json!({"name": spec.name, "definition": definition, "roleArn": role, "type": "STANDARD"}),
        )
    };
    call(shared, &shared.moto, "local", operation, &input).await.map(drop)
}
