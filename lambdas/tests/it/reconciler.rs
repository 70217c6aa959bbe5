//! What the vault holds and the bucket lacks is started: once, a few at a time.

use std::sync::{Arc, Mutex};

use domain::failure::{Error, Kind};
use domain::key::claim_key;
use domain::name;
use lambdas::metric::Emitter;
use lambdas::reconciler::{Reconciler, ReconcilerReport, ReconcilerSettings};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::sample::{ARN, STATE_MACHINE, claim, now, plan};

fn settings() -> ReconcilerSettings {
    ReconcilerSettings {
        bucket: plan().bucket,
        bucket_owner: plan().bucket_owner,
        state_machine: STATE_MACHINE.into(),
        vault: "Default".parse().unwrap(),
        resource_types: vec!["EBS".into()],
        max_starts: 20,
        dry_run: false,
        look_back_days: None,
    }
}

/// The report and the metrics of one run.
async fn reconcile(cloud: &Cloud, settings: ReconcilerSettings) -> (Result<ReconcilerReport, Error>, Value) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let config = cloud.config();
    let reconciler = Reconciler {
        backup: aws_sdk_backup::Client::new(&config),
        s3: cloud.s3(),
        sfn: aws_sdk_sfn::Client::new(&config),
        settings,
        metrics: Emitter::new(move |line| kept.lock().unwrap().push(line)),
    };
    let result = reconciler.run(now()).await;
    let metrics = lines.lock().unwrap().pop().map_or(Value::Null, |line| serde_json::from_str(&line).unwrap());
    (result, metrics)
}

async fn run(cloud: &Cloud, settings: ReconcilerSettings) -> ReconcilerReport {
    reconcile(cloud, settings).await.0.unwrap()
}

fn arn(number: i64) -> String {
    format!("arn:aws:ec2:us-east-1::snapshot/snap-{number:017x}")
}

/// Lists a completed recovery point for each of these ages in days; the n-th has the number n.
fn listed(cloud: &Cloud, ages: &[i64]) {
    let points = (0..).zip(ages).map(|(number, days)| {
        json!({
            "RecoveryPointArn": arn(number), "Status": "COMPLETED", "ResourceType": "EBS",
            "CreationDate": now().as_second() - days * 86_400
        })
    });
    cloud.edit(|state| state.listed = points.collect());
}

fn numbers(report: &ReconcilerReport) -> Vec<&str> {
    report.started.iter().map(|started| started.recovery_point_arn.as_str()).collect()
}

#[tokio::test]
async fn a_missed_recovery_point_is_started_once() {
    let cloud = Cloud::new();
    listed(&cloud, &[3, 0, 10]);
    let (report, metrics) = reconcile(&cloud, settings()).await;
    let report = report.unwrap();
    assert_eq!(numbers(&report), [arn(1), arn(0), arn(2)]);
    assert_eq!((report.recovery_points, report.left, report.tried_before), (3, 0, 0));
    assert_eq!((&metrics["UnexportedRecoveryPoints"], &metrics["StartedExports"]), (&json!(3.0), &json!(3.0)));
    assert_eq!(metrics["Installation"], "backup-export");
    let id = name::export_id(&arn(1).parse().unwrap(), 0);
    cloud.edit(|state| {
        let input = json!({"recoveryPointArn": arn(1), "backupVaultName": "Default"});
        assert_eq!(state.started[0], (format!("reconcile-{id}-0"), input));
    });

    let (report, metrics) = reconcile(&cloud, settings()).await;
    let report = report.unwrap();
    assert_eq!((report.started.len(), report.tried_before, report.left), (0, 3, 0));
    assert_eq!((&metrics["UnexportedRecoveryPoints"], &metrics["StartedExports"]), (&json!(3.0), &json!(0.0)));
}

#[tokio::test]
async fn what_is_finished_or_claimed_is_left_alone() {
    let cloud = Cloud::new();
    listed(&cloud, &[0]);
    cloud.edit(|state| state.listed[0]["RecoveryPointArn"] = ARN.into());
    cloud.put(&plan().claim_key, claim().to_json());
    let report = run(&cloud, settings()).await;
    assert_eq!((report.started.len(), report.running, report.exported), (0, 1, 0));
    // The row is there before the claim goes.
    cloud.put(&plan().catalog_key, "{}");
    let report = run(&cloud, settings()).await;
    assert_eq!((report.started.len(), report.running, report.exported), (0, 0, 1));
    cloud.edit(|state| state.objects.remove(&plan().claim_key));
    let report = run(&cloud, settings()).await;
    assert_eq!((report.started.len(), report.running, report.exported), (0, 0, 1));
}

#[tokio::test]
async fn a_run_starts_no_more_than_it_may_and_what_was_tried_costs_nothing_of_that() {
    let cloud = Cloud::new();
    listed(&cloud, &[0; 9]);
    let few = || ReconcilerSettings { max_starts: 4, ..settings() };
    let report = run(&cloud, few()).await;
    assert_eq!((report.started.len(), report.left), (4, 5));
    let report = run(&cloud, few()).await;
    assert_eq!((report.started.len(), report.tried_before, report.left), (4, 4, 1));
    let report = run(&cloud, few()).await;
    assert_eq!((report.started.len(), report.tried_before, report.left), (1, 8, 0));
    assert_eq!(cloud.edit(|state| state.started.len()), 9);
}

#[tokio::test]
async fn what_is_still_at_work_counts() {
    let cloud = Cloud::new();
    listed(&cloud, &[0; 9]);
    for number in 0..3 {
        cloud.put(&claim_key(&name::export_id(&arn(number).parse().unwrap(), 0)), "{}");
    }
    let of_most = |max_starts| ReconcilerSettings { max_starts, ..settings() };
    let report = run(&cloud, of_most(2)).await;
    assert_eq!((report.running, report.started.len(), report.left), (3, 0, 6));
    let report = run(&cloud, of_most(4)).await;
    assert_eq!((report.running, report.started.len(), report.left), (3, 1, 5));
    let report = run(&cloud, ReconcilerSettings { dry_run: true, ..of_most(5) }).await;
    assert_eq!((report.running, report.would_start.len()), (3, 2));
}

#[tokio::test]
async fn a_dry_run_starts_nothing_and_says_what_it_would() {
    let cloud = Cloud::new();
    listed(&cloud, &[0, 1, 2]);
    let report = run(&cloud, ReconcilerSettings { dry_run: true, max_starts: 2, ..settings() }).await;
    assert_eq!((report.started.len(), report.would_start.len(), report.left), (0, 2, 1));
    assert_eq!(report.would_start[0].recovery_point_arn, arn(0));
    assert_eq!(cloud.calls("states:"), 0);
}

#[tokio::test]
async fn what_is_older_than_the_look_back_is_not_looked_at() {
    let cloud = Cloud::new();
    listed(&cloud, &[29, 31]);
    let report = run(&cloud, ReconcilerSettings { look_back_days: Some(30), ..settings() }).await;
    assert_eq!(report.recovery_points, 1);
    assert_eq!(numbers(&report), [arn(0)]);
}

#[tokio::test]
async fn an_error_ends_the_run_and_says_how_far_it_came() {
    let cloud = Cloud::new();
    listed(&cloud, &[0; 9]);
    cloud.fail("states:StartExecution", 99, 400, "AccessDeniedException");
    let (result, metrics) = reconcile(&cloud, settings()).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), Kind::AccessDenied);
    assert!(error.chain().contains("snap-") && error.chain().contains("0 exports were started"), "{error}");
    assert!(cloud.calls("states:") <= 4);
    assert_eq!(metrics["StartedExports"], 0.0);

    cloud.fail("s3:GET ", 99, 503, "SlowDown");
    assert_eq!(reconcile(&cloud, settings()).await.0.unwrap_err().kind(), Kind::Throttled);
    // Nothing is started by half of the facts.
    assert_eq!(cloud.edit(|state| state.started.len()), 0);
}
