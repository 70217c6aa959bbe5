//! Nothing that an execution made stays, and nothing else goes.

use domain::failure::{CaughtError, Error, Kind};
use domain::key::ERROR;
use domain::plan::Plan;
use lambdas::cleanup::{Cleaner, Cleanup, CleanupRequest, CleanupState};
use serde_json::json;

use crate::cloud::Cloud;
use crate::sample::{claim, claim_of, execution, plan};

pub(crate) fn cleaner(cloud: &Cloud) -> Cleaner {
    let config = cloud.config();
    Cleaner { s3: cloud.s3(), ..Cleaner::new(&config) }
}

fn caught() -> CaughtError {
    CaughtError { error: "RestoreFailed".into(), cause: r#"{"errorMessage": "no volume"}"#.into() }
}

async fn turn(cloud: &Cloud, failure: Option<CaughtError>, cleanup: Option<Cleanup>) -> Result<Cleanup, Error> {
    cleaner(cloud).run(CleanupRequest { plan: plan(), failure, cleanup, release: false }).await
}

/// Turns until it is over, as the state machine makes them.
async fn clean(cloud: &Cloud, failure: Option<CaughtError>) -> Cleanup {
    let mut cleanup = turn(cloud, failure.clone(), None).await.unwrap();
    while cleanup.state == CleanupState::Pending {
        // What the state machine carries is what the Lambda reads.
        let carried = serde_json::from_value(serde_json::to_value(&cleanup).unwrap()).unwrap();
        cleanup = turn(cloud, failure.clone(), Some(carried)).await.unwrap();
    }
    cleanup
}

fn claimed() -> (Cloud, Plan) {
    let (cloud, plan) = (Cloud::new(), plan());
    cloud.put(&plan.claim_key, claim().to_json());
    (cloud, plan)
}

/// What a killed worker leaves.
fn half_written(cloud: &Cloud, plan: &Plan) {
    let volume = &plan.units[0];
    cloud.put(&volume.prefix.key("partition-1.tar.gz"), "half");
    cloud.put(&volume.prefix.key("partition-table.json"), "{}");
    cloud.put(&volume.index_prefix.key("partition-1.parquet"), "index");
    cloud.edit(|state| {
        state.uploads.insert("u1".into(), volume.prefix.key("partition-3.img.gz"));
        state.uploads.insert("u2".into(), volume.index_prefix.key("partition-3.parquet"));
        state.uploads.insert("other".into(), "data/ebs/999999999999/x".into());
    });
}

#[tokio::test]
async fn jobs_end_then_volumes_go_then_objects() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    let job = plan.units[0].export_job_name.clone();
    cloud.edit(|state| {
        state.jobs.insert("j1".into(), (job, "RUNNING".into()));
        state.jobs.insert("j2".into(), ("somebody-else".into(), "RUNNING".into()));
    });
    cloud.volume("vol-1", plan.execution.as_str(), "in-use", Some("attached"));
    cloud.volume("vol-2", execution("run-2").as_str(), "in-use", Some("attached"));

    let first = turn(&cloud, Some(caught()), None).await.unwrap();
    assert_eq!(first.state, CleanupState::Pending);
    // A worker that still runs is not robbed of its disk, nor of its uploads.
    assert_eq!(cloud.calls("ec2:DetachVolume"), 0);
    assert_eq!(cloud.calls("s3:DELETE"), 0);

    let last = clean(&cloud, Some(caught())).await;
    assert_eq!(last.state, CleanupState::Done);
    assert_eq!(cloud.keys(), [plan.claim_key]);
    cloud.edit(|state| {
        assert_eq!(state.uploads.keys().collect::<Vec<_>>(), ["other"]);
        assert_eq!(state.volumes.keys().collect::<Vec<_>>(), ["vol-2"]);
        assert_eq!(state.jobs["j2"].1, "RUNNING");
    });
    for removed in ["volume vol-1", "partition-1.tar.gz", "upload "] {
        assert!(last.removed.iter().any(|name| name.contains(removed)), "{removed}: {:?}", last.removed);
    }
}

#[tokio::test]
async fn a_queue_that_a_deployment_removed_holds_no_job() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    cloud.edit(|state| {
        state.removed_queues = plan.placements.iter().map(|placement| placement.job_queue.clone()).collect();
    });
    assert_eq!(clean(&cloud, Some(caught())).await.state, CleanupState::Done);
    assert_eq!(cloud.keys(), [plan.claim_key]);
    // One that is there and refuses is not an empty one.
    cloud.edit(|state| state.removed_queues.clear());
    cloud.fail("batch:listjobs", 1, 400, "ClientException");
    let refused = turn(&cloud, None, None).await.unwrap();
    assert_eq!(refused.state, CleanupState::Pending);
    assert!(refused.remaining[0].contains("list the jobs"), "{:?}", refused.remaining);
}

#[tokio::test]
async fn a_success_loses_nothing_but_left_over_uploads() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    cloud.put(&plan.units[0].manifest_key(), "{}");
    cloud.put(&plan.units[0].prefix.key(ERROR), "{}");
    let cleanup = turn(&cloud, None, None).await.unwrap();
    assert_eq!(cleanup.state, CleanupState::Done);
    assert_eq!(cleanup.failure, None);
    assert_eq!(cloud.keys().len(), 5, "{:?}", cloud.keys());
    assert_eq!(cloud.object(&plan.units[0].prefix.key(ERROR)), None);
    cloud.edit(|state| assert_eq!(state.uploads.len(), 1));
}

#[tokio::test]
async fn a_volume_with_a_manifest_keeps_its_objects_when_the_export_fails() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    cloud.put(&plan.units[0].manifest_key(), "{}");
    assert_eq!(clean(&cloud, Some(caught())).await.state, CleanupState::Done);
    assert!(cloud.object(&plan.units[0].prefix.key("partition-1.tar.gz")).is_some());
    assert!(cloud.object(&plan.units[0].index_prefix.key("partition-1.parquet")).is_some());
}

#[tokio::test]
async fn the_workers_word_is_read_before_it_goes() {
    let (cloud, plan) = claimed();
    let volume = &plan.units[0];
    let word = json!({"error": "ReadFailed", "cause": "read /dev/nvme1n1: I/O error"});
    cloud.put(&volume.prefix.key(ERROR), word.to_string());
    let job = json!({"JobName": volume.export_job_name, "Container": {"ExitCode": 74}, "Attempts": []});
    let failure = Some(CaughtError { error: "States.TaskFailed".into(), cause: job.to_string() });

    // The answer of the first turn is lost: the word is there still.
    turn(&cloud, failure.clone(), None).await.unwrap();
    let told = clean(&cloud, failure).await.failure.unwrap();
    assert_eq!(told.error, "ReadFailed");
    assert!(told.cause.contains("I/O error") && told.cause.contains("exit code 74"), "{}", told.cause);
    assert_eq!(cloud.keys(), [plan.claim_key]);
}

#[tokio::test]
async fn a_late_cleanup_does_not_touch_what_a_newer_execution_writes() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    let before = cloud.keys();
    cloud.put(&plan.claim_key, claim_of("run-2").to_json());
    assert_eq!(clean(&cloud, Some(caught())).await.state, CleanupState::Done);
    assert_eq!(cloud.keys(), before);
    cloud.edit(|state| assert_eq!(state.uploads.len(), 3));
}

#[tokio::test]
async fn a_volume_that_appears_late_is_found_by_the_second_look() {
    let (cloud, plan) = claimed();
    let first = turn(&cloud, Some(caught()), None).await.unwrap();
    assert_eq!(first.state, CleanupState::Pending);
    cloud.volume("vol-1", plan.execution.as_str(), "creating", None);
    let cleanup = clean(&cloud, Some(caught())).await;
    assert_eq!(cleanup.state, CleanupState::Done);
    cloud.edit(|state| assert!(state.volumes.is_empty()));
}

#[tokio::test]
async fn a_volume_that_does_not_let_go_is_forced() {
    let (cloud, plan) = claimed();
    cloud.volume("vol-1", plan.execution.as_str(), "in-use", Some("busy"));
    let cleanup = clean(&cloud, None).await;
    assert_eq!(cleanup.state, CleanupState::Done);
    assert!(cleanup.turn > 4);
    cloud.edit(|state| assert!(state.volumes.is_empty()));
}

#[tokio::test]
async fn one_error_does_not_keep_the_rest_from_going() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    cloud.volume("vol-1", plan.execution.as_str(), "available", None);
    cloud.volume("vol-2", plan.execution.as_str(), "available", None);
    cloud.fail("ec2:DeleteVolume", 1, 403, "UnauthorizedOperation");
    let cleanup = turn(&cloud, Some(caught()), None).await.unwrap();
    assert!(cleanup.remaining.iter().any(|left| left.contains("vol-1") && left.contains("UnauthorizedOperation")));
    assert!(cleanup.removed.iter().any(|name| name.contains("vol-2")));
    assert!(cleanup.removed.iter().any(|name| name.contains("partition-1.tar.gz")));
    assert_eq!(clean(&cloud, Some(caught())).await.state, CleanupState::Done);
}

#[tokio::test]
async fn throttling_is_waited_out_and_a_refusal_given_up_on() {
    let (cloud, plan) = claimed();
    cloud.volume("vol-1", plan.execution.as_str(), "available", None);
    cloud.fail("ec2:DeleteVolume", 12, 503, "RequestLimitExceeded");
    assert_eq!(clean(&cloud, None).await.state, CleanupState::Done);

    cloud.volume("vol-1", plan.execution.as_str(), "available", None);
    cloud.fail("ec2:DeleteVolume", 999, 403, "UnauthorizedOperation");
    let cleanup = clean(&cloud, Some(caught())).await;
    assert_eq!(cleanup.state, CleanupState::GaveUp);
    assert!(cleanup.turn < 10, "{}", cleanup.turn);
    assert_eq!(cleanup.failure.unwrap().error, "RestoreFailed");
}

#[tokio::test]
async fn whoever_cleans_up_after_a_dead_execution_releases_its_claim_last() {
    let (cloud, plan) = claimed();
    half_written(&cloud, &plan);
    let request = |cleanup| CleanupRequest { plan: plan.clone(), failure: Some(caught()), cleanup, release: true };
    let mut last = None;
    for _ in 0..3 {
        let next = cleaner(&cloud).run(request(last)).await.unwrap();
        assert_eq!(next.state, CleanupState::Pending);
        assert!(cloud.object(&plan.claim_key).is_some());
        // What a call of the dead one made after the first look goes, too.
        cloud.put(&plan.units[0].prefix.key("late.parquet"), "half");
        last = Some(next);
    }
    let last = cleaner(&cloud).run(request(last)).await.unwrap();
    assert_eq!(last.state, CleanupState::Done);
    assert_eq!(cloud.keys(), Vec::<String>::new());

    // Another execution's claim stays.
    cloud.put(&plan.claim_key, claim_of("run-2").to_json());
    assert_eq!(cleaner(&cloud).run(request(Some(last))).await.unwrap().state, CleanupState::Done);
    assert!(cloud.object(&plan.claim_key).is_some());
}

#[tokio::test]
async fn a_cleanup_for_another_that_gives_up_is_an_error() {
    let (cloud, plan) = claimed();
    cloud.volume("vol-1", plan.execution.as_str(), "available", None);
    cloud.fail("ec2:DeleteVolume", 999, 403, "UnauthorizedOperation");
    let mut cleanup = None;
    let error = loop {
        let request = CleanupRequest { plan: plan.clone(), failure: Some(caught()), cleanup, release: true };
        match cleaner(&cloud).run(request).await {
            Ok(next) => cleanup = Some(next),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::CleanupIncomplete);
    assert!(cloud.object(&plan.claim_key).is_some());
}
