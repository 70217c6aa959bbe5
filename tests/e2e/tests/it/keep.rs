//! What the settings keep stays in the vault, is no failure, and the catalog says why.

use anyhow::{Result, ensure};
use domain::conclusion::CatalogRow;
use domain::key::EXPORTS;
use e2e::Settings;
use e2e::scene::{Scene, assert_succeeded};
use e2e::stack::{BUCKET, VAULT};
use local_cloud::RecoveryPointOptions;

/// Exports with deletion on; whether the recovery point is there afterwards, and what the catalog says of it.
async fn export(settings: Settings, options: RecoveryPointOptions, others: u32) -> Result<(bool, CatalogRow)> {
    let settings = settings.with("DELETE_RECOVERY_POINT", "true");
    let scene = Scene::with(settings, options).await?;
    let cloud = &scene.system.cloud;
    let resource = cloud.recovery_point(VAULT, &scene.arn).unwrap_or_default()["ResourceArn"].clone();
    for number in 0..others {
        let arn = format!("arn:aws:ec2:us-east-1::snapshot/snap-{number:017x}");
        let resource_arn = resource.as_str().map(str::to_owned);
        let options =
            RecoveryPointOptions { resource_type: Some("EBS".into()), resource_arn, ..RecoveryPointOptions::default() };
        cloud.add_recovery_point(VAULT, &arn, options)?;
    }
    let execution = scene.system.export(&scene.arn).await?;
    assert_succeeded(&execution)?;
    let is_there = cloud.recovery_point(VAULT, &scene.arn).is_some();
    let rows = cloud.objects(BUCKET, EXPORTS)?;
    ensure!(rows.len() == 1, "{} rows", rows.len());
    let row: CatalogRow = serde_json::from_slice(&cloud.object(BUCKET, &rows[0].key)?)?;
    let said = execution.output.unwrap_or_default();
    ensure!(said["recoveryPointDeleted"] == row.recovery_point_deleted, "{said}");
    ensure!(said["recoveryPointKept"].as_str() == row.recovery_point_kept.as_deref(), "{said}");
    ensure!(row.recovery_point_deleted != is_there, "the row is wrong: {row:?}");
    scene.assert_only_the_export_left().await?;
    Ok((is_there, row))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_recovery_points_stay() -> Result<()> {
    let minimum = || Settings::default().with("MINIMUM_RECOVERY_POINTS", "2");
    let (is_there, row) = export(minimum(), RecoveryPointOptions::default(), 1).await?;
    let why = row.recovery_point_kept.unwrap_or_default();
    ensure!(is_there && why.contains("MINIMUM_RECOVERY_POINTS is 2"), "{why}");
    let (is_there, row) = export(minimum(), RecoveryPointOptions::default(), 2).await?;
    ensure!(!is_there && row.recovery_point_kept.is_none(), "{row:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_tag_a_recovery_point_stays() -> Result<()> {
    let tagged = || Settings::default().with("DELETE_ONLY_TAGGED", "exported-may-go");
    let (is_there, row) = export(tagged(), RecoveryPointOptions::default(), 0).await?;
    let why = row.recovery_point_kept.unwrap_or_default();
    ensure!(is_there && why.contains("exported-may-go"), "{why}");
    let tags = [("exported-may-go".to_owned(), "true".to_owned())].into();
    let (is_there, _) = export(tagged(), RecoveryPointOptions { tags, ..Default::default() }, 0).await?;
    ensure!(!is_there, "a tagged recovery point was kept");
    Ok(())
}
