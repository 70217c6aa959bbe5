//! The rules that `statemachine/export.asl.json` keeps.

use std::collections::BTreeSet;

use domain::failure::Kind;
use serde_json::{Map, Value, json};

const ASL: &str = include_str!("../../../statemachine/export.asl.json");

/// What CDK and the local cloud fill in.
const TOKENS: [&str; 7] = [
    "Partition",
    "PlanFunctionArn",
    "StartRestoreFunctionArn",
    "CheckRestoreFunctionArn",
    "DeleteRecoveryPointFunctionArn",
    "CleanupFunctionArn",
    "ConcludeFunctionArn",
];

/// Error names that are not ours.
const AWS_ERRORS: [&str; 13] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "States.Timeout",
    "Batch.AWSBatchException",
    "Batch.BatchException",
    "Batch.ServerException",
    "Batch.TooManyRequestsException",
];

struct State {
    name: String,
    fields: Value,
}

/// All states, those of the Map included.
fn states() -> Vec<State> {
    fn collect(machine: &Value, into: &mut Vec<State>) {
        for (name, fields) in machine["States"].as_object().unwrap() {
            into.push(State { name: name.clone(), fields: fields.clone() });
            if fields["Type"] == "Map" {
                collect(&fields["ItemProcessor"], into);
            }
        }
    }
    let mut states = Vec::new();
    collect(&machine(), &mut states);
    states
}

fn machine() -> Value {
    serde_json::from_str(ASL).unwrap()
}

fn of_type(name: &str) -> Vec<State> {
    states().into_iter().filter(|state| state.fields["Type"] == name).collect()
}

fn list<'a>(state: &'a State, key: &str) -> &'a [Value] {
    state.fields[key].as_array().map_or(&[], Vec::as_slice)
}

fn errors(rule: &Value) -> Vec<&str> {
    rule["ErrorEquals"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn every_task_has_a_timeout_and_so_has_the_whole() {
    assert!(machine()["TimeoutSeconds"].is_u64());
    for task in of_type("Task") {
        let has_timeout = task.fields["TimeoutSeconds"].is_u64() || task.fields["TimeoutSecondsPath"].is_string();
        assert!(has_timeout, "{}", task.name);
    }
}

#[test]
fn every_task_and_every_catch_keeps_its_input() {
    for state in states() {
        for catch in list(&state, "Catch") {
            assert!(catch["ResultPath"].as_str().is_some_and(|path| path.len() > 2), "{}", state.name);
            assert_eq!(errors(catch), ["States.ALL"], "{}", state.name);
        }
        if matches!(state.fields["Type"].as_str(), Some("Task" | "Map")) {
            let path = state.fields.as_object().unwrap().get("ResultPath");
            assert!(path.is_some_and(|path| path != "$"), "{} replaces its input", state.name);
        }
    }
}

#[test]
fn no_failure_gets_past_the_conclusion() {
    let in_map: BTreeSet<String> = states()
        .iter()
        .filter(|state| state.fields["Type"] == "Map")
        .flat_map(|map| map.fields["ItemProcessor"]["States"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    for state in states() {
        if matches!(state.fields["Type"].as_str(), Some("Task" | "Map")) && !in_map.contains(&state.name) {
            assert!(!list(&state, "Catch").is_empty(), "{} has no Catch", state.name);
        }
    }
}

#[test]
fn every_retried_error_is_known_and_may_pass() {
    for state in states() {
        for retry in list(&state, "Retry") {
            for name in errors(retry) {
                match Kind::from_name(name) {
                    Some(kind) => assert!(kind.is_transient(), "{}: {name} does not pass", state.name),
                    None => assert!(AWS_ERRORS.contains(&name), "{}: unknown error {name}", state.name),
                }
            }
            assert!(retry["BackoffRate"].as_f64().unwrap() >= 1.5, "{}", state.name);
            assert!(retry["MaxDelaySeconds"].is_u64() && retry["MaxAttempts"].is_u64(), "{}", state.name);
        }
    }
}

#[test]
fn every_lambda_is_called_again_for_what_may_pass() {
    for task in of_type("Task") {
        let retried: BTreeSet<&str> = list(&task, "Retry").iter().flat_map(errors).collect();
        if !task.fields["Resource"].as_str().unwrap().ends_with("FunctionArn}") {
            // A job that failed was retried by Batch; submitting it again would run it beside itself.
            assert!(retried.iter().all(|name| name.starts_with("Batch.")), "{}", task.name);
            continue;
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_transient()) {
            match kind {
                // The reaper's own, and the worker's own: neither is a Lambda of the state machine.
                Kind::StillCleaning | Kind::Interrupted => {}
                kind => assert!(retried.contains(kind.name()), "{}: {kind} is not retried", task.name),
            }
        }
        for name in AWS_ERRORS.iter().filter(|name| !name.starts_with("Batch.")) {
            assert!(retried.contains(name), "{}: {name} is not retried", task.name);
        }
    }
}

#[test]
fn every_state_is_reachable_and_every_path_leads_somewhere() {
    fn check(machine: &Value) {
        let states: &Map<String, Value> = machine["States"].as_object().unwrap();
        let mut seen = BTreeSet::new();
        let mut next = vec![machine["StartAt"].as_str().unwrap().to_owned()];
        while let Some(name) = next.pop() {
            let state = states.get(&name).unwrap_or_else(|| panic!("{name} does not exist"));
            if !seen.insert(name.clone()) {
                continue;
            }
            let rules = ["Choices", "Catch"].into_iter().filter_map(|key| state[key].as_array()).flatten();
            let targets = rules.chain([state]).flat_map(|rule| [&rule["Next"], &rule["Default"]]);
            let targets: Vec<String> = targets.filter_map(Value::as_str).map(str::to_owned).collect();
            let ends = state["End"] == true || matches!(state["Type"].as_str(), Some("Succeed" | "Fail"));
            assert_eq!(ends, targets.is_empty(), "{name}");
            next.extend(targets);
            if state["Type"] == "Map" {
                check(&state["ItemProcessor"]);
            }
        }
        let all: BTreeSet<String> = states.keys().cloned().collect();
        assert_eq!(all, seen);
    }
    check(&machine());
}

#[test]
fn every_choice_has_a_default_and_every_failure_its_cause() {
    for choice in of_type("Choice") {
        assert!(choice.fields["Default"].is_string(), "{}", choice.name);
    }
    for fail in of_type("Fail") {
        let has_cause = fail.fields["CausePath"].is_string() || fail.fields["Cause"].is_string();
        assert!(fail.fields["ErrorPath"].is_string() && has_cause, "{}", fail.name);
    }
}

/// What a path names in the data of an execution.
fn at<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    data.pointer(&path.strip_prefix('$').unwrap().replace('.', "/"))
}

/// As much of a Choice as the last ones need.
fn holds(rule: &Value, data: &Value) -> bool {
    if let Some(all) = rule["And"].as_array() {
        return all.iter().all(|rule| holds(rule, data));
    }
    let found = at(data, rule["Variable"].as_str().unwrap());
    match (rule["IsPresent"].as_bool(), rule["IsNull"].as_bool()) {
        (Some(present), None) => found.is_some() == present,
        (None, Some(null)) => found.expect("a variable that is not there ends the execution").is_null() == null,
        _ => panic!("a rule that is not known here: {rule}"),
    }
}

#[test]
fn the_first_error_is_told_when_the_conclusion_fails_with_or_without_causes() {
    let states = machine()["States"].clone();
    let choice = &states["FirstFailure"];
    let told = |data: &Value| -> (String, String) {
        let rule = choice["Choices"].as_array().unwrap().iter().find(|rule| holds(rule, data));
        let name = rule.map_or(&choice["Default"], |rule| &rule["Next"]).as_str().unwrap();
        let text = |field: &str| match (&states[name][field], &states[name][format!("{field}Path")]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::String(path)) => {
                at(data, path).and_then(Value::as_str).expect("a path leads to text").to_owned()
            }
            _ => panic!("{name} has no {field}"),
        };
        (text("Error"), text("Cause"))
    };
    let explained = json!({"error": "ReadFailed", "cause": "the disk"});
    let with = |failure: Value, explained: Value, conclude: Value| {
        told(&json!({"failure": failure, "cleanup": {"turn": 1, "failure": explained}, "concludeFailure": conclude}))
    };
    let conclude = || json!({"Error": "States.Timeout", "Cause": "slow"});
    let caught = json!({"Error": "RestoreFailed", "Cause": "no volume"});
    assert_eq!(with(caught.clone(), explained, conclude()), ("ReadFailed".into(), "the disk".into()));
    assert_eq!(with(caught, Value::Null, conclude()), ("RestoreFailed".into(), "no volume".into()));
    for failure in [json!({"Error": "States.Timeout"}), json!({"Error": "States.Timeout", "Cause": null})] {
        let (error, cause) = with(failure, Value::Null, json!({"Error": "AccessDenied", "Cause": "no"}));
        assert_eq!(error, "States.Timeout");
        assert!(cause.contains("events of this execution"), "{cause}");
    }
    assert_eq!(with(Value::Null, Value::Null, conclude()), ("States.Timeout".into(), "slow".into()));
    assert_eq!(with(Value::Null, Value::Null, json!({"Error": "States.Timeout"})).0, "States.Timeout");
    // Before the first cleanup there is no explanation at all.
    let early = json!({"failure": {"Error": "Throttled"}, "cleanup": {"turn": 0}, "concludeFailure": conclude()});
    assert_eq!(told(&early).0, "Throttled");
}

#[test]
fn deletion_comes_after_every_volume_and_only_when_it_is_asked_for() {
    let machine = machine();
    let states = &machine["States"];
    let leading_to = |target: &str| -> Vec<String> {
        let mut names = Vec::new();
        for (name, state) in states.as_object().unwrap() {
            let rules = ["Choices", "Catch"].into_iter().filter_map(|key| state[key].as_array()).flatten();
            let leads = rules.chain([state]).any(|rule| rule["Next"] == target || rule["Default"] == target);
            if leads {
                names.push(name.clone());
            }
        }
        names
    };
    assert_eq!(leading_to("AllExported"), ["ExportUnits"]);
    assert_eq!(leading_to("DeletionWanted"), ["AllExported"]);
    assert_eq!(leading_to("DeleteRecoveryPoint"), ["DeletionWanted", "WaitForDeletion"]);
    assert_ne!(states["DeletionWanted"]["Default"], "DeleteRecoveryPoint");
    let volume = &states["ExportUnits"]["ItemProcessor"]["States"];
    assert_eq!(volume["VerificationWanted"]["Default"], "VerifyUnit");
    assert_eq!(volume["VerificationWanted"]["Choices"][0]["StringEquals"], "none");
}

#[test]
fn every_token_is_known_and_used() {
    let used: BTreeSet<&str> = ASL.split("${").skip(1).map(|rest| rest.split_once('}').unwrap().0).collect();
    assert_eq!(used, TOKENS.into_iter().collect());
}

#[test]
fn jobs_carry_the_tags_by_which_they_are_ours() {
    let jobs: Vec<State> = of_type("Task")
        .into_iter()
        .filter(|task| task.fields["Resource"].as_str().unwrap().ends_with("batch:submitJob.sync"))
        .collect();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let parameters = &job.fields["Parameters"];
        for key in [domain::tag::EXPORT_ID, domain::tag::EXECUTION] {
            assert!(parameters["Tags"][format!("{key}.$")].is_string(), "{}", job.name);
        }
        assert!(parameters["Timeout"]["AttemptDurationSeconds.$"].is_string(), "{}", job.name);
        assert!(job.fields["ResultPath"].is_null(), "{}: a job's description is large", job.name);
    }
}
