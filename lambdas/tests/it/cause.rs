//! Caught errors as a person reads them.

use std::collections::BTreeMap;

use domain::failure::{CaughtError, Failure, Kind};
use lambdas::cause::explain;
use serde_json::json;

use crate::sample;

fn caught(error: &str, cause: impl Into<String>) -> CaughtError {
    CaughtError { error: error.into(), cause: cause.into() }
}

fn job_cause(name: &str, exit_code: i64) -> String {
    json!({
        "JobName": name, "JobId": "0a1b", "Status": "FAILED", "StatusReason": "Essential container in task exited",
        "Attempts": [
            {"Container": {"ExitCode": 75, "LogStreamName": "first"}, "StatusReason": "x"},
            {"Container": {"ExitCode": exit_code, "LogStreamName": "worker/default/abc"},
             "StatusReason": "Essential container in task exited"}
        ],
        "Container": {"ExitCode": exit_code, "LogStreamName": "worker/default/abc"}
    })
    .to_string()
}

#[test]
fn a_lambda_error_is_its_type_and_message() {
    let cause = json!({"errorType": "RestoreFailed", "errorMessage": "make a volume", "stackTrace": []});
    let failure = explain(None, &caught("RestoreFailed", cause.to_string()), &BTreeMap::new());
    assert_eq!(failure, Failure::new(Kind::RestoreFailed, "make a volume"));

    let crash = json!({"errorType": "Runtime.ExitError", "errorMessage": "exited"});
    let failure = explain(None, &caught("Runtime.ExitError", crash.to_string()), &BTreeMap::new());
    assert_eq!(failure.error, "Runtime.ExitError");
}

#[test]
fn a_job_says_what_the_worker_said() {
    let plan = sample::plan();
    let volume = &plan.units[0];
    let word = Failure::new(Kind::ReadFailed, "read 4096 bytes at 8192 of /dev/nvme1n1: I/O error");
    let words = BTreeMap::from([(volume.key.clone(), word)]);
    let cause = job_cause(&volume.export_job_name, 74);
    let failure = explain(Some(&plan), &caught("States.TaskFailed", cause), &words);
    assert_eq!(failure.error, "ReadFailed");
    for part in ["I/O error", "exit code 74", "2 attempts", "worker/default/abc", "0a1b", &volume.key] {
        assert!(failure.cause.contains(part), "{part}: {}", failure.cause);
    }
}

#[test]
fn a_word_of_an_earlier_attempt_does_not_name_the_end() {
    let plan = sample::plan();
    let volume = &plan.units[0];
    let words = BTreeMap::from([(volume.key.clone(), Failure::new(Kind::Unavailable, "S3 answered 503"))]);
    let cause = job_cause(&volume.export_job_name, 137);
    let failure = explain(Some(&plan), &caught("States.TaskFailed", cause), &words);
    assert_eq!(failure.error, "Interrupted");
    assert!(failure.cause.contains("S3 answered 503"));
}

#[test]
fn a_silent_worker_is_judged_by_its_exit_code() {
    let plan = sample::plan();
    let name = plan.units[0].verify_job_name.clone();
    let failure = explain(Some(&plan), &caught("States.TaskFailed", job_cause(&name, 65)), &BTreeMap::new());
    assert_eq!(failure.error, "VerificationFailed");
    assert!(failure.cause.starts_with("verify vol-"), "{}", failure.cause);
}

#[test]
fn a_job_that_never_ran_or_lost_its_host_is_told_apart() {
    let host =
        json!({"JobName": "x", "StatusReason": "Host EC2 (instance i-1) terminated.", "Attempts": [], "Container": {}});
    let failure = explain(None, &caught("States.TaskFailed", host.to_string()), &BTreeMap::new());
    assert_eq!(failure.error, "Interrupted");
    let timeout = json!({"JobName": "x", "StatusReason": "Job attempt duration exceeded timeout",
        "Container": {"ExitCode": 137}});
    let failure = explain(None, &caught("States.TaskFailed", timeout.to_string()), &BTreeMap::new());
    assert_eq!(failure.error, "ExportTimedOut");
    assert!(failure.cause.contains("EXPORT_TIMEOUT_HOURS"), "{}", failure.cause);
    let said_of_the_job = json!({"JobName": "x", "StatusReason": "Job attempt duration exceeded timeout",
        "Attempts": [{"StatusReason": "Essential container in task exited", "Container": {"ExitCode": 137}}]});
    let failure = explain(None, &caught("States.TaskFailed", said_of_the_job.to_string()), &BTreeMap::new());
    assert_eq!(failure.error, "ExportTimedOut");
    let never = json!({"jobName": "x", "statusReason": "CannotPullContainerError", "attempts": []});
    let failure = explain(None, &caught("States.TaskFailed", never.to_string()), &BTreeMap::new());
    assert_eq!(failure.error, "Unavailable");
    assert!(failure.cause.contains("CannotPullContainerError"));
}

#[test]
fn a_timeout_is_told_even_by_a_worker_that_was_asked_to_stop() {
    let plan = sample::plan();
    let volume = &plan.units[0];
    let job = json!({
        "JobName": volume.export_job_name, "StatusReason": "Job attempt duration exceeded timeout", "Attempts": [],
        "Container": {"ExitCode": 143}
    });
    let words = BTreeMap::from([(volume.key.clone(), Failure::new(Kind::Interrupted, "asked to stop at 40 %"))]);
    let failure = explain(Some(&plan), &caught("States.TaskFailed", job.to_string()), &words);
    assert_eq!(failure.error, "ExportTimedOut");
    assert!(failure.cause.contains("asked to stop at 40 %"), "{}", failure.cause);
}

#[test]
fn anything_else_is_passed_on_as_it_is() {
    let failure = explain(None, &caught("States.Timeout", ""), &BTreeMap::new());
    assert_eq!(failure.error, "States.Timeout");
    assert!(failure.cause.contains("timeout"));
    let failure = explain(None, &caught("Lambda.Unknown", "x".repeat(9_000)), &BTreeMap::new());
    assert!(failure.cause.chars().count() < 4_100);
}
