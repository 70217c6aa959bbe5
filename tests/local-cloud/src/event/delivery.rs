//! Events on their way to the targets of rules and schedules.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::service::Events;
use super::{input, pattern};
use crate::error::{Error, Result};
use crate::observe::DeadLetter;
use crate::stack::{Target, TargetSpec};
use crate::wire::{Answer, Call, json_answer};

/// How often a delivery is tried again at most. EventBridge goes on for a day; nothing here is away for long.
const MOST_RETRIES: u32 = 4;

/// Delivers an event to the targets of the rules that it matches; returns how many there are.
pub(crate) fn deliver(events: &Arc<Events>, mut event: Value) -> usize {
    if event.get("id").is_none() {
        event["id"] = json!(uuid::Uuid::new_v4().to_string());
    }
    let targets: Vec<(String, TargetSpec)> = {
        let state = events.state();
        let matching = state.rules.iter().filter(|rule| pattern::matches(&rule.pattern, &event));
        matching.flat_map(|rule| rule.targets.iter().map(|target| (rule.name.clone(), target.clone()))).collect()
    };
    let count = targets.len();
    for (rule, target) in targets {
        send(events, rule, target, &event);
    }
    count
}

/// Fires a schedule.
pub(crate) fn fire(events: &Arc<Events>, name: &str) -> Result<()> {
    let found = events.state().schedules.iter().find(|schedule| schedule.name == name).cloned();
    let schedule = found.ok_or_else(|| Error::Missing { kind: "schedule", name: name.to_owned() })?;
    let names = &events.context.names;
    let event = json!({"version": "0", "id": uuid::Uuid::new_v4().to_string(), "detail-type": "Scheduled Event", "source": "aws.events",
        "account": names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "region": names.region,
        "resources": [names.rule(name)], "detail": {}});
    for target in schedule.targets {
        send(events, name.to_owned(), target, &event);
    }
    Ok(())
}

/// Sends an event to one target, in the background.
fn send(events: &Arc<Events>, rule: String, spec: TargetSpec, event: &Value) {
    events.pending.fetch_add(1, Ordering::SeqCst);
    let events = Arc::clone(events);
    let sender = input::Sender { name: &rule, arn: &events.context.names.rule(&rule) };
    let body = input::render(&spec.input, event, sender);
    // One name for all tries, so that a try whose answer was lost starts no second execution.
    let name = format!("{}_{}", event["id"].as_str().unwrap_or_default(), uuid::Uuid::new_v4());
    tokio::spawn(async move {
        let mut outcome = offer(&events, &spec.target, &name, &body).await;
        for _ in 0..spec.retries.min(MOST_RETRIES) {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(10).mul_f64(events.context.options.wait_scale)).await;
            outcome = offer(&events, &spec.target, &name, &body).await;
        }
        if let (Err(error), Some(queue)) = (outcome, spec.dead_letters) {
            events.dead_letters.add(DeadLetter { queue, source: rule, body, reason: error.to_string() });
        }
        events.pending.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Tries to hand a text to a target.
async fn offer(events: &Arc<Events>, target: &Target, name: &str, body: &str) -> Result<()> {
    match target {
        Target::StateMachine(machine) => {
            let input =
                json!({"stateMachineArn": events.context.names.state_machine(machine), "name": name, "input": body});
            events
                .context
                .gateway
                .call_states(&events.context.names, "events", "StartExecution", &input)
                .await
                .map(drop)
        }
        Target::Function(function) => events.context.gateway.invoke_event(&events.context.names, function, body).await,
        Target::Topic(topic) => {
            events.context.gateway.publish(&events.context.names, &events.context.names.topic(topic), body).await
        }
    }
}

/// `PutEvents`.
pub(crate) fn put_events(events: &Arc<Events>, call: &Call) -> Answer {
    let body = call.json()?;
    let mut entries = Vec::new();
    for entry in body.get("Entries").and_then(Value::as_array).into_iter().flatten() {
        let id = uuid::Uuid::new_v4().to_string();
        let detail: Value =
            entry["Detail"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let event = json!({"version": "0", "id": id, "detail-type": entry["DetailType"], "source": entry["Source"],
            "account": events.context.names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": events.context.names.region, "resources": entry.get("Resources").cloned().unwrap_or_else(|| json!([])), "detail": detail});
        deliver(events, event);
        entries.push(json!({"EventId": id}));
    }
    Ok(json_answer(200, &json!({"FailedEntryCount": 0, "Entries": entries})))
}
