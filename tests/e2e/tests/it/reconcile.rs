//! What no event began is begun by the reconciler: once, newest first, a few at a time.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::scene::{Scene, assert_failed, assert_succeeded, eventually};
use e2e::stack::{BUCKET, VAULT};
use e2e::{Settings, System};
use local_cloud::{FaultAction, FaultRule, RecoveryPointOptions, When};
use serde_json::{Value, json};

async fn reconcile(system: &System) -> Result<Value> {
    let answer = system.cloud.invoke("reconciler", &json!({"detail-type": "Scheduled Event"})).await?;
    answer.map_err(|error| anyhow::anyhow!("the reconciler failed: {error}"))
}

fn started(report: &Value) -> Vec<&str> {
    let list = report["started"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|each| each["recoveryPointArn"].as_str()).collect()
}

/// A recovery point with nothing behind it, made on this day of January 2020: its export fails.
fn broken(system: &System, day: u32) -> Result<String> {
    let arn = format!("arn:aws:ec2:us-east-1::snapshot/snap-{day:017x}");
    let options = RecoveryPointOptions {
        resource_type: Some("EBS".into()),
        resource_arn: Some(format!("arn:aws:ec2:us-east-1:123456789012:volume/vol-{day:017x}")),
        created_at: Some(format!("2020-01-{day:02}T00:00:00Z")),
        ..Default::default()
    };
    system.cloud.add_recovery_point(VAULT, &arn, options)?;
    Ok(arn)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_start() -> Result<()> {
    let system = System::start(Settings::default().with("RECONCILE_DRY_RUN", "true")).await?;
    let point = broken(&system, 1)?;
    let report = reconcile(&system).await?;
    ensure!(report["wouldStart"][0]["recoveryPointArn"] == point.as_str() && report["left"] == 0, "{report}");
    ensure!(started(&report).is_empty() && system.cloud.executions().is_empty(), "a dry run started something");
    system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_event_is_made_good_once() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let system = &scene.system;
    system
        .cloud
        .faults()
        .add(FaultRule::new("s3", "UploadPart", FaultAction::delay(Duration::from_secs(2))).when(When::First(1)));
    let report = reconcile(system).await?;
    ensure!(started(&report) == [scene.arn.as_str()], "{report}");
    let executions = system.cloud.executions();
    ensure!(executions.len() == 1, "{executions:?}");
    eventually("the execution claims the export", || {
        system.cloud.objects(BUCKET, "claims/").is_ok_and(|claims| !claims.is_empty())
    })
    .await?;
    let report = reconcile(system).await?;
    ensure!(started(&report).is_empty() && report["running"] == 1, "{report}");

    assert_succeeded(&system.finished(&executions[0]).await?)?;
    let report = reconcile(system).await?;
    ensure!(started(&report).is_empty() && report["exported"] == 1 && report["running"] == 0, "{report}");
    ensure!(system.cloud.executions() == executions, "something else was started");
    scene.assert_exported()?;
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_come_first_and_what_failed_is_not_begun_again_at_the_same_age() -> Result<()> {
    let system = System::start(Settings::default().with("RECONCILE_MAX_STARTS", "2")).await?;
    let points = [broken(&system, 1)?, broken(&system, 3)?, broken(&system, 2)?];
    let first = reconcile(&system).await?;
    ensure!(started(&first) == [points[1].as_str(), points[2].as_str()] && first["left"] == 1, "{first}");
    for execution in system.cloud.executions() {
        assert_failed(&system.finished(&execution).await?, "RecoveryPointNotUsable", &[])?;
    }
    let second = reconcile(&system).await?;
    ensure!(started(&second) == [points[0].as_str()] && second["triedBefore"] == 2, "{second}");
    for execution in system.cloud.executions() {
        assert_failed(&system.finished(&execution).await?, "RecoveryPointNotUsable", &[])?;
    }
    let third = reconcile(&system).await?;
    ensure!(started(&third).is_empty() && third["triedBefore"] == 3 && third["left"] == 0, "{third}");
    ensure!(system.cloud.executions().len() == 3, "an export that failed was begun again");
    system.reap().await?;
    system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_counted_and_left_alone() -> Result<()> {
    let system = System::start(Settings::default().with("RESOURCE_TYPES", r#"["EC2"]"#)).await?;
    broken(&system, 1)?;
    let unfinished =
        RecoveryPointOptions { status: "PARTIAL".into(), resource_type: Some("EC2".into()), ..Default::default() };
    system.cloud.add_recovery_point(VAULT, "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0", unfinished)?;
    let report = reconcile(&system).await?;
    ensure!(report["otherTypes"] == json!({"EBS": 1}) && report["notUsable"] == 1, "{report}");
    ensure!(report["recoveryPoints"] == 2 && system.cloud.executions().is_empty(), "{report}");
    system.shutdown_clean().await
}
