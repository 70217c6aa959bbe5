//! DynamoDB tables through the whole state machine: the backup itself, never the live table; and whatever is wrong with an export is found.

use anyhow::{Context as _, Result, ensure};
use domain::manifest::Origin;
use e2e::Settings;
use e2e::scene::{PATIENCE, assert_failed, assert_succeeded};
use e2e::stack::VAULT;
use e2e::table::{Form, TABLE, TableScene};
use local_cloud::{EventShape, FaultAction, FaultRule, RecoveryPointOptions, TableExportFate, TableFate, When};

async fn scene() -> Result<TableScene> {
    TableScene::start(Form::Dynamodb, Settings::default(), RecoveryPointOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_exported_as_it_was_and_then_deleted() -> Result<()> {
    let settings = Settings::default().with("DELETE_RECOVERY_POINT", "true");
    let scene = TableScene::start(Form::Dynamodb, settings, RecoveryPointOptions::default()).await?;
    let event = scene.system.cloud.backup_event(VAULT, &scene.arn, EventShape::RecoveryPoint)?;
    assert_succeeded(&scene.system.send(event).await?)?;
    scene.assert_exported()?;
    let Origin::Table(table) = scene.system.manifest()?.source else { anyhow::bail!("not a table") };
    ensure!(!table.live_table && table.table_arn.ends_with("table/orders"), "{table:?}");
    ensure!(scene.system.cloud.recovery_point(VAULT, &scene.arn).is_none(), "the recovery point is there");
    let exported = scene.system.cloud.requests().of("dynamodb", "ExportTableToPointInTime");
    ensure!(exported.iter().all(|request| !request.resource.ends_with(TABLE)), "the live table was exported");
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_backup_keeps_itself_is_restored_by_it() -> Result<()> {
    let scene = TableScene::start(Form::Vault, Settings::default(), RecoveryPointOptions::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_table_is_exported_only_when_asked_for_and_the_manifest_says_so() -> Result<()> {
    let settings = Settings::default().with("DYNAMODB_NATIVE", "pitr").with("DYNAMODB_FORMAT", "ion");
    let scene = TableScene::start(Form::Dynamodb, settings, RecoveryPointOptions::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let manifest = scene.system.manifest()?;
    let Origin::Table(table) = &manifest.source else { anyhow::bail!("not a table") };
    ensure!(table.live_table && manifest.notes.iter().any(|note| note.contains("live table")), "{manifest:?}");
    ensure!(scene.system.cloud.requests().of("dynamodb", "RestoreTableFromBackup").is_empty(), "a table was restored");
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_lies_is_found_out() -> Result<()> {
    let failed = TableExportFate::Failed { code: "S3NoSuchBucket".into(), message: "no such bucket".into() };
    for (fate, error, words) in [
        (failed, "NativeExportFailed", ["no such bucket", "orders"]),
        // What AWS's own manifest tells.
        (TableExportFate::LosesDataFile, "NativeExportFailed", [".json.gz", "not there"]),
        (TableExportFate::CorruptsDataFile, "NativeExportFailed", [".json.gz", "orders"]),
        (TableExportFate::MiscountsItems, "NativeExportFailed", ["items", "orders"]),
        // What only the table itself tells.
        (TableExportFate::LosesItem, "VerificationFailed", ["59", "60"]),
    ] {
        let scene = scene().await?;
        scene.system.cloud.decide_table_export(fate.clone());
        let execution = scene.system.export(&scene.arn).await?;
        assert_failed(&execution, error, &words).with_context(|| format!("{fate:?}"))?;
        scene.system.reap().await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_job_that_fails_says_why_and_leaves_nothing() -> Result<()> {
    let options = RecoveryPointOptions { restored_table: TableFate::Failed, ..RecoveryPointOptions::default() };
    let scene = TableScene::start(Form::Vault, Settings::default(), options).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "RestoreFailed", &["restore job"])?;
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_aborted_while_its_table_is_made_leaves_nothing() -> Result<()> {
    let options = RecoveryPointOptions { restored_table: TableFate::Stuck, ..RecoveryPointOptions::default() };
    let scene = TableScene::start(Form::Dynamodb, Settings::default(), options).await?;
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_state(&execution, "CheckRestore", PATIENCE).await?;
    scene.system.cloud.stop_execution(&execution, "Operator", "enough").await?;
    scene.system.finished(&execution).await?;
    // A restore cannot be stopped: the reaper comes again when it is over.
    let table = scene.system.cloud.leftovers()?.tables;
    ensure!(table.len() == 1 && scene.system.cloud.release_table(&table[0]), "{table:?}");
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_are_made_again() -> Result<()> {
    let scene = scene().await?;
    for operation in ["RestoreTableFromBackup", "DescribeTable", "ExportTableToPointInTime", "DescribeExport", "Scan"] {
        let throttled = FaultAction::error(400, "ThrottlingException");
        scene.system.cloud.faults().add(FaultRule::new("dynamodb", operation, throttled).when(When::First(3)));
    }
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let hits = scene.system.cloud.faults().hits();
    ensure!(hits.iter().all(|hits| *hits > 0), "a fault hit nothing: {hits:?}");
    scene.assert_exported()?;
    scene.system.cloud.faults().clear();
    scene.system.reap().await?;
    scene.assert_only_the_export_left().await
}
