//! DynamoDB: backups, restores and exports, as boto3 sees them.

use std::time::{Duration, Instant};

use crate::support::{LONG, aws, aws_fails, cloud, run, stack};
use local_cloud::{LocalCloud, Options, RecoveryPointOptions, TableExportFate, TableFate};

/// Runs a function of the fixture, which must succeed; what it printed.
async fn table(cloud: &LocalCloud, arguments: &[&str]) -> String {
    let mut all = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/table.py")];
    all.extend(arguments);
    let (code, text) = run(cloud, "python", &all).await;
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text.trim().to_owned()
}

/// A cloud in which states last long enough to be seen on a busy machine.
async fn slow_cloud() -> LocalCloud {
    let long = Duration::from_secs(3);
    let options = Options { table_creation: long, table_deletion: long, restore_job: long, ..Options::default() };
    let cloud = LocalCloud::start(options).await.unwrap();
    cloud.deploy(&stack(&cloud)).await.unwrap();
    cloud
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_a_table_of_its_own_and_goes_again() {
    let cloud = slow_cloud().await;
    table(&cloud, &["make", "orders", "25"]).await;
    let arn = cloud.add_dynamodb_recovery_point("vault", "orders", RecoveryPointOptions::default()).await.unwrap();
    assert!(arn.starts_with(&cloud.names().arn("dynamodb", "table/orders/backup/0")), "{arn}");
    let point = cloud.recovery_point("vault", &arn).unwrap();
    assert_eq!(
        (point["ResourceType"].as_str(), point["ResourceArn"].as_str()),
        (Some("DynamoDB"), Some(cloud.names().arn("dynamodb", "table/orders").as_str()))
    );
    table(&cloud, &["spoil", "orders"]).await;
    table(&cloud, &["lifecycle", &arn, "25"]).await;
    assert!(cloud.leftovers().unwrap().is_empty());
    let tables = cloud.tables().await.unwrap();
    assert_eq!(tables.len(), 1);
    assert_eq!((tables[0].name.as_str(), tables[0].tags["team"].as_str()), ("orders", "shop"));
    // The backup outlives its table, and goes with its recovery point.
    table(&cloud, &["delete", "orders"]).await;
    table(&cloud, &["start", &arn, "again"]).await;
    assert_eq!(cloud.leftovers().unwrap().tables, ["again"]);
    aws(&cloud, &format!("backup delete-recovery-point --backup-vault-name vault --recovery-point-arn {arn}")).await;
    let restore = format!("dynamodb restore-table-from-backup --target-table-name other --backup-arn {arn}");
    assert!(aws_fails(&cloud, &restore).await.contains("BackupNotFoundException"));
    let names = cloud.requests().all();
    assert!(names.iter().any(|each| each.service == "dynamodb" && each.resource == "again"), "{names:?}");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_laid_out_as_dynamodb_does_it() {
    let cloud = cloud().await;
    table(&cloud, &["make", "orders", "40"]).await;
    table(&cloud, &["exports", "orders", "40"]).await;
    table(&cloud, &["paged"]).await;
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_exports_show() {
    let cloud = cloud().await;
    table(&cloud, &["make", "orders", "10"]).await;
    let failed = TableExportFate::Failed { code: "S3AccessDenied".to_owned(), message: "Access Denied".to_owned() };
    for (fate, expected) in [
        (TableExportFate::Completed, "good 10"),
        (failed, "S3AccessDenied Access Denied"),
        (TableExportFate::LosesDataFile, "NoSuchKey"),
        (TableExportFate::CorruptsDataFile, "a data file is not what the manifest says"),
        (TableExportFate::LosesItem, "good 9"),
        (TableExportFate::MiscountsItems, "another number of items"),
    ] {
        cloud.decide_table_export(fate.clone());
        let told = table(&cloud, &["export", "orders"]).await;
        assert!(told.contains(expected), "{fate:?}: {told}");
    }
    cloud.decide_table_export(TableExportFate::Stuck);
    let arn = cloud.names().arn("dynamodb", "table/orders");
    aws(&cloud, &format!("dynamodb export-table-to-point-in-time --table-arn {arn} --s3-bucket bucket")).await;
    let left = cloud.leftovers().unwrap().table_exports;
    assert!(left.len() == 1 && left[0].starts_with(&arn), "{left:?}");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vaulted_backup_is_restored_by_a_job_alone() {
    let cloud = slow_cloud().await;
    table(&cloud, &["make", "orders", "12"]).await;
    let tags = [("kept".to_owned(), "yes".to_owned())].into();
    let options = RecoveryPointOptions { tags, ..Default::default() };
    let arn = cloud.add_vaulted_dynamodb_recovery_point("vault", "orders", options).await.unwrap();
    assert!(arn.starts_with(&cloud.names().arn("backup", "recovery-point:")), "{arn}");
    table(&cloud, &["delete", "orders"]).await;
    table(&cloud, &["vaulted", &arn, "12"]).await;
    assert!(table(&cloud, &["job", &arn, "copy"]).await.contains("FAILED TableAlreadyExistsException"));
    let failing = RecoveryPointOptions { restored_table: TableFate::Failed, ..Default::default() };
    let arn = cloud.add_vaulted_dynamodb_recovery_point("vault", "copy", failing).await.unwrap();
    assert!(table(&cloud, &["job", &arn, "other"]).await.starts_with("FAILED"));
    assert_eq!(cloud.leftovers().unwrap().tables, ["copy"]);
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_can_be_stuck_until_a_test_lets_it_go() {
    let cloud = cloud().await;
    table(&cloud, &["make", "orders", "1"]).await;
    let stuck = RecoveryPointOptions { restored_table: TableFate::Stuck, ..Default::default() };
    let arn = cloud.add_dynamodb_recovery_point("vault", "orders", stuck).await.unwrap();
    table(&cloud, &["start", &arn, "copy"]).await;
    let started = Instant::now();
    let status = async || cloud.tables().await.unwrap().into_iter().find(|table| table.name == "copy").unwrap().status;
    while started.elapsed() < Duration::from_secs(1) {
        assert_eq!(status().await, "CREATING");
    }
    assert!(cloud.release_table("copy"));
    assert!(!cloud.release_table("copy"), "it is not CREATING any more");
    while status().await != "ACTIVE" {
        assert!(started.elapsed() < LONG);
    }
    table(&cloud, &["delete", "copy"]).await;
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}
