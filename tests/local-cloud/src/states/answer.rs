//! The operations of Step Functions, and executions on their way to their end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::service::{Followed, States};
use crate::event;
use crate::wire::{Answer, ApiError, Call};

/// How often a running execution is looked at.
const POLL: Duration = Duration::from_millis(40);

pub(crate) async fn answer(states: &Arc<States>, call: &Call) -> Answer {
    if call.operation != "StartExecution" {
        return states.context.moto.answer(call).await;
    }
    let mut body = call.json()?;
    if body.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        body["name"] = json!(uuid::Uuid::new_v4().to_string());
    }
    let named =
        Call { parts: call.parts.clone(), body: Bytes::from(body.to_string()), operation: call.operation.clone() };
    let response = states.context.moto.answer(&named).await?;
    let (parts, body) = response.into_parts();
    let bytes =
        body.collect().await.map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))?.to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Some(arn) = answer.get("executionArn").and_then(Value::as_str) {
        let mut state = states.state();
        // The same name and input again is the same execution.
        if !state.iter().any(|each| each.arn == arn) {
            state.push(Followed { arn: arn.to_owned(), announced: false });
            tokio::spawn(follow(Arc::clone(states), arn.to_owned()));
        }
    }
    Ok(http::Response::from_parts(parts, s3s::Body::from(bytes)))
}

/// Waits for the end of an execution, and sends its status event.
async fn follow(states: Arc<States>, arn: String) {
    loop {
        tokio::time::sleep(POLL).await;
        let described = states.ask("DescribeExecution", &json!({"executionArn": arn})).await;
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
            "source": "aws.states", "account": states.context.names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": states.context.names.region, "resources": [arn], "detail": detail});
        event::deliver(&states.events, event);
        for each in states.state().iter_mut().filter(|each| each.arn == arn) {
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
