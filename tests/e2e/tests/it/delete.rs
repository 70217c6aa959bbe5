//! A recovery point goes only when that was asked for, and only after what S3 holds was read back and found equal.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Settings;
use e2e::scene::{PATIENCE, Scene, assert_failed, assert_succeeded};
use e2e::stack::{BUCKET, VAULT};
use local_cloud::{Deletion, FaultAction, FaultRule, RecoveryPointOptions};

fn deleting() -> Settings {
    Settings::default().with("DELETE_RECOVERY_POINT", "true")
}

fn is_there(scene: &Scene) -> bool {
    scene.system.cloud.recovery_point(VAULT, &scene.arn).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_export_lets_the_recovery_point_go() -> Result<()> {
    let scene = Scene::start(deleting()).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_succeeded(&execution)?;
    ensure!(!is_there(&scene), "the recovery point is still there");
    let states = execution.state_names();
    let position = |name: &str| states.iter().position(|state| *state == name);
    ensure!(position("VerifyUnit") < position("DeleteRecoveryPoint"), "passed {states:?}");
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_unless_asked_for() -> Result<()> {
    for value in ["false", "False", ""] {
        let scene = Scene::start(Settings::default().with("DELETE_RECOVERY_POINT", value)).await?;
        let execution = scene.system.export(&scene.arn).await?;
        ensure!(is_there(&scene), "deleted by DELETE_RECOVERY_POINT={value:?}");
        ensure!(!execution.state_names().contains(&"DeleteRecoveryPoint"), "{value:?}");
        scene.system.shutdown_clean().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_deletion_is_waited_for() -> Result<()> {
    let options = RecoveryPointOptions { deletion: Deletion::After(2), ..Default::default() };
    let scene = Scene::with(deleting(), options).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    ensure!(!is_there(&scene), "the recovery point is still there");
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_never_happens_fails_the_execution() -> Result<()> {
    let options = RecoveryPointOptions { deletion: Deletion::Never, ..Default::default() };
    let scene = Scene::with(deleting(), options).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "DeletionNotConfirmed", &[&scene.arn])?;
    scene.system.reap().await?;
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

/// Spoils what S3 holds between export and readback.
async fn spoiled(spoil: impl FnOnce(&Scene, &str) -> Result<()>, words: &[&str]) -> Result<()> {
    let scene = Scene::start(deleting()).await?;
    scene
        .system
        .cloud
        .faults()
        .add(FaultRule::new("batch", "SubmitJob", FaultAction::delay(Duration::from_secs(2))).on("*-verify"));
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_state(&execution, "VerifyUnit", PATIENCE).await?;
    let key = scene.system.manifest()?.artifacts[0].key.clone();
    spoil(&scene, &key)?;
    let execution = scene.system.finished(&execution).await?;
    assert_failed(&execution, "VerificationFailed", words)?;
    ensure!(is_there(&scene), "the recovery point of a spoiled export is gone");
    scene.system.reap().await?;
    ensure!(is_there(&scene), "the reaper deleted the recovery point");
    scene.system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_keeps_the_recovery_point() -> Result<()> {
    spoiled(|scene, key| Ok(scene.system.cloud.flip_byte(BUCKET, key, 5_000_000)?), &["disk.tar.gz"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_cut_short_keeps_the_recovery_point() -> Result<()> {
    spoiled(
        |scene, key| Ok(scene.system.cloud.truncate_object(BUCKET, key, 5_000_000)?),
        &["disk.tar.gz", "5,000,000", "cut short"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_archive_keeps_the_recovery_point() -> Result<()> {
    spoiled(|scene, key| Ok(scene.system.cloud.remove_object(BUCKET, key)?), &["disk.tar.gz"]).await
}
