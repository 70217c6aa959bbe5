//! What a caught error says to a person.
//!
//! Step Functions hands over a name and a text, which for a Lambda is `{"errorType", "errorMessage"}` and for a Batch
//! job its whole description. The worker's own last word, where it left one, says most.

use std::collections::BTreeMap;

use domain::failure::{CaughtError, Failure, Kind};
use domain::plan::{Plan, Unit};
use serde_json::Value;

/// A cause of a failed execution may have 32,768 characters; nobody reads that many.
const MAX_CAUSE_CHARS: usize = 4_000;

/// Reads a caught error. `last_words` are the workers', by unit key.
pub fn explain(plan: Option<&Plan>, caught: &CaughtError, last_words: &BTreeMap<String, Failure>) -> Failure {
    let failure = match serde_json::from_str::<Value>(&caught.cause) {
        Ok(cause) if field(&cause, "jobName").is_some() => job(plan, &cause, last_words),
        Ok(cause) => lambda(caught, &cause).unwrap_or_else(|| plain(caught)),
        Err(_) => plain(caught),
    };
    Failure { cause: shorten(&failure.cause), ..failure }
}

fn plain(caught: &CaughtError) -> Failure {
    let cause = match (caught.error.as_str(), caught.cause.trim()) {
        ("States.Timeout", "") => "a step took longer than its timeout".to_owned(),
        (error, "") => format!("{error}, without a cause"),
        (_, cause) => cause.to_owned(),
    };
    Failure { error: caught.error.clone(), cause }
}

fn lambda(caught: &CaughtError, cause: &Value) -> Option<Failure> {
    let message = field(cause, "errorMessage")?.as_str()?;
    let error = field(cause, "errorType")
        .and_then(Value::as_str)
        .filter(|name| Kind::from_name(name).is_some())
        .unwrap_or(&caught.error);
    Some(Failure { error: error.to_owned(), cause: message.to_owned() })
}

fn job(plan: Option<&Plan>, job: &Value, last_words: &BTreeMap<String, Failure>) -> Failure {
    let name = text(job, "jobName").unwrap_or_default();
    let container = field(job, "container");
    let last_attempt = field(job, "attempts").and_then(Value::as_array).and_then(|attempts| attempts.last());
    let attempt_container = last_attempt.and_then(|attempt| field(attempt, "container"));
    let of_containers =
        |key: &str| [attempt_container, container].into_iter().flatten().find_map(|container| field(container, key));
    let exit_code = of_containers("exitCode").and_then(Value::as_i64);
    let reason = of_containers("reason").and_then(Value::as_str);
    let log = of_containers("logStreamName").and_then(Value::as_str);
    let status_reason =
        last_attempt.and_then(|attempt| text(attempt, "statusReason")).or_else(|| text(job, "statusReason"));
    let attempts = field(job, "attempts").and_then(Value::as_array).map_or(0, Vec::len);

    let unit = plan.and_then(|plan| unit_of(plan, name));
    let last_word = unit.and_then(|unit| last_words.get(&unit.key));
    // Which of the two has Batch's own words depends on how the attempt ended.
    // It kills the container, so the exit code says nothing.
    let is_timed_out = [last_attempt.and_then(|attempt| text(attempt, "statusReason")), text(job, "statusReason")]
        .into_iter()
        .flatten()
        .any(|reason| reason.contains("exceeded timeout"));
    let kind = if is_timed_out { Kind::ExportTimedOut } else { kind_of(exit_code, status_reason) };
    // An earlier attempt may have left a word that is not about the end, and one that is timed out only knows that it
    // was asked to stop.
    let error = last_word
        .filter(|word| kind != Kind::ExportTimedOut && agrees(word, exit_code))
        .map_or_else(|| kind.name().to_owned(), |word| word.error.clone());

    let what = match unit {
        Some(unit) if name == unit.verify_job_name => format!("verify {}", unit.key),
        Some(unit) => format!("export {}", unit.key),
        None => "run a job".to_owned(),
    };
    let said = last_word.map_or("the worker left no word", |word| word.cause.as_str());
    let mut details = vec![format!("job {name}")];
    if let Some(id) = text(job, "jobId") {
        details.push(format!("id {id}"));
    }
    if let Some(code) = exit_code {
        details.push(format!("exit code {code}"));
    }
    if attempts > 1 {
        details.push(format!("{attempts} attempts"));
    }
    if let Some(reason) = status_reason {
        details.push(format!("status reason {reason:?}"));
    }
    if let Some(reason) = reason {
        details.push(format!("container: {reason:?}"));
    }
    if let Some(log) = log {
        details.push(format!("log stream {log}"));
    }
    if kind == Kind::ExportTimedOut {
        details.push("raise EXPORT_TIMEOUT_HOURS if it needs longer".to_owned());
    }
    Failure { error, cause: format!("{what}: {said} ({})", details.join(", ")) }
}

fn unit_of<'a>(plan: &'a Plan, job_name: &str) -> Option<&'a Unit> {
    plan.units.iter().find(|unit| job_name == unit.export_job_name || job_name == unit.verify_job_name)
}

fn agrees(word: &Failure, exit_code: Option<i64>) -> bool {
    let said = Kind::from_name(&word.error).map(|kind| i64::from(kind.exit_code()));
    said.is_some() && said == exit_code
}

fn kind_of(exit_code: Option<i64>, status_reason: Option<&str>) -> Kind {
    let reason = status_reason.unwrap_or_default();
    if reason.starts_with("Host EC2") {
        return Kind::Interrupted;
    }
    match exit_code {
        Some(code) => Kind::from_exit_code(i32::try_from(code).unwrap_or(-1)),
        // Never ran: no image, no instance, terminated in the queue.
        None => Kind::Unavailable,
    }
}

/// Step Functions spells the keys of AWS's answers with a capital, Lambda without.
fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let mut capital = key.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    value.get(key).or_else(|| value.get(capital)).filter(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    field(value, key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_CAUSE_CHARS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}
