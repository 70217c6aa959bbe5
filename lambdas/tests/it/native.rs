//! What AWS exports itself, snapshots as Parquet and tables: begun once, waited for, and ended with its execution.

use domain::claim::Claim;
use domain::failure::Kind;
use domain::key::NATIVE_LISTING;
use domain::manifest::{Manifest, Native, SmallObject};
use domain::source::TableOrigin;
use lambdas::cleanup::CleanupState;
use lambdas::restore::RestoreState;

use crate::cloud::Cloud;
use crate::database::{clean, look, request, said, start};
use crate::sample::{backup, manifest, names, now, parquet, table};

#[tokio::test]
async fn an_export_task_waits_for_one_of_five_slots() {
    let cloud = Cloud::new();
    let plan = parquet();
    cloud.edit(|state| {
        let tasks = (0..5).map(|number| (format!("other-{number}"), "IN_PROGRESS".to_owned()));
        state.databases.tasks.extend(tasks);
        state.databases.tasks.insert("old".into(), "COMPLETE".into());
    });
    let mut restore = start(&cloud, &plan).await;
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(cloud.calls("rds:StartExportTask"), 0);
    cloud.edit(|state| state.databases.tasks.remove("other-0"));
    cloud.lose_answer("rds:StartExportTask");
    restore = look(&cloud, &plan, restore).await.unwrap();
    let call = &said(&cloud, "StartExportTask")[0];
    assert_eq!(call["S3Prefix"], plan.units[0].prefix.as_str().trim_end_matches('/'));
    restore = look(&cloud, &plan, restore).await.unwrap();
    cloud.edit(|state| state.databases.tasks.values_mut().for_each(|status| *status = "COMPLETE".into()));
    let ready = look(&cloud, &plan, restore).await.unwrap();
    let objects = format!("s3://exports/{}{}/", plan.units[0].prefix, names().export_task());
    assert_eq!(ready.command[..3], ["record".to_owned(), "--objects".into(), objects]);
}

#[tokio::test]
async fn an_export_task_that_failed_says_why() {
    let cloud = Cloud::new();
    let plan = parquet();
    let mut restore = look(&cloud, &plan, start(&cloud, &plan).await).await.unwrap();
    restore = look(&cloud, &plan, restore).await.unwrap();
    cloud.edit(|state| state.databases.tasks.values_mut().for_each(|status| *status = "FAILED".into()));
    let error = look(&cloud, &plan, restore).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NativeExportFailed);
    assert!(error.chain().contains("the disk is broken"), "{error}");
}

#[tokio::test]
async fn a_backup_becomes_a_table_of_its_own_and_that_is_exported() {
    let cloud = Cloud::new();
    let plan = backup();
    cloud.lose_answer("dynamodb:RestoreTableFromBackup");
    let mut restore = start(&cloud, &plan).await;
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(cloud.calls("dynamodb:UpdateContinuousBackups"), 0);
    cloud.edit(|state| state.databases.tables.values_mut().for_each(|status| *status = "ACTIVE".into()));
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert!(said(&cloud, "TagResource")[0]["body"].contains(plan.execution.as_str()));
    restore = look(&cloud, &plan, restore).await.unwrap();
    let call: serde_json::Value = serde_json::from_str(&said(&cloud, "ExportTableToPointInTime")[0]["body"]).unwrap();
    let arn = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}", names().temporary_table());
    assert_eq!(call["TableArn"], arn);
    assert_eq!(call["ExportFormat"], "DYNAMODB_JSON");
    assert!(call.get("ExportTime").is_none() && call["ClientToken"].is_string());
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, RestoreState::Pending);
    cloud.edit(|state| state.databases.exports.values_mut().for_each(|(status, _)| *status = "COMPLETED".into()));
    let ready = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(ready.command[2], format!("s3://exports/{}AWSDynamoDB/0169/", plan.units[0].prefix));
}

#[tokio::test]
async fn a_live_table_is_exported_only_as_it_was_at_the_backups_time() {
    let cloud = Cloud::new();
    let plan = table(TableOrigin::LiveTable { at: now() });
    start(&cloud, &plan).await;
    let call: serde_json::Value = serde_json::from_str(&said(&cloud, "ExportTableToPointInTime")[0]["body"]).unwrap();
    assert_eq!(call["ExportTime"].as_i64(), Some(now().as_second()));
    assert_eq!(cloud.calls("dynamodb:RestoreTableFromBackup"), 0);
    cloud.fail("dynamodb:ExportTableToPointInTime", 9, 400, "PointInTimeRecoveryUnavailableException");
    let error = cloud.restorer().start(request(&plan, None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidSettings);
    assert!(error.chain().contains("DYNAMODB_NATIVE"), "{error}");
}

#[tokio::test]
async fn an_export_that_failed_says_why() {
    let cloud = Cloud::new();
    let plan = table(TableOrigin::LiveTable { at: now() });
    let restore = start(&cloud, &plan).await;
    cloud.edit(|state| state.databases.exports.values_mut().for_each(|(status, _)| *status = "FAILED".into()));
    let error = look(&cloud, &plan, restore).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NativeExportFailed);
    assert!(error.chain().contains("S3NoSuchBucket: no bucket"), "{error}");
}

#[tokio::test]
async fn what_aws_still_writes_is_ended_or_waited_for() {
    let cloud = Cloud::new();
    let plan = parquet();
    cloud.edit(|state| state.databases.tasks.insert(names().export_task(), "IN_PROGRESS".into()));
    let (cleanup, _) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, CleanupState::Done);
    assert_eq!(cloud.calls("rds:CancelExportTask"), 1);

    let cloud = Cloud::new();
    let plan = backup();
    let prefix = plan.units[0].prefix.as_str().trim_end_matches('/').to_owned();
    cloud.edit(|state| {
        state.databases.tables.insert(names().temporary_table(), "CREATING".into());
        state.databases.exports.insert("arn:ours".into(), ("IN_PROGRESS".into(), prefix));
        state.databases.exports.insert("arn:theirs".into(), ("IN_PROGRESS".into(), "elsewhere".into()));
    });
    let (cleanup, _) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, CleanupState::GaveUp, "an export that runs may write again");
    assert!(cleanup.remaining[0].contains("arn:ours") && cleanup.remaining.len() == 1, "{:?}", cleanup.remaining);
    assert!(cloud.edit(|state| state.databases.tables.is_empty()));
    cloud.edit(|state| state.databases.exports.values_mut().for_each(|(status, _)| *status = "COMPLETED".into()));
    assert_eq!(clean(&cloud, &plan).await.0.state, CleanupState::Done);
}

#[tokio::test]
async fn what_aws_wrote_a_second_time_goes_and_what_the_manifest_vouches_for_stays() {
    for plan in [parquet(), backup()] {
        let cloud = Cloud::new();
        cloud.put(&plan.claim_key, Claim::new(plan.clone(), now()).to_json());
        let prefix = &plan.units[0].prefix;
        let mut manifest = Manifest::parse(manifest().as_bytes(), "").unwrap();
        let listing = SmallObject { key: prefix.key(NATIVE_LISTING), ..manifest.artifacts[0].index.clone() };
        manifest.artifacts.clear();
        manifest.native = Some(Native {
            format: "parquet".into(),
            export: "first".into(),
            prefix: prefix.key("first/"),
            objects: 1,
            bytes: 4,
            items: 1,
            tables: Vec::new(),
            listing,
        });
        cloud.put(&plan.units[0].manifest_key(), manifest.to_json());
        let first = [NATIVE_LISTING, "first/1.parquet"].map(|name| prefix.key(name));
        let second = ["first-not/1.parquet", "second/1.parquet", "second/_SUCCESS"].map(|name| prefix.key(name));
        first.iter().chain(&second).for_each(|key| cloud.put(key, "rows"));
        let (cleanup, _) = clean(&cloud, &plan).await;
        assert_eq!(cleanup.state, CleanupState::Done);
        assert_eq!(cleanup.removed, second.map(|key| format!("object {key}")));
        assert!(first.iter().all(|key| cloud.object(key).is_some()), "{:?}", cloud.keys());
        assert!(cloud.object(&plan.units[0].manifest_key()).is_some());
    }
}
