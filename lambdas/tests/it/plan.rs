//! The plan Lambda: what it asks, refuses, claims and skips.

use std::collections::BTreeMap;

use aws::bucket::Bucket;
use domain::claim::Claim;
use domain::failure::{Error, Kind};
use domain::plan::{Decision, Plan};
use domain::settings::Settings;
use lambdas::plan::{PlanRequest, Planner};
use serde_json::{Value, json};

use crate::cloud::{Cloud, snapshot_xml};
use crate::sample::{ARN, claim_of, execution, now, plan};

fn settings() -> Settings {
    let variables = BTreeMap::from([
        ("EXPORT_BUCKET", "exports"),
        ("EXPORT_BUCKET_OWNER", "123456789012"),
        ("JOB_QUEUES", r#"{"us-east-1a": "queue-a", "us-east-1b": "queue-b"}"#),
        ("EXPORT_JOB_DEFINITION", "export:1"),
        ("VERIFY_JOB_DEFINITION", "verify:1"),
    ]);
    Settings::read(&|name| variables.get(name).map(|value| (*value).to_owned())).unwrap()
}

async fn decide_input(cloud: &Cloud, run: &str, input: Value) -> Result<Decision, Error> {
    let settings = settings();
    let config = cloud.config();
    let planner = Planner {
        backup: aws_sdk_backup::Client::new(&config),
        dynamodb: aws_sdk_dynamodb::Client::new(&cloud.config()),
        ec2: aws_sdk_ec2::Client::new(&cloud.config()),
        rds: aws_sdk_rds::Client::new(&cloud.config()),
        bucket: Bucket::new(&cloud.s3(), &settings.bucket, Some(&settings.bucket_owner)),
        sfn: aws_sdk_sfn::Client::new(&config),
        settings,
    };
    let request = PlanRequest { input, execution: execution(run), started_at: now() };
    planner.decide(request, now()).await
}

async fn decide(cloud: &Cloud, run: &str) -> Result<Decision, Error> {
    decide_input(cloud, run, json!({"recoveryPointArn": ARN, "backupVaultName": "Default"})).await
}

fn exported(decision: Decision) -> Plan {
    match decision {
        Decision::Export(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

fn skipped(decision: Decision) -> String {
    match decision {
        Decision::Skip { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn held(cloud: &Cloud) -> Option<Claim> {
    let claim = cloud.object(&plan().claim_key)?;
    Some(Claim::parse(claim.as_bytes()).unwrap())
}

#[tokio::test]
async fn an_export_is_claimed_by_its_plan() {
    let cloud = Cloud::new();
    let plan = exported(decide(&cloud, "run-1").await.unwrap());
    assert_eq!(plan.recovery_point.tags["owner"], "payments");
    assert_eq!(plan.units[0].source.size_bytes(), 8 << 30);
    assert_eq!(held(&cloud).unwrap().plan, plan);
}

#[tokio::test]
async fn a_second_try_of_the_same_execution_goes_on_by_the_first_plan() {
    let cloud = Cloud::new();
    let first = exported(decide(&cloud, "run-1").await.unwrap());
    cloud.edit(|state| state.snapshots = snapshot_xml("completed", "standard").replace("payments", "other"));
    let second = exported(decide(&cloud, "run-1").await.unwrap());
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_still_ours() {
    let cloud = Cloud::new();
    cloud.lose_answer("s3:PUT claims/");
    let plan = exported(decide(&cloud, "run-1").await.unwrap());
    assert_eq!(cloud.calls("s3:PUT claims/"), 2);
    assert_eq!(plan.execution, execution("run-1"));
}

#[tokio::test]
async fn a_second_start_while_the_first_runs_is_skipped() {
    let cloud = Cloud::new();
    decide(&cloud, "run-1").await.unwrap();
    cloud.edit(|state| state.executions.insert(execution("run-1").to_string(), "RUNNING".into()));
    let reason = skipped(decide(&cloud, "run-2").await.unwrap());
    assert!(reason.contains("run-1"), "{reason}");
    assert_eq!(held(&cloud).unwrap().execution, execution("run-1"));
}

#[tokio::test]
async fn after_a_dead_execution_is_cleaned_up_first() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("dead").to_json());
    for status in ["ABORTED", "TIMED_OUT", "FAILED"] {
        cloud.edit(|state| state.executions.insert(execution("dead").to_string(), status.into()));
        match decide(&cloud, "run-2").await.unwrap() {
            Decision::Clean { previous } => assert_eq!(previous.execution, execution("dead")),
            other => panic!("{other:?}"),
        }
    }
    // Its history is gone, long after it made the claim.
    let mut old = claim_of("dead");
    old.claimed_at -= jiff::SignedDuration::from_hours(24 * 91);
    cloud.put(&plan().claim_key, old.to_json());
    cloud.edit(|state| state.executions.clear());
    assert!(matches!(decide(&cloud, "run-2").await.unwrap(), Decision::Clean { .. }));
    assert_eq!(held(&cloud).unwrap().execution, execution("dead"));
}

#[tokio::test]
async fn an_execution_that_is_not_known_yet_is_not_taken_for_dead() {
    let cloud = Cloud::new();
    // The claim was made a moment ago, and DescribeExecution is eventually consistent.
    decide(&cloud, "run-1").await.unwrap();
    cloud.edit(|state| state.executions.clear());
    let reason = skipped(decide(&cloud, "run-2").await.unwrap());
    assert!(reason.contains("run-1"), "{reason}");
}

#[tokio::test]
async fn a_finished_export_is_reported_and_its_claim_given_back() {
    let cloud = Cloud::new();
    cloud.put(&plan().catalog_key, "{}\n");
    let reason = skipped(decide(&cloud, "run-1").await.unwrap());
    assert!(reason.contains("finished"), "{reason}");
    assert_eq!(held(&cloud), None);
    // A new generation is another export.
    let input = json!({"recoveryPointArn": ARN, "backupVaultName": "Default", "generation": 1});
    assert_eq!(exported(decide_input(&cloud, "run-2", input).await.unwrap()).generation, 1);
}

#[tokio::test]
async fn a_late_event_of_a_deleted_recovery_point_is_skipped_when_it_was_exported() {
    let cloud = Cloud::new();
    cloud.edit(|state| state.recovery_point = None);
    let error = decide(&cloud, "run-1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::RecoveryPointNotFound);
    assert!(error.chain().contains(ARN) && error.chain().contains("Default"), "{error}");
    cloud.put(&plan().catalog_key, "{}\n");
    assert!(skipped(decide(&cloud, "run-1").await.unwrap()).contains("finished"));
}

#[tokio::test]
async fn what_was_restored_for_an_export_is_not_exported() {
    let cloud = Cloud::new();
    // A backup plan that takes all volumes may take it, too.
    let restored = format!("arn:aws:rds:us-east-1:123456789012:db:{}", plan().names().instance());
    cloud.edit(|state| state.resource_arn = restored);
    let reason = skipped(decide(&cloud, "run-1").await.unwrap());
    assert!(reason.contains("was restored for an export") && reason.contains("backup-export:export-id"), "{reason}");
    assert_eq!(cloud.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_before_anything_is_written() {
    type Change = Box<dyn Fn(&Cloud)>;
    let cases: Vec<(Kind, &str, Change)> = vec![
        (Kind::VaultMismatch, "other", Box::new(|cloud| cloud.edit(|s| s.vault = "other".into()))),
        (
            Kind::RecoveryPointNotUsable,
            "PARTIAL",
            Box::new(|cloud| cloud.edit(|s| s.recovery_point = Some("PARTIAL".into()))),
        ),
        (
            Kind::RecoveryPointArchived,
            "restore-snapshot-tier",
            Box::new(|cloud| cloud.edit(|s| s.snapshots = snapshot_xml("completed", "archive"))),
        ),
        (Kind::RecoveryPointNotUsable, "does not exist", Box::new(|cloud| cloud.edit(|s| s.snapshots = String::new()))),
        (
            Kind::BucketNotOwned,
            "EXPORT_BUCKET_OWNER",
            Box::new(|cloud| cloud.edit(|s| s.bucket_owner = "999999999999".into())),
        ),
        (Kind::BucketNotFound, "exports", Box::new(|cloud| cloud.fail("s3:HEAD ", 9, 404, ""))),
        (Kind::AccessDenied, "vault", Box::new(|cloud| cloud.fail("backup:GET", 9, 400, "AccessDeniedException"))),
        (Kind::Throttled, "snapshots", Box::new(|cloud| cloud.fail("ec2:Desc", 9, 503, "RequestLimitExceeded"))),
        (Kind::Unavailable, "claims/", Box::new(|cloud| cloud.fail("s3:PUT", 9, 503, "ServiceUnavailable"))),
    ];
    for (kind, word, change) in cases {
        let cloud = Cloud::new();
        change(&cloud);
        let error = decide(&cloud, "run-1").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.chain().contains(word), "{word}: {error}");
        assert_eq!(cloud.keys(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn inputs_that_name_no_recovery_point_of_ours_ask_aws_nothing() {
    let cloud = Cloud::new();
    let malformed = decide_input(&cloud, "run-1", json!({"hello": 1})).await.unwrap_err();
    assert_eq!(malformed.kind(), Kind::MalformedInput);
    let timestream = json!({
        "recoveryPointArn": "arn:aws:timestream:us-east-1:123456789012:database/x", "backupVaultName": "Default"
    });
    let unsupported = decide_input(&cloud, "run-1", timestream).await.unwrap_err();
    assert_eq!(unsupported.kind(), Kind::UnsupportedResourceType);
    let running = json!({"detail-type": "Backup Job State Change", "detail": {"state": "RUNNING"}});
    assert!(skipped(decide_input(&cloud, "run-1", running).await.unwrap()).contains("RUNNING"));
    assert_eq!(cloud.edit(|state| state.calls.len()), 0);
}

#[tokio::test]
async fn a_transient_error_is_tried_again_within_the_call() {
    let cloud = Cloud::new();
    cloud.fail("s3:PUT claims/", 1, 503, "SlowDown");
    cloud.fail("ec2:DescribeSnapshots", 1, 503, "RequestLimitExceeded");
    exported(decide(&cloud, "run-1").await.unwrap());
}
