//! Bad input is refused with an error that names the thing and the remedy, before anything is created.

use anyhow::{Result, ensure};
use e2e::Settings;
use e2e::scene::{Scene, assert_failed, assert_succeeded};
use e2e::stack::{BUCKET, FOREIGN_BUCKET, OTHER_VAULT, STATE_MACHINE, VAULT};
use local_cloud::{FaultAction, FaultRule, RecoveryPointOptions};
use serde_json::{Value, json};

/// Runs an execution that must be refused, and asserts that nothing was created by it.
async fn refused(scene: &Scene, input: &Value, error: &str, words: &[&str]) -> Result<()> {
    let execution = scene.system.cloud.start_execution(STATE_MACHINE, None, input).await?;
    let execution = scene.system.finished(&execution).await?;
    assert_failed(&execution, error, words)?;
    let cloud = &scene.system.cloud;
    for (service, operation) in [("ec2", "CreateVolume"), ("batch", "SubmitJob"), ("s3", "CreateMultipartUpload")] {
        ensure!(cloud.requests().of(service, operation).is_empty(), "{operation} was called");
    }
    for bucket in [BUCKET, FOREIGN_BUCKET] {
        let objects = cloud.objects(bucket, "")?;
        ensure!(objects.is_empty(), "objects were written: {objects:?}");
    }
    Ok(())
}

fn hand_start(arn: &str, vault: &str) -> Value {
    json!({"recoveryPointArn": arn, "backupVaultName": vault})
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_input_is_refused() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    for (input, word) in [
        (json!({}), "recoveryPointArn"),
        (json!({"recoveryPointArn": "snap-1", "backupVaultName": VAULT}), "snap-1"),
        (json!({"recoveryPointArn": scene.arn, "backupVaultName": VAULT, "delete": true}), "delete"),
        (json!({"detail-type": "Backup Job State Change", "detail": {"state": "COMPLETED"}}), "resources"),
    ] {
        refused(&scene, &input, "MalformedInput", &[word]).await?;
    }
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_point_that_is_not_there_is_refused() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let missing = "arn:aws:ec2:us-east-1::snapshot/snap-0dddddddddddddddd";
    refused(&scene, &hand_start(missing, VAULT), "RecoveryPointNotFound", &["snap-0dddddddddddddddd", VAULT]).await?;
    // In another vault than said.
    refused(&scene, &hand_start(&scene.arn, OTHER_VAULT), "RecoveryPointNotFound", &[OTHER_VAULT]).await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_recovery_point_is_refused() -> Result<()> {
    for status in ["CREATING", "PARTIAL", "EXPIRED"] {
        let options = RecoveryPointOptions { status: status.into(), ..Default::default() };
        let scene = Scene::with(Settings::default(), options).await?;
        refused(&scene, &hand_start(&scene.arn, VAULT), "RecoveryPointNotUsable", &[status]).await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_recovery_point_is_refused_with_the_remedy() -> Result<()> {
    let options = RecoveryPointOptions { archived: true, ..Default::default() };
    let scene = Scene::with(Settings::default(), options).await?;
    refused(&scene, &hand_start(&scene.arn, VAULT), "RecoveryPointArchived", &["archive", "restore-snapshot-tier"])
        .await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_refused_by_name() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    for (arn, resource_type) in [
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-34", "EFS"),
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-35", "S3"),
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-36", "FSx"),
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-37", "Redshift"),
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:db-1", "RDS"),
        ("arn:aws:quantum:us-east-1:123456789012:thing/1", "Quantum"),
    ] {
        let options = RecoveryPointOptions {
            resource_type: Some(resource_type.into()),
            resource_arn: Some("arn:aws:x:us-east-1:123456789012:thing/1".into()),
            ..Default::default()
        };
        scene.system.cloud.add_recovery_point(VAULT, arn, options)?;
        refused(&scene, &hand_start(arn, VAULT), "UnsupportedResourceType", &[arn, "the recovery point is kept"])
            .await?;
    }
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_or_somebody_elses_is_refused() -> Result<()> {
    for (bucket, error) in [("no-such-bucket", "BucketNotFound"), (FOREIGN_BUCKET, "BucketNotOwned")] {
        let scene = Scene::start(Settings::default().with("EXPORT_BUCKET", bucket)).await?;
        refused(&scene, &hand_start(&scene.arn, VAULT), error, &[bucket]).await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_all_reported() -> Result<()> {
    let settings = Settings::default().with("VERIFY", "mostly").with("CODEC", "arj");
    let scene = Scene::start(settings).await?;
    refused(&scene, &hand_start(&scene.arn, VAULT), "InvalidSettings", &["VERIFY", "mostly", "CODEC", "arj"]).await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_without_verification_is_refused() -> Result<()> {
    let settings = Settings::default().with("VERIFY", "none").with("DELETE_RECOVERY_POINT", "true");
    let scene = Scene::start(settings).await?;
    refused(&scene, &hand_start(&scene.arn, VAULT), "InvalidSettings", &["DELETE_RECOVERY_POINT", "VERIFY"]).await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_denies_access_is_named() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    scene.system.cloud.faults().add(FaultRule::new(
        "backup",
        "DescribeRecoveryPoint",
        FaultAction::error(403, "AccessDeniedException"),
    ));
    refused(&scene, &hand_start(&scene.arn, VAULT), "AccessDenied", &["describe the recovery point", &scene.arn])
        .await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_failed_backup_job_is_skipped() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let event = json!({
        "source": "aws.backup", "detail-type": "Backup Job State Change", "resources": [],
        "detail": {"state": "FAILED", "backupVaultName": VAULT}
    });
    let execution = scene.system.cloud.start_execution(STATE_MACHINE, None, &event).await?;
    let execution = scene.system.finished(&execution).await?;
    assert_succeeded(&execution)?;
    ensure!(execution.state_names().last() == Some(&"Skipped"), "passed {:?}", execution.state_names());
    scene.assert_nothing_left().await
}
