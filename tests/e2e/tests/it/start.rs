//! What begins an export, and what does not begin a second one.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Settings;
use e2e::scene::{PATIENCE, Scene, assert_succeeded};
use e2e::stack::{BUCKET, RECONCILER_SCHEDULE, STATE_MACHINE, VAULT};
use local_cloud::{EventShape, FaultAction, FaultRule, When};
use serde_json::json;

fn export_jobs(scene: &Scene) -> usize {
    scene.system.cloud.jobs().iter().filter(|job| job.name.ends_with("-export")).count()
}

async fn begins_by(shape: EventShape) -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let event = scene.system.cloud.backup_event(VAULT, &scene.arn, shape)?;
    let execution = scene.system.send(event.clone()).await?;
    assert_succeeded(&execution)?;
    scene.assert_exported()?;

    // The same event again, as EventBridge may deliver it: reported, not redone.
    let again = scene.system.send(event).await?;
    assert_succeeded(&again)?;
    ensure!(again.state_names().last() == Some(&"Skipped"), "passed {:?}", again.state_names());
    ensure!(export_jobs(&scene) == 1, "the export ran again");
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_job_event_begins_one_export() -> Result<()> {
    begins_by(EventShape::BackupJob).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_point_event_begins_one_export() -> Result<()> {
    begins_by(EventShape::RecoveryPoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_job_event_begins_one_export_of_the_copy() -> Result<()> {
    begins_by(EventShape::CopyJob).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_event_begins_one_export() -> Result<()> {
    begins_by(EventShape::CloudTrail).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_schedule_begins_the_export_of_which_no_event_told() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let cloud = &scene.system.cloud;
    cloud.fire_schedule(RECONCILER_SCHEDULE)?;
    cloud.wait_for_deliveries(PATIENCE).await?;
    let executions = cloud.executions();
    let [execution] = executions.as_slice() else { anyhow::bail!("executions {executions:?}") };
    assert_succeeded(&scene.system.finished(execution).await?)?;
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_while_the_first_runs_does_nothing() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    scene
        .system
        .cloud
        .faults()
        .add(FaultRule::new("s3", "UploadPart", FaultAction::delay(Duration::from_secs(3))).when(When::First(1)));
    let (first, _) = scene.start_and_wait_for_upload().await?;
    let second = scene.system.export(&scene.arn).await?;
    assert_succeeded(&second)?;
    ensure!(second.state_names().last() == Some(&"Skipped"), "passed {:?}", second.state_names());
    let said = second.output.unwrap_or_default().to_string();
    ensure!(said.contains(&first), "does not name the execution that runs: {said}");

    assert_succeeded(&scene.system.finished(&first).await?)?;
    let third = scene.system.export(&scene.arn).await?;
    ensure!(third.state_names().last() == Some(&"Skipped"), "passed {:?}", third.state_names());
    ensure!(export_jobs(&scene) == 1, "the export ran again");
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_generation_is_exported_beside_the_first_with_the_same_bytes() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let input = json!({"recoveryPointArn": scene.arn, "backupVaultName": VAULT, "generation": 1});
    let execution = scene.system.cloud.start_execution(STATE_MACHINE, None, &input).await?;
    assert_succeeded(&scene.system.finished(&execution).await?)?;
    let manifests: Vec<_> = scene.system.manifests()?.into_values().collect();
    let [first, second] = manifests.as_slice() else { anyhow::bail!("{} manifests, not two", manifests.len()) };
    ensure!(first.artifacts[0].key != second.artifacts[0].key, "the second replaced the first");
    ensure!(first.artifacts[0].sha256 == second.artifacts[0].sha256, "the same disk gave other bytes");
    ensure!(scene.system.cloud.objects(BUCKET, "latest/")?.len() == 1, "one pointer to the newest");
    scene.assert_only_the_export_left().await
}
