//! How executions end.

use domain::conclusion::{CatalogRow, Latest};
use domain::failure::{CaughtError, Error, Failure, Kind};
use domain::plan::Decision;
use lambdas::cleanup::{Cleanup, CleanupState};
use lambdas::conclude::{Conclusion, ConclusionRequest, ConclusionState, run};
use lambdas::deletion::{Deletion, DeletionState};
use lambdas::metric::Emitter;

use crate::cloud::Cloud;
use crate::sample::{claim, claim_of, execution, manifest, now, plan};

fn cleanup(state: CleanupState) -> Cleanup {
    let remaining = match state {
        CleanupState::Done => Vec::new(),
        CleanupState::Pending | CleanupState::GaveUp => vec!["volume vol-1 (in-use)".to_owned()],
    };
    Cleanup { state, turn: 2, wait_seconds: 1, removed: Vec::new(), remaining, failure: None }
}

fn request() -> ConclusionRequest {
    ConclusionRequest {
        execution: execution("run-1"),
        plan: Some(Decision::Export(Box::new(plan()))),
        exported: true,
        failure: None,
        cleanup: Some(cleanup(CleanupState::Done)),
        cleanup_failure: None,
        deletion: Some(Deletion { turn: 0, state: DeletionState::Pending, wait_seconds: 0, reason: None }),
    }
}

fn exported() -> Cloud {
    let cloud = Cloud::new();
    cloud.put(&plan().claim_key, claim().to_json());
    cloud.put(&plan().units[0].manifest_key(), manifest());
    cloud
}

async fn conclude(cloud: &Cloud, request: ConclusionRequest) -> Result<Conclusion, Error> {
    let told = cloud.clone();
    let emitter = Emitter::new(move |line| told.edit(|state| state.metrics.push(serde_json::from_str(&line).unwrap())));
    run(&cloud.s3(), &emitter, request, now()).await
}

fn row(cloud: &Cloud) -> Option<CatalogRow> {
    Some(serde_json::from_str(&cloud.object(&plan().catalog_key)?).unwrap())
}

fn latest(cloud: &Cloud) -> Latest {
    serde_json::from_str(&cloud.object(&plan().latest_key).unwrap()).unwrap()
}

#[tokio::test]
async fn a_success_enters_the_catalog_and_gives_the_claim_back() {
    let cloud = exported();
    let deletion = Some(Deletion { turn: 1, state: DeletionState::Deleted, wait_seconds: 0, reason: None });
    let conclusion = conclude(&cloud, ConclusionRequest { deletion, ..request() }).await.unwrap();
    assert_eq!(conclusion.state, ConclusionState::Exported);
    assert_eq!(conclusion.bytes, 8_192);
    assert!(conclusion.recovery_point_deleted);
    assert_eq!(conclusion.manifests, [plan().units[0].manifest_key()]);
    assert!(row(&cloud).unwrap().recovery_point_deleted);
    assert_eq!(latest(&cloud).export_id, plan().export_id);
    assert_eq!(cloud.object(&plan().claim_key), None);
    // A retry of the call changes nothing.
    let keys = cloud.keys();
    assert_eq!(conclude(&cloud, request()).await.unwrap().state, ConclusionState::Exported);
    assert_eq!(cloud.keys(), keys);
    assert!(row(&cloud).unwrap().recovery_point_deleted);
}

#[tokio::test]
async fn a_recovery_point_that_is_kept_is_no_failure_and_the_row_says_why() {
    let cloud = exported();
    // The row as it was entered before the deletion was decided.
    conclude(&cloud, ConclusionRequest { cleanup: None, ..request() }).await.unwrap();
    assert_eq!(row(&cloud).unwrap().recovery_point_kept, None);
    let why = Some("the last one".to_owned());
    let kept = Some(Deletion { turn: 1, state: DeletionState::Kept, wait_seconds: 0, reason: why.clone() });
    let conclusion = conclude(&cloud, ConclusionRequest { deletion: kept, ..request() }).await.unwrap();
    assert_eq!(conclusion.state, ConclusionState::Exported);
    assert_eq!((conclusion.recovery_point_deleted, conclusion.recovery_point_kept), (false, why.clone()));
    let row = row(&cloud).unwrap();
    assert_eq!((row.recovery_point_deleted, row.recovery_point_kept), (false, why));
}

#[tokio::test]
async fn each_end_is_counted_with_what_it_moved() {
    let cloud = exported();
    conclude(&cloud, request()).await.unwrap();
    let failure = Some(CaughtError { error: "RestoreFailed".into(), cause: "no volume".into() });
    conclude(&cloud, ConclusionRequest { exported: false, failure: failure.clone(), ..request() }).await.unwrap();
    conclude(&cloud, ConclusionRequest { plan: None, exported: false, failure, ..request() }).await.unwrap();
    let told = cloud.edit(|state| std::mem::take(&mut state.metrics));
    let counts: Vec<_> = told.iter().map(|line| (line["Exports"].as_f64(), line["FailedExports"].as_f64())).collect();
    assert_eq!(counts, [(Some(1.0), Some(0.0)), (Some(0.0), Some(1.0)), (Some(0.0), Some(1.0))]);
    assert_eq!(told[0]["ArchiveBytes"], 8_192.0);
    assert!(told[0]["SourceBytes"].as_f64() > Some(0.0) && told[0]["EstimatedCostUsd"].as_f64() > Some(0.0));
    let seconds = now().duration_since(plan().started_at).as_secs_f64();
    assert_eq!(told[0]["ExportSeconds"].as_f64(), Some(seconds));
    for line in &told {
        assert_eq!(line["Installation"], "backup-export");
    }
    assert!(told[1..].iter().all(|line| line.get("ArchiveBytes").is_none()));
}

#[tokio::test]
async fn a_failure_is_passed_on_as_it_was_explained() {
    let cloud = exported();
    let failure = Some(CaughtError { error: "States.TaskFailed".into(), cause: "raw".into() });
    let mut cleanup = cleanup(CleanupState::Done);
    cleanup.failure = Some(Failure::new(Kind::ReadFailed, "the disk"));
    let request = ConclusionRequest { exported: false, failure, cleanup: Some(cleanup), ..request() };
    let conclusion = conclude(&cloud, request).await.unwrap();
    assert_eq!(conclusion.state, ConclusionState::Failed);
    assert_eq!(conclusion.failure, Some(Failure::new(Kind::ReadFailed, "the disk")));
    assert_eq!(row(&cloud), None);
    assert_eq!(cloud.object(&plan().claim_key), None);
}

#[tokio::test]
async fn a_cleanup_that_did_not_end_keeps_the_claim_and_fails_a_success() {
    let cloud = exported();
    let conclusion = conclude(&cloud, ConclusionRequest { cleanup: Some(cleanup(CleanupState::GaveUp)), ..request() })
        .await
        .unwrap();
    let failure = conclusion.failure.unwrap();
    assert_eq!(failure.error, "CleanupIncomplete");
    assert!(failure.cause.contains("vol-1") && failure.cause.contains("complete and verified"), "{}", failure.cause);
    assert!(row(&cloud).is_some());
    assert!(cloud.object(&plan().claim_key).is_some());
}

#[tokio::test]
async fn the_original_failure_comes_before_that_of_the_cleanup() {
    let cloud = exported();
    let caught = |error: &str, cause: &str| Some(CaughtError { error: error.into(), cause: cause.into() });
    let request = ConclusionRequest {
        exported: false,
        failure: caught("RestoreFailed", r#"{"errorMessage": "no volume"}"#),
        cleanup: None,
        cleanup_failure: caught("AccessDenied", r#"{"errorMessage": "no jobs for you"}"#),
        ..request()
    };
    let failure = conclude(&cloud, request).await.unwrap().failure.unwrap();
    assert_eq!(failure.error, "RestoreFailed");
    assert!(failure.cause.starts_with("no volume; besides"), "{}", failure.cause);
    assert!(failure.cause.contains("no jobs for you"), "{}", failure.cause);
    assert!(cloud.object(&plan().claim_key).is_some());
}

#[tokio::test]
async fn a_refused_deletion_fails_the_execution_but_the_export_stays_in_the_catalog() {
    let cloud = exported();
    let failure = Some(CaughtError {
        error: "DeletionRefused".into(),
        cause: r#"{"errorType": "DeletionRefused", "errorMessage": "legal hold"}"#.into(),
    });
    let conclusion = conclude(&cloud, ConclusionRequest { failure, ..request() }).await.unwrap();
    let told = conclusion.failure.unwrap();
    assert_eq!(told.error, "DeletionRefused");
    assert!(told.cause.contains("legal hold") && told.cause.contains(&plan().catalog_key), "{}", told.cause);
    assert!(!row(&cloud).unwrap().recovery_point_deleted);
}

#[tokio::test]
async fn a_failed_plan_is_told_in_words() {
    let cloud = Cloud::new();
    let failure = Some(CaughtError {
        error: "BucketNotFound".into(),
        cause: r#"{"errorType": "BucketNotFound", "errorMessage": "no bucket"}"#.into(),
    });
    let request =
        ConclusionRequest { plan: None, exported: false, failure, cleanup: None, deletion: None, ..request() };
    let conclusion = conclude(&cloud, request).await.unwrap();
    assert_eq!(conclusion.failure, Some(Failure::new(Kind::BucketNotFound, "no bucket")));
    assert_eq!(cloud.edit(|state| state.calls.len()), 0);
}

#[tokio::test]
async fn a_manifest_that_is_missing_or_lies_is_not_entered() {
    let cloud = exported();
    cloud.put(&plan().units[0].manifest_key(), manifest().replace("\"schemaVersion\": 1", "\"schemaVersion\": 7"));
    let error = conclude(&cloud, request()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::VerificationFailed);
    assert!(error.chain().contains("schema version 7"), "{error}");
    cloud.edit(|state| state.objects.remove(&plan().units[0].manifest_key()));
    assert_eq!(conclude(&cloud, request()).await.unwrap_err().kind(), Kind::VerificationFailed);
    cloud.put(
        &plan().units[0].manifest_key(),
        manifest().replace(plan().export_id.as_str(), "exp-00000000000000000000"),
    );
    assert!(conclude(&cloud, request()).await.unwrap_err().chain().contains("another export"));
    assert_eq!(row(&cloud), None);
}

#[tokio::test]
async fn the_pointer_never_moves_back_and_a_lost_race_is_run_again() {
    let cloud = exported();
    conclude(&cloud, request()).await.unwrap();
    let ours = latest(&cloud);
    let newer = Latest { created_at: now(), ..ours.clone() };
    cloud.put(&plan().latest_key, newer.to_json());
    conclude(&cloud, request()).await.unwrap();
    assert_eq!(latest(&cloud), newer);

    let older = Latest { created_at: "2020-01-01T00:00:00Z".parse().unwrap(), ..ours.clone() };
    cloud.put(&plan().latest_key, older.to_json());
    cloud.fail("s3:PUT latest/", 2, 412, "PreconditionFailed");
    conclude(&cloud, request()).await.unwrap();
    assert_eq!(latest(&cloud).created_at, ours.created_at);
}

#[tokio::test]
async fn a_claim_that_was_written_anew_by_ourselves_is_given_back_all_the_same() {
    let cloud = exported();
    cloud.fail("s3:DELETE claims/", 1, 412, "PreconditionFailed");
    conclude(&cloud, request()).await.unwrap();
    assert_eq!(cloud.object(&plan().claim_key), None);

    let cloud = exported();
    cloud.fail("s3:DELETE claims/", 9, 412, "PreconditionFailed");
    let error = conclude(&cloud, request()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains(&plan().claim_key), "{error}");
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_not_given_back() {
    let cloud = exported();
    cloud.put(&plan().claim_key, claim_of("run-2").to_json());
    conclude(&cloud, request()).await.unwrap();
    assert!(cloud.object(&plan().claim_key).is_some());
}
