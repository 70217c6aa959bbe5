//! What dead executions left goes; what living ones use stays.

use domain::failure::{Error, Kind};
use jiff::{SignedDuration, Timestamp};
use lambdas::metric::Emitter;
use lambdas::reaper::{Reaper, ReaperReport};
use serde_json::{Value, json};

use crate::cleanup::cleaner;
use crate::cloud::Cloud;
use crate::sample::{claim_of, execution, now, plan, reaper_settings};

async fn reap_at(cloud: &Cloud, event: Value, at: Timestamp) -> Result<ReaperReport, Error> {
    let settings = reaper_settings(&["EBS", "EC2"]);
    let sfn = aws_sdk_sfn::Client::new(&cloud.config());
    let metrics = Emitter::new({
        let cloud = cloud.clone();
        move |line| cloud.edit(|state| state.metrics.push(serde_json::from_str(&line).unwrap()))
    });
    Reaper { cleaner: cleaner(cloud), sfn, settings, metrics }.run(&event, at).await
}

async fn reap(cloud: &Cloud, event: Value) -> Result<ReaperReport, Error> {
    reap_at(cloud, event, now()).await
}

/// Calls until nothing is left, as Lambda's retries do.
async fn reap_all(cloud: &Cloud, event: Value) -> ReaperReport {
    for _ in 0..10 {
        match reap(cloud, event.clone()).await {
            Ok(report) => return report,
            Err(error) => assert_eq!(error.kind(), Kind::StillCleaning, "{error}"),
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
    cloud.put(&plan.units[0].prefix.key("disk.tar.gz"), "half");
    cloud.edit(|state| state.uploads.insert("u".into(), plan.units[0].prefix.key("disk.img.gz")));
    cloud.volume("vol-1", execution("dead").as_str(), "in-use", Some("attached"));
    status(&cloud, "dead", "ABORTED");

    let error = reap(&cloud, json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StillCleaning);
    assert!(error.chain().contains("vol-1"), "{error}");
    assert!(cloud.object(&plan.claim_key).is_some());
    reap_all(&cloud, json!({})).await;
    cloud.edit(|state| assert!(state.volumes.is_empty() && state.uploads.is_empty() && state.objects.is_empty()));
    assert_eq!(reap(&cloud, json!({})).await.unwrap(), ReaperReport::default());
}

#[tokio::test]
async fn the_claim_stays_until_no_call_of_the_execution_can_be_under_way() {
    let cloud = Cloud::new();
    let plan = plan();
    cloud.put(&plan.claim_key, claim_of("dead").to_json());
    status(&cloud, "dead", "ABORTED");
    cloud.edit(|state| state.stopped_at = Some(now().as_second()));
    let after = |seconds| now() + SignedDuration::from_secs(seconds);
    let error = reap_at(&cloud, json!({}), after(119)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StillCleaning, "{error}");
    // It came after the first look, and nobody but the holder of the claim would look there again.
    cloud.put(&plan.units[0].prefix.key("late.parquet"), "half");
    reap_at(&cloud, json!({}), after(121)).await.unwrap();
    assert_eq!(cloud.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_running_execution_is_left_alone() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("alive").to_json());
    cloud.volume("vol-1", execution("alive").as_str(), "in-use", Some("attached"));
    for running in ["RUNNING", "PENDING_REDRIVE"] {
        status(&cloud, "alive", running);
        assert_eq!(reap(&cloud, json!({})).await.unwrap(), ReaperReport::default());
    }
    assert_eq!(cloud.edit(|state| state.volumes["vol-1"].state), "in-use");
}

#[tokio::test]
async fn a_schedules_run_tells_how_many_work_and_how_long_the_oldest_has() {
    let cloud = Cloud::new();
    reap(&cloud, json!({})).await.unwrap();
    cloud.put(&plan().claim_key, claim_of("alive").to_json());
    cloud.put("claims/exp-00000000000000000000.json", claim_of("dead").to_json());
    status(&cloud, "alive", "RUNNING");
    status(&cloud, "dead", "FAILED");
    let later = plan().started_at + SignedDuration::from_secs(90);
    reap_at(&cloud, json!({}), later).await.unwrap();
    // What one execution's event finds is not the whole.
    reap_at(&cloud, json!({"detail": {"executionArn": execution("dead")}}), later).await.unwrap();
    let told = cloud.edit(|state| {
        let of =
            |line: &Value| (line["Executions"].as_f64().unwrap(), line["OldestExecutionSeconds"].as_f64().unwrap());
        state.metrics.iter().map(of).collect::<Vec<_>>()
    });
    assert_eq!(told, [(0.0, 0.0), (1.0, 90.0)]);
}

#[tokio::test]
async fn an_execution_that_is_not_known_yet_is_left_alone_for_a_while() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("new").to_json());
    let minutes = |minutes| now() + SignedDuration::from_mins(minutes);
    assert_eq!(reap_at(&cloud, json!({}), minutes(9)).await.unwrap(), ReaperReport::default());
    assert_eq!(reap_at(&cloud, json!({}), minutes(11)).await.unwrap().executions.len(), 1);
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
    cloud.put(&plan().units[0].prefix.key("disk.tar.gz"), "half");
    status(&cloud, "dead", "ABORTED");
    let error = reap(&cloud, json!({})).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.chain().contains("exp-00000000000000000000"), "{error}");
    assert_eq!(cloud.keys(), ["claims/exp-00000000000000000000.json"]);
}

#[tokio::test]
async fn an_execution_that_cannot_be_asked_about_is_left_alone() {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim_of("unknown").to_json());
    cloud.volume("vol-1", execution("unknown").as_str(), "available", None);
    cloud.fail("states:", 99, 400, "AccessDeniedException");
    assert_eq!(reap(&cloud, json!({})).await.unwrap_err().kind(), Kind::AccessDenied);
    assert_eq!(cloud.calls("ec2:DeleteVolume"), 0);
    assert!(cloud.object(&plan().claim_key).is_some());
}
