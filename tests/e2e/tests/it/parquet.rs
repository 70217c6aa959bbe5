//! Snapshots that RDS itself exports as Parquet: asked for by a tag, checked table by table, and found out when they are not whole.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::Settings;
use e2e::database::DatabaseScene;
use e2e::scene::{PATIENCE, assert_failed, assert_succeeded, eventually};
use e2e::stack::{BUCKET, VAULT};
use local_cloud::{DatabaseEngine, ExecutionStatus, ExportTaskFate, RecoveryPointOptions};

async fn scene(settings: Settings) -> Result<DatabaseScene> {
    let tags = BTreeMap::from([("backup-export:method".to_owned(), "parquet".to_owned())]);
    let options = RecoveryPointOptions { tags, ..RecoveryPointOptions::default() };
    let shop = "create schema app;
        create table app.items (id int primary key, name text, price numeric);
        insert into app.items select n, 'item ' || n, n * 1.5 from generate_series(1, 2500) n;
        create table app.customers as select n as id, md5(n::text) as name from generate_series(1, 40) n;
        create table app.empty (id int);";
    DatabaseScene::plain(DatabaseEngine::Postgres, settings, options, shop).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_asks_for_parquet_and_every_row_is_counted() -> Result<()> {
    let scene = scene(Settings::default().with("DELETE_RECOVERY_POINT", "true")).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let native = scene.system.manifest()?.native.context("nothing that AWS wrote")?;
    ensure!(native.format == "parquet", "{native:?}");
    let many = native.tables.iter().find(|table| table.name.contains("app.items")).context("a table is missing")?;
    ensure!(many.rows == 2_500, "{many:?}");
    ensure!(scene.system.cloud.recovery_point(VAULT, &scene.arn).is_none(), "the recovery point is there");
    ensure!(scene.system.cloud.requests().of("rds", "RestoreDBInstanceFromDBSnapshot").is_empty(), "restored, too");
    scene.system.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_parquet_cannot_hold_fails_the_export_by_name() -> Result<()> {
    let tags = BTreeMap::from([("backup-export:method".to_owned(), "parquet".to_owned())]);
    let options = RecoveryPointOptions { tags, ..RecoveryPointOptions::default() };
    let sql = "create table good as select 1 as id; create unlogged table volatile as select 1 as id;";
    let scene = DatabaseScene::plain(DatabaseEngine::Postgres, Settings::default(), options, sql).await?;
    let execution = scene.system.export(&scene.arn).await?;
    assert_failed(&execution, "NativeExportFailed", &["shop.public.volatile", "backup-export:method"])?;
    scene.system.reap().await?;
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_whole_is_found_out() -> Result<()> {
    for (fate, error, word) in [
        (ExportTaskFate::Failed { cause: "the key is disabled".into() }, "NativeExportFailed", "the key is disabled"),
        (ExportTaskFate::SkipsTable, "NativeExportFailed", "SKIPPED"),
        (ExportTaskFate::FailsTable, "NativeExportFailed", "FAILED"),
        (ExportTaskFate::TruncatesObject, "", "parquet"),
    ] {
        let scene = scene(Settings::default()).await?;
        scene.system.cloud.decide_export_task(fate.clone());
        let execution = scene.system.export(&scene.arn).await?;
        if error.is_empty() {
            ensure!(execution.status == ExecutionStatus::Failed, "{fate:?} was not found out");
        } else {
            assert_failed(&execution, error, &[word])?;
        }
        scene.system.reap().await?;
        scene.assert_nothing_left().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_an_aborted_execution_is_cancelled() -> Result<()> {
    let scene = scene(Settings::default()).await?;
    scene.system.cloud.decide_export_task(ExportTaskFate::Stuck);
    let execution = scene.system.start_export(&scene.arn).await?;
    eventually("the task runs", || scene.system.cloud.leftovers().is_ok_and(|left| !left.export_tasks.is_empty()))
        .await?;
    scene.system.cloud.stop_execution(&execution, "Operator", "enough").await?;
    scene.system.finished(&execution).await?;
    scene.system.reap().await?;
    ensure!(scene.system.cloud.objects(BUCKET, "data/")?.is_empty(), "objects are left");
    scene.assert_nothing_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_after_the_export_is_found_by_the_verification() -> Result<()> {
    let scene = scene(Settings::default()).await?;
    let execution = scene.system.start_export(&scene.arn).await?;
    scene.system.cloud.wait_for_state(&execution, "VerifyUnit", PATIENCE).await?;
    let objects = scene.system.cloud.objects(BUCKET, "data/")?;
    let object = objects.iter().find(|object| object.key.ends_with(".parquet")).context("no Parquet")?;
    scene.system.cloud.flip_byte(BUCKET, &object.key, 8)?;
    let result = scene.system.finished(&execution).await?;
    assert_failed(&result, "VerificationFailed", &["parquet"])?;
    scene.system.reap().await?;
    scene.system.shutdown_clean().await
}
