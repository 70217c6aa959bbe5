//! The state machine, its functions and its jobs, end to end.

use std::time::Duration;

use crate::support::{LONG, aws, cloud, input};
use local_cloud::{
    ExecutionStatus, FaultAction, FaultRule, RuleSpec, ScheduleSpec, Stack, Target, TargetInput, TargetSpec, When,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_runs_its_function_and_its_jobs() {
    let cloud = cloud().await;
    let input = input("good", &[("a", "echo $GREETING; exit 0"), ("b", "test -n \"$AWS_BATCH_JOB_ID\"")]);
    let arn = cloud.start_execution("flow", Some("first"), &input).await.unwrap();
    let result = cloud.wait_for_execution(&arn, LONG).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Succeeded, "{:?} {:?}", result.error, result.cause);
    let output = result.output.clone().unwrap();
    assert_eq!(output["hello"]["payload"]["got"]["execution"], arn.as_str());
    assert_eq!(output["hello"]["payload"]["got"]["first"], "a");
    assert!(output["hello"]["payload"]["got"]["startedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(output["jobs"][0][0]["status"], "SUCCEEDED");
    assert_eq!(output["jobs"][0][1]["exitCode"], 0);
    assert_eq!(result.state_names(), ["Hello", "Pause", "Try", "Each", "Job", "Job", "Failed?", "Done"]);
    assert!(result.duration < Duration::from_secs(5), "the wait of five seconds is scaled: {:?}", result.duration);
    let job = &cloud.jobs()[0];
    assert_eq!(job.tags["made"], "here");
    assert!(std::fs::read_to_string(&job.log).unwrap().contains("hello") || cloud.jobs()[1].name == "good-a");
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_fails_the_flow_and_ends_its_sibling() {
    let cloud = cloud().await;
    let arn = cloud.start_execution("flow", None, &input("bad", &[("a", "exit 2"), ("b", "sleep 600")])).await.unwrap();
    let result = cloud.wait_for_execution(&arn, LONG).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Failed);
    assert_eq!(result.error.as_deref(), Some("States.TaskFailed"), "{:?}", result.cause);
    let cause: serde_json::Value = serde_json::from_str(result.cause.as_deref().unwrap()).unwrap();
    assert_eq!((&cause["Status"], &cause["Container"]["ExitCode"]), (&json!("FAILED"), &json!(2)));
    let sibling = cloud.wait_for_job("bad-b", LONG, |job| job.status == "FAILED").await.unwrap();
    assert_eq!(sibling.status_reason.as_deref(), Some("Terminated by AWS Step Functions"));
    // The status event of the failed execution reached the function that listens.
    cloud.wait_for_deliveries(LONG).await.unwrap();
    let log = std::fs::read_to_string(cloud.function_log("listener")).unwrap();
    assert!(log.contains("Step Functions Execution Status Change") && log.contains(&arn), "{log}");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_flow_keeps_its_reason_and_ends_its_job() {
    let cloud = cloud().await;
    let arn = cloud.start_execution("flow", None, &input("stop", &[("a", "sleep 600")])).await.unwrap();
    cloud.wait_for_job("stop-a", LONG, |job| job.status == "RUNNING").await.unwrap();
    cloud.stop_execution(&arn, "Stopped", "by a person").await.unwrap();
    let result = cloud.wait_for_execution(&arn, LONG).await.unwrap();
    assert_eq!(
        (result.status, result.error.as_deref(), result.cause.as_deref()),
        (ExecutionStatus::Aborted, Some("Stopped"), Some("by a person"))
    );
    cloud.wait_for_job("stop-a", LONG, |job| job.status == "FAILED").await.unwrap();
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_timeout_ends_a_flow() {
    let cloud = cloud().await;
    let mut stack = crate::support::stack(&cloud);
    stack.state_machine.as_mut().unwrap().timeout_seconds = Some(2);
    cloud.deploy(&stack).await.unwrap();
    let arn = cloud.start_execution("flow", None, &input("late", &[("a", "sleep 600")])).await.unwrap();
    let result = cloud.wait_for_execution(&arn, LONG).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::TimedOut);
    cloud.wait_for_job("late-a", LONG, |job| job.status == "FAILED").await.unwrap();
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_retry_by_their_rules() {
    let cloud = cloud().await;
    let script = "test $AWS_BATCH_JOB_ATTEMPT -ge 2 || exit 75";
    let arn = cloud.start_execution("flow", None, &input("retry", &[("a", script)])).await.unwrap();
    assert_eq!(cloud.wait_for_execution(&arn, LONG).await.unwrap().status, ExecutionStatus::Succeeded);
    assert_eq!(cloud.jobs()[0].exit_codes, [Some(75), Some(0)]);

    let script = "test $AWS_BATCH_JOB_ATTEMPT -ge 2 || exec sleep 600";
    let arn = cloud.start_execution("flow", None, &input("spot", &[("a", script)])).await.unwrap();
    let job = cloud.wait_for_job("spot-a", LONG, |job| job.process_id.is_some()).await.unwrap();
    cloud.reclaim_spot(&job.id).unwrap();
    assert_eq!(cloud.wait_for_execution(&arn, LONG).await.unwrap().status, ExecutionStatus::Succeeded);
    let described = aws(&cloud, &format!("batch describe-jobs --jobs {}", job.id)).await;
    let reason = described["jobs"][0]["attempts"][0]["statusReason"].as_str().unwrap();
    assert!(reason.starts_with("Host EC2 (instance i-"), "{reason}");
    let states = aws(&cloud, "ec2 describe-instances --query Reservations[].Instances[].State.Name").await;
    assert_eq!(states.as_array().unwrap().iter().filter(|state| *state == "running").count(), 2);

    let arn = cloud.start_execution("flow", None, &input("kill", &[("a", "sleep 600")])).await.unwrap();
    let job = cloud.wait_for_job("kill-a", LONG, |job| job.process_id.is_some()).await.unwrap();
    cloud.signal_job(&job.id, 9).unwrap();
    assert_eq!(cloud.wait_for_execution(&arn, LONG).await.unwrap().status, ExecutionStatus::Failed);
    let job = cloud.wait_for_job("kill-a", LONG, |job| job.status == "FAILED").await.unwrap();
    assert_eq!(job.exit_codes, [Some(137)]);
    let listed = aws(&cloud, "batch list-jobs --job-queue queue-a --filters name=JOB_NAME,values=kill-*").await;
    assert_eq!(listed["jobSummaryList"].as_array().unwrap().len(), 1);
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_fail_as_lambda_says() {
    let cloud = cloud().await;
    assert_eq!(cloud.invoke("echo", &json!({"n": 1})).await.unwrap().unwrap()["calls"], 1);
    assert_eq!(cloud.invoke("echo", &json!({"n": 2})).await.unwrap().unwrap()["calls"], 2, "the process is kept warm");
    let error = cloud.invoke("echo", &json!({"do": "fail", "errorType": "Mine"})).await.unwrap().unwrap_err();
    assert_eq!(error["errorType"], "Mine");
    let error = cloud.invoke("echo", &json!({"do": "die"})).await.unwrap().unwrap_err();
    assert_eq!(error["errorType"], "Runtime.ExitError");
    assert_eq!(cloud.invoke("echo", &json!({})).await.unwrap().unwrap()["calls"], 1, "a new process");
    let error = cloud.invoke("slow", &json!({"do": "sleep"})).await.unwrap().unwrap_err();
    assert_eq!(error["errorType"], "Sandbox.Timedout");
    // Asynchronous: tried three times.
    cloud
        .faults()
        .add(FaultRule::new("lambda", "Invoke", FaultAction::error(500, "ServiceException")).when(When::Nth(1)));
    cloud.fire_schedule("hourly").unwrap();
    cloud.wait_for_deliveries(LONG).await.unwrap();
    let log = std::fs::read_to_string(cloud.function_log("listener")).unwrap();
    assert_eq!(log.matches("Scheduled Event").count(), 1, "{log}");
    assert_eq!(cloud.faults().hits(), [1]);
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_start_executions_and_the_cli_does_too() {
    let cloud = cloud().await;
    assert_eq!(cloud.put_event(json!({"source": "aws.backup", "detail": {"state": "FAILED"}})), 0);
    assert_eq!(cloud.put_event(json!({"source": "aws.backup", "detail": {"state": "COMPLETED"}})), 1);
    cloud.wait_for_deliveries(LONG).await.unwrap();
    let started = cloud.executions();
    assert_eq!(started.len(), 1);
    let result = cloud.wait_for_execution(&started[0], LONG).await.unwrap();
    assert_eq!(result.input["source"], "aws.backup");
    assert_eq!(result.status, ExecutionStatus::Failed, "the event has no list: {:?}", result.cause);

    let machine = cloud.names().state_machine("flow");
    let input = input("cli", &[("a", "exit 0")]).to_string().replace(' ', "\\u0020");
    let started =
        aws(&cloud, &format!("stepfunctions start-execution --state-machine-arn {machine} --input {input}")).await;
    let arn = started["executionArn"].as_str().unwrap();
    assert_eq!(cloud.wait_for_execution(arn, LONG).await.unwrap().status, ExecutionStatus::Succeeded);
    let described = aws(&cloud, &format!("stepfunctions describe-execution --execution-arn {arn}")).await;
    assert_eq!(described["status"], "SUCCEEDED");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_a_volume_of_its_own_where_its_variable_says() {
    let cloud = cloud().await;
    let mut stack = crate::support::stack(&cloud);
    stack.job_definitions[0].environment.insert("TMPDIR".to_owned(), "/scratch/tmp".to_owned());
    cloud.deploy(&stack).await.unwrap();
    let script = "test ! -e /scratch && mkdir $TMPDIR && echo $TMPDIR";
    let arn = cloud.start_execution("flow", None, &input("own", &[("a", script)])).await.unwrap();
    let result = cloud.wait_for_execution(&arn, LONG).await.unwrap();
    assert_eq!(result.status, ExecutionStatus::Succeeded, "{:?}", result.cause);
    let log = std::fs::read_to_string(&cloud.jobs()[0].log).unwrap();
    let volume = std::path::Path::new(log.trim());
    assert!(volume.starts_with(cloud.directory()) && !volume.exists(), "{log}");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_what_the_rule_says() {
    let cloud = cloud().await;
    let mut tell = TargetSpec::from(Target::Topic("people".to_owned()));
    tell.input = TargetInput::Transformer {
        paths: [("error".to_owned(), "$.detail.error".to_owned()), ("name".to_owned(), "$.detail.name".to_owned())]
            .into(),
        template: "\"<name> failed: <error>\"".to_owned(),
    };
    let pattern = json!({"source": ["aws.states"], "detail": {"status": ["FAILED"]}});
    let rules = vec![RuleSpec { name: "tell".to_owned(), pattern, targets: vec![tell] }];
    cloud.deploy(&Stack { rules, ..Stack::default() }).await.unwrap();
    let arn = cloud.start_execution("flow", Some("third"), &input("told", &[("a", "exit 2")])).await.unwrap();
    assert_eq!(cloud.wait_for_execution(&arn, LONG).await.unwrap().status, ExecutionStatus::Failed);
    cloud.wait_for_deliveries(LONG).await.unwrap();
    let messages = cloud.messages();
    let told: Vec<_> = messages.iter().map(|message| (message.topic.as_str(), message.body.as_str())).collect();
    assert_eq!(told, [("people", "\"third failed: States.TaskFailed\"")]);
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_delivered_is_kept() {
    let cloud = cloud().await;
    let mut gone = TargetSpec::from(Target::Topic("nobody".to_owned()));
    gone.dead_letters = Some("dead".to_owned());
    let pattern = json!({"source": ["here"]});
    let rules = vec![RuleSpec { name: "lost".to_owned(), pattern, targets: vec![gone] }];
    cloud.deploy(&Stack { rules, ..Stack::default() }).await.unwrap();
    cloud.put_event(json!({"source": "here"}));
    // Invoked by its schedule, with an event that it dies of each time.
    let mut dies = TargetSpec::from(Target::Function("listener".to_owned()));
    dies.input = TargetInput::Constant(json!({"do": "die"}).to_string());
    let schedules = vec![ScheduleSpec { name: "deadly".to_owned(), targets: vec![dies] }];
    cloud.deploy(&Stack { schedules, ..Stack::default() }).await.unwrap();
    cloud.fire_schedule("deadly").unwrap();
    cloud.wait_for_deliveries(LONG).await.unwrap();
    let mut letters = cloud.dead_letters();
    letters.sort_by(|a, b| a.source.cmp(&b.source));
    let [failed, lost] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(
        (failed.queue.as_str(), failed.source.as_str(), failed.body.as_str()),
        ("dead", "listener", r#"{"do":"die"}"#)
    );
    assert!(failed.reason.contains("Runtime.ExitError"), "{failed:?}");
    assert_eq!((lost.queue.as_str(), lost.source.as_str()), ("dead", "lost"));
    assert!(lost.body.contains("here") && lost.reason.contains("404"), "{lost:?}");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_could_never_match_is_not_deployed() {
    let cloud = cloud().await;
    let pattern = json!({"source": [{"startswith": "aws"}]});
    let rules = vec![RuleSpec { name: "never".to_owned(), pattern, targets: Vec::new() }];
    let error = cloud.deploy(&Stack { rules, ..Stack::default() }).await.unwrap_err().to_string();
    assert!(error.contains("never") && error.contains("startswith"), "{error}");
    cloud.shutdown().await.unwrap();
}
