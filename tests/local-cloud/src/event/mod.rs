//! EventBridge: events that match a rule go to its targets, with retries. Schedules are fired by hand.

mod input;
mod pattern;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::gateway::Shared;
use crate::observe::DeadLetter;
use crate::stack::{RuleSpec, ScheduleSpec, Target, TargetSpec};
use crate::states;
use crate::wire::{Answer, Call, json_answer};

/// How often a delivery is tried again at most. EventBridge goes on for a day; nothing here is away for long.
const MOST_RETRIES: u32 = 4;

/// The rules and schedules of the default bus.
#[derive(Debug, Default)]
pub(crate) struct Events {
    state: Mutex<State>,
    /// Deliveries that are under way.
    pending: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<RuleSpec>,
    schedules: Vec<ScheduleSpec>,
}

impl Events {
    fn state(&self) -> MutexGuard<'_, State> {
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

/// Delivers an event to the targets of the rules that it matches; returns how many there are.
pub(crate) fn deliver(shared: &Arc<Shared>, mut event: Value) -> usize {
    if event.get("id").is_none() {
        event["id"] = json!(uuid::Uuid::new_v4().to_string());
    }
    let targets: Vec<(String, TargetSpec)> = {
        let state = shared.events.state();
        let matching = state.rules.iter().filter(|rule| pattern::matches(&rule.pattern, &event));
        matching.flat_map(|rule| rule.targets.iter().map(|target| (rule.name.clone(), target.clone()))).collect()
    };
    let count = targets.len();
    for (rule, target) in targets {
        send(shared, rule, target, &event);
    }
    count
}

/// Fires a schedule.
pub(crate) fn fire(shared: &Arc<Shared>, name: &str) -> Result<()> {
    let found = shared.events.state().schedules.iter().find(|schedule| schedule.name == name).cloned();
    let schedule = found.ok_or_else(|| Error::Missing { kind: "schedule", name: name.to_owned() })?;
    let names = &shared.names;
    let event = json!({"version": "0", "id": uuid::Uuid::new_v4().to_string(), "detail-type": "Scheduled Event", "source": "aws.events",
        "account": names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "region": names.region,
        "resources": [names.rule(name)], "detail": {}});
    for target in schedule.targets {
        send(shared, name.to_owned(), target, &event);
    }
    Ok(())
}

/// Sends an event to one target, in the background.
fn send(shared: &Arc<Shared>, rule: String, spec: TargetSpec, event: &Value) {
    shared.events.pending.fetch_add(1, Ordering::SeqCst);
    let shared = Arc::clone(shared);
    let sender = input::Sender { name: &rule, arn: &shared.names.rule(&rule) };
    let body = input::render(&spec.input, event, sender);
    // One name for all tries, so that a try whose answer was lost starts no second execution.
    let name = format!("{}_{}", event["id"].as_str().unwrap_or_default(), uuid::Uuid::new_v4());
    tokio::spawn(async move {
        let mut outcome = offer(&shared, &spec.target, &name, &body).await;
        for _ in 0..spec.retries.min(MOST_RETRIES) {
            if outcome.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(10).mul_f64(shared.options.wait_scale)).await;
            outcome = offer(&shared, &spec.target, &name, &body).await;
        }
        if let (Err(error), Some(queue)) = (outcome, spec.dead_letters) {
            shared.dead_letters.add(DeadLetter { queue, source: rule, body, reason: error.to_string() });
        }
        shared.events.pending.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Tries to hand a text to a target.
async fn offer(shared: &Arc<Shared>, target: &Target, name: &str, body: &str) -> Result<()> {
    match target {
        Target::StateMachine(machine) => {
            let input = json!({"stateMachineArn": shared.names.state_machine(machine), "name": name, "input": body});
            states::call(shared, &shared.gateway, "events", "StartExecution", &input).await.map(drop)
        }
        Target::Function(function) => shared.gateway.invoke_event(&shared.names, function, body).await,
        Target::Topic(topic) => shared.gateway.publish(&shared.names, &shared.names.topic(topic), body).await,
    }
}

/// `PutEvents`.
pub(crate) fn put_events(shared: &Arc<Shared>, call: &Call) -> Answer {
    let body = call.json()?;
    let mut entries = Vec::new();
    for entry in body.get("Entries").and_then(Value::as_array).into_iter().flatten() {
        let id = uuid::Uuid::new_v4().to_string();
        let detail: Value =
            entry["Detail"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let event = json!({"version": "0", "id": id, "detail-type": entry["DetailType"], "source": entry["Source"],
            "account": shared.names.account_id, "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": shared.names.region, "resources": entry.get("Resources").cloned().unwrap_or_else(|| json!([])), "detail": detail});
        deliver(shared, event);
        entries.push(json!({"EventId": id}));
    }
    Ok(json_answer(200, &json!({"FailedEntryCount": 0, "Entries": entries})))
}
