//! Whatever fails: a good export after a retry, or a failed execution with the first error as its cause and nothing left.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Settings;
use e2e::scene::{PATIENCE, Scene, assert_failed, assert_succeeded};
use local_cloud::{ExecutionStatus, FaultAction, FaultRule, RecoveryPointOptions, VolumeFate, When};

async fn scene() -> Result<Scene> {
    Scene::start(Settings::default()).await
}

fn slow_parts(scene: &Scene) {
    let rule = FaultRule::new("s3", "UploadPart", FaultAction::delay(Duration::from_secs(2)));
    scene.system.cloud.faults().add(rule.when(When::First(4)));
}

/// The export succeeds in spite of these faults, and is whole.
async fn survives(rules: impl IntoIterator<Item = FaultRule>) -> Result<()> {
    let scene = scene().await?;
    for rule in rules {
        scene.system.cloud.faults().add(rule);
    }
    let execution = scene.system.export(&scene.arn).await?;
    assert_succeeded(&execution)?;
    let hits = scene.system.cloud.faults().hits();
    ensure!(hits.iter().all(|hits| *hits > 0), "a fault hit nothing: {hits:?}");
    scene.assert_exported()?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_only_the_export_left().await
}

/// The export fails with this error, and leaves nothing.
async fn fails(rule: FaultRule, error: &str, words: &[&str]) -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.faults().add(rule);
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, error, words)?;
    ensure!(scene.system.cloud.faults().hits() > vec![0], "the fault hit nothing");
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

fn once(service: &str, operation: &str, action: FaultAction) -> FaultRule {
    FaultRule::new(service, operation, action).when(When::First(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_is_retried() -> Result<()> {
    let scene = scene().await?;
    slow_parts(&scene);
    let (execution, job) = scene.start_and_wait_for_upload().await?;
    scene.system.cloud.signal_job(&job.id, 9)?;
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    scene.assert_exported()?;
    scene.system.reap().await?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_every_attempt_leaves_nothing() -> Result<()> {
    let scene = scene().await?;
    let rule = FaultRule::new("s3", "UploadPart", FaultAction::KillCaller);
    scene.system.cloud.faults().add(rule);
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "Interrupted", &["137"])?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spot_reclaim_moves_the_volume_to_another_host() -> Result<()> {
    let scene = scene().await?;
    slow_parts(&scene);
    let (execution, job) = scene.start_and_wait_for_upload().await?;
    scene.system.cloud.reclaim_spot(&job.id)?;
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    let jobs = scene.system.cloud.jobs();
    let attempts = jobs.iter().find(|other| other.id == job.id).map(|job| job.attempt);
    ensure!(attempts == Some(2), "{attempts:?} attempts");
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_out_of_order_for_a_while_is_survived() -> Result<()> {
    survives([
        once("s3", "CreateMultipartUpload", FaultAction::error(500, "InternalError")),
        FaultRule::new("s3", "UploadPart", FaultAction::error(503, "SlowDown")).when(When::First(3)),
        once("s3", "CompleteMultipartUpload", FaultAction::error(500, "InternalError")),
        once("s3", "PutObject", FaultAction::error(503, "SlowDown")).by("batch-*"),
        once("s3", "HeadObject", FaultAction::error(500, "InternalError")).by("batch-*"),
        once("s3", "GetObject", FaultAction::error(500, "InternalError")).by("batch-*"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_connections_are_survived() -> Result<()> {
    survives([
        once("s3", "UploadPart", FaultAction::CutRequest { after_bytes: 1_000_000 }),
        FaultRule::new("s3", "UploadPart", FaultAction::CutResponse { after_bytes: 0 }).when(When::Nth(2)),
        once("s3", "CompleteMultipartUpload", FaultAction::CutResponse { after_bytes: 0 }),
        once("s3", "GetObject", FaultAction::CutResponse { after_bytes: 100_000 }).on("*disk.tar.gz"),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_out_of_order_for_good_fails_the_export() -> Result<()> {
    fails(
        FaultRule::new("s3", "UploadPart", FaultAction::error(500, "InternalError")),
        "Unavailable",
        &["disk.tar.gz", "InternalError"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_that_denies_access_fails_the_export() -> Result<()> {
    fails(
        FaultRule::new("s3", "CreateMultipartUpload", FaultAction::error(403, "AccessDenied")),
        "AccessDenied",
        &["disk.tar.gz"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_read_fails_the_export() -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.break_snapshot(scene.snapshot_id(), 32 << 20)?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "ReadFailed", &["Input/output error"])?;
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_ec2_is_survived() -> Result<()> {
    let throttle = || FaultAction::error(503, "RequestLimitExceeded");
    survives(
        ["CreateVolume", "DescribeVolumes", "AttachVolume", "DetachVolume", "DeleteVolume"]
            .map(|operation| once("ec2", operation, throttle())),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_may_not_be_made_fails_the_export() -> Result<()> {
    fails(
        FaultRule::new("ec2", "CreateVolume", FaultAction::error(400, "VolumeLimitExceeded")),
        "Throttled",
        &["snap-", "VolumeLimitExceeded", "quota"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_attached_fails_the_export() -> Result<()> {
    fails(
        FaultRule::new("ec2", "AttachVolume", FaultAction::error(403, "UnauthorizedOperation")),
        "AccessDenied",
        &["vol-", "UnauthorizedOperation"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_cannot_be_deleted_at_first_is_left_to_the_reaper() -> Result<()> {
    let scene = scene().await?;
    let rule = FaultRule::new("ec2", "DeleteVolume", FaultAction::error(403, "UnauthorizedOperation"));
    scene.system.cloud.faults().add(rule);
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "CleanupIncomplete", &["vol-"])?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_whose_key_cannot_be_used_fails_the_export() -> Result<()> {
    let options = RecoveryPointOptions { volumes: VolumeFate::Error, ..Default::default() };
    let scene = Scene::with(Settings::default(), options).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "RestoreFailed", &["vol-", "key"])?;
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lambda_that_dies_after_creating_the_volume_creates_no_second() -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.faults().add(once("ec2", "CreateVolume", FaultAction::KillCaller));
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let created = scene.system.cloud.requests().of("ec2", "CreateVolume").len();
    ensure!(created == 2, "CreateVolume was called {created} times");
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lambda_that_always_dies_leaves_nothing() -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.faults().add(FaultRule::new("ec2", "CreateVolume", FaultAction::KillCaller));
    let execution = scene.system.export(&scene.arn).await?;
    ensure!(execution.status == ExecutionStatus::Failed, "ended as {}", execution.status);
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_execution_leaves_nothing() -> Result<()> {
    let scene = scene().await?;
    slow_parts(&scene);
    let (execution, _) = scene.start_and_wait_for_upload().await?;
    scene.system.cloud.stop_execution(&execution, "Operator", "changed my mind").await?;
    let ended = scene.system.finished(&execution).await?;
    ensure!(ended.status == ExecutionStatus::Aborted, "ended as {}", ended.status);
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stopped_execution_the_next_one_exports() -> Result<()> {
    let scene = scene().await?;
    slow_parts(&scene);
    let (execution, _) = scene.start_and_wait_for_upload().await?;
    // No reaper: its function cannot even be invoked, so the next execution meets what the first left.
    scene
        .system
        .cloud
        .faults()
        .add(FaultRule::new("lambda", "Invoke", FaultAction::error(500, "ServiceException")).on("reaper"));
    scene.system.cloud.stop_execution(&execution, "Operator", "changed my mind").await?;
    scene.system.finished(&execution).await?;
    let next = scene.system.export(&scene.arn).await?;
    assert_succeeded(&next)?;
    ensure!(next.state_names().contains(&"CleanPrevious"), "passed {:?}", next.state_names());
    scene.assert_exported()?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_times_out_leaves_nothing() -> Result<()> {
    let scene = Scene::start(Settings { root_timeout_seconds: Some(12), ..Settings::default() }).await?;
    let hang = FaultRule::new("s3", "UploadPart", FaultAction::delay(Duration::from_mins(10)));
    scene.system.cloud.faults().add(hang);
    let execution = scene.system.export(&scene.arn).await?;
    ensure!(execution.status == ExecutionStatus::TimedOut, "ended as {}", execution.status);
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_fault_is_not_hidden_by_a_fault_of_the_cleanup() -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.break_snapshot(scene.snapshot_id(), 32 << 20)?;
    scene.system.cloud.faults().add(FaultRule::new(
        "ec2",
        "DeleteVolume",
        FaultAction::error(403, "UnauthorizedOperation"),
    ));
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "ReadFailed", &["Input/output error"])?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verify_job_that_is_killed_is_retried() -> Result<()> {
    let scene = scene().await?;
    scene.system.cloud.faults().add(once("s3", "GetObject", FaultAction::KillCaller).on("*disk.tar.gz"));
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_job("exp-", PATIENCE, |job| job.name.ends_with("-verify") && job.attempt == 2).await?;
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    scene.assert_only_the_export_left().await
}
