//! What dead executions left goes; what living ones use stays.

use backup_export_lambdas::error::Error;
use backup_export_lambdas::reaper::{Reaper, Report, Settings};
use domain::failure::Kind;
use serde_json::{Value, json};

use crate::cleanup::cleaner;
use crate::cloud::Cloud;
use crate::sample::{claim_of, execution, plan};

async fn reap(cloud: &Cloud, event: Value) -> Result<Report, Error> {
    let settings = Settings {
        bucket: plan().bucket,
        bucket_owner: plan().bucket_owner,
        state_machine: "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export".into(),
    };
    let sfn = aws_sdk_sfn::Client::new(&cloud.config());
    Reaper { cleaner: cleaner(cloud), sfn, settings }.run(&event).await
}

/// Calls until nothing is left, as Lambda's retries do.
async fn reap_all(cloud: &Cloud, event: Value) -> Report {
    for _ in 0..10 {
        match reap(cloud, event.clone()).await {
            Ok(report) => return report,
            Err(error) => assert_eq!(error.kind, Kind::StillCleaning, "{error}"),
        }
    }
    panic!("still cleaning after ten calls");
}

fn status(cloud: &Cloud, run: &str, status: &str) {
    cloud.edit(|state| state.executions.insert(execution(run).to_string(), status.to_owned()));
}

#[tokio::test]
async fn a_dead_execution_is_cleaned_up_after_and_its_claim_released() {
    let cloud = Cloud::new();
    let plan = plan();
    cloud.put(&plan.claim_key, claim_of("dead").to_json());
    cloud.put(&plan.volumes[0].prefix.key("disk.tar.gz"), "half");
    cloud.edit(|state| state.uploads.insert("u".into(), plan.volumes[0].prefix.key("disk.img.gz")));
    cloud.volume("vol-1", execution("dead").as_str(), "in-use", Some("attached"));
    status(&cloud, "dead", "ABORTED");

    let error = reap(&cloud, json!({})).await.unwrap_err();
    assert_eq!(error.kind, Kind::StillCleaning);
    assert!(error.message.contains("vol-1"), "{error}");
    assert!(cloud.object(&plan.claim_key).is_some());
    reap_all(&cloud, json!({})).await;
    cloud.edit(|state| assert!(state.volumes.is_empty() && state.uploads.is_empty() && state.objects.is_empty()));
    assert_eq!(reap(&cloud, json!({})).await.unwrap(), Report::default());
}

#[tokio::test]
async fn a_running_execution_is_left_alone() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("alive").to_json());
    cloud.volume("vol-1", execution("alive").as_str(), "in-use", Some("attached"));
    for running in ["RUNNING", "PENDING_REDRIVE"] {
        status(&cloud, "alive", running);
        assert_eq!(reap(&cloud, json!({})).await.unwrap(), Report::default());
    }
    assert_eq!(cloud.edit(|state| state.volumes["vol-1"].state), "in-use");
}

#[tokio::test]
async fn volumes_without_a_claim_are_found_by_their_tag() {
    let cloud = Cloud::new();
    cloud.volume("vol-1", execution("dead").as_str(), "available", None);
    cloud.volume("vol-2", execution("forgotten").as_str(), "available", None);
    cloud.volume("vol-3", execution("alive").as_str(), "available", None);
    cloud.volume("vol-4", "arn:aws:states:us-east-1:123456789012:execution:another-stack:x", "available", None);
    cloud.volume("vol-5", "not an execution", "available", None);
    status(&cloud, "dead", "TIMED_OUT");
    status(&cloud, "alive", "RUNNING");
    reap_all(&cloud, json!({})).await;
    let left = cloud.edit(|state| state.volumes.keys().cloned().collect::<Vec<_>>());
    assert_eq!(left, ["vol-3", "vol-4", "vol-5"]);
}

#[tokio::test]
async fn an_event_is_about_its_execution_alone() {
    let cloud = Cloud::new();
    cloud.volume("vol-1", execution("one").as_str(), "available", None);
    cloud.volume("vol-2", execution("two").as_str(), "available", None);
    status(&cloud, "one", "FAILED");
    status(&cloud, "two", "FAILED");
    let event = json!({"detail": {"executionArn": execution("one").as_str(), "status": "FAILED"}});
    reap_all(&cloud, event).await;
    let left = cloud.edit(|state| state.volumes.keys().cloned().collect::<Vec<_>>());
    assert_eq!(left, ["vol-2"]);
}

#[tokio::test]
async fn one_unreadable_claim_does_not_hide_the_others() {
    let cloud = Cloud::new();
    cloud.put("claims/exp-00000000000000000000.json", "garbage");
    cloud.put(&plan().claim_key, claim_of("dead").to_json());
    cloud.put(&plan().volumes[0].prefix.key("disk.tar.gz"), "half");
    status(&cloud, "dead", "ABORTED");
    let error = reap(&cloud, json!({})).await.unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
    assert!(error.message.contains("exp-00000000000000000000"), "{error}");
    assert_eq!(cloud.keys(), ["claims/exp-00000000000000000000.json"]);
}

#[tokio::test]
async fn an_execution_that_cannot_be_asked_about_is_left_alone() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("unknown").to_json());
    cloud.volume("vol-1", execution("unknown").as_str(), "available", None);
    cloud.fail("states:", 99, 400, "AccessDeniedException");
    assert_eq!(reap(&cloud, json!({})).await.unwrap_err().kind, Kind::AccessDenied);
    assert_eq!(cloud.calls("ec2:DeleteVolume"), 0);
    assert!(cloud.object(&plan().claim_key).is_some());
}
