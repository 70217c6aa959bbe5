//! Databases and tables: made once, under names that are found again, with a password that nobody sees, and gone afterwards.

use backup_export_lambdas::cleanup::{self, Cleanup};
use backup_export_lambdas::error::Error;
use backup_export_lambdas::metric::Emitter;
use backup_export_lambdas::reaper::{self, Reaper};
use backup_export_lambdas::restore::{Request, Restore, State};
use domain::claim::Claim;
use domain::failure::{CaughtError, Kind};
use domain::key::NATIVE_LISTING;
use domain::manifest::{Manifest, Native, SmallObject};
use domain::plan::{Plan, Unit};
use domain::source::{
    DatabaseSource, Engine, ParameterGroup, SnapshotExportSource, SnapshotKind, Source, TableFormat, TableOrigin,
    TableSource,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::cleanup::cleaner;
use crate::cloud::Cloud;
use crate::sample::{manifest, now, plan};

const SNAPSHOT: &str = "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e";

/// The sample plan, of this source instead.
fn plan_of(source: Source) -> Plan {
    let plan = plan();
    let unit = Unit { key: "orders".into(), source, restore_timeout_seconds: 3_600, ..plan.units[0].clone() };
    Plan { units: vec![unit], ..plan }
}

fn names() -> String {
    plan().job_name_prefix()
}

fn database(kind: SnapshotKind) -> Plan {
    let is_aurora = kind == SnapshotKind::AuroraCluster;
    plan_of(Source::Database(DatabaseSource {
        snapshot_arn: SNAPSHOT.into(),
        snapshot_kind: kind,
        engine: if is_aurora { Engine::AuroraPostgresql } else { Engine::Postgres },
        engine_version: "15.7".into(),
        size_gib: 20,
        kms_key_id: None,
        master_user: "admin_user".into(),
        instance_id: format!("{}db", names()),
        cluster_id: is_aurora.then(|| format!("{}cluster", names())),
        password_parameter: format!("/backup-export/{}db", names()),
        instance_class: "db.t4g.medium".into(),
        storage_type: Some("gp3".into()),
        iops: None,
        subnet_group: "private".into(),
        security_groups: vec!["sg-1".into()],
        parameter_group: None,
    }))
}

/// The same of MySQL, which needs a parameter group.
fn mysql(kind: SnapshotKind) -> Plan {
    let mut plan = database(kind);
    if let Source::Database(source) = &mut plan.units[0].source {
        let engine = if source.cluster_id.is_some() { Engine::AuroraMysql } else { Engine::Mysql };
        let group = ParameterGroup { name: source.instance_id.clone(), family: format!("{engine}8.0") };
        *source = DatabaseSource { engine, parameter_group: Some(group), ..source.clone() };
    }
    plan
}

fn parquet() -> Plan {
    plan_of(Source::SnapshotExport(SnapshotExportSource {
        snapshot_arn: SNAPSHOT.into(),
        engine: Engine::Mysql,
        engine_version: "8.0".into(),
        size_gib: 20,
        task_id: format!("{}parquet", names()),
        role_arn: "arn:aws:iam::123456789012:role/export".into(),
        kms_key_id: "key-1".into(),
    }))
}

fn table(origin: TableOrigin) -> Plan {
    plan_of(Source::Table(TableSource {
        table_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders".into(),
        origin,
        format: TableFormat::DynamodbJson,
        size_bytes: None,
    }))
}

fn backup() -> Plan {
    table(TableOrigin::Backup {
        backup_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders/backup/0154".into(),
        restore_role_arn: None,
        temporary_table: format!("{}table", names()),
        temporary_table_arn: format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}table", names()),
    })
}

fn request(plan: &Plan, restore: Option<Restore>) -> Request {
    // What the state machine carries is what the Lambda reads.
    let restore = restore.map(|restore| serde_json::from_value(serde_json::to_value(restore).unwrap()).unwrap());
    Request { unit: plan.units[0].clone(), plan: plan.clone(), restore }
}

async fn start(cloud: &Cloud, plan: &Plan) -> Restore {
    cloud.restorer().start(request(plan, None)).await.unwrap()
}

async fn look(cloud: &Cloud, plan: &Plan, restore: Restore) -> Result<Restore, Error> {
    cloud.restorer().check(request(plan, Some(restore)), now()).await
}

fn set_instance(cloud: &Cloud, status: &str) {
    cloud.edit(|state| state.databases.instances.values_mut().for_each(|known| status.clone_into(known)));
}

fn said(cloud: &Cloud, action: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    cloud.edit(|state| {
        let said = state.databases.said.iter().filter(|(known, _)| known == action);
        said.map(|(_, fields)| fields.clone()).collect()
    })
}

#[tokio::test]
async fn an_instance_is_private_tagged_and_made_once() {
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::Instance);
    cloud.lose_answer("rds:RestoreDBInstanceFromDBSnapshot");
    start(&cloud, &plan).await;
    start(&cloud, &plan).await;
    assert_eq!(cloud.edit(|state| state.databases.instances.len()), 1);
    let call = &said(&cloud, "RestoreDBInstanceFromDBSnapshot")[0];
    for (field, value) in [
        ("DBSnapshotIdentifier", SNAPSHOT),
        ("PubliclyAccessible", "false"),
        ("DeletionProtection", "false"),
        ("MultiAZ", "false"),
        ("BackupRetentionPeriod", "0"),
        ("StorageType", "gp3"),
        ("DBSubnetGroupName", "private"),
        ("VpcSecurityGroupIds.VpcSecurityGroupId.1", "sg-1"),
        ("DBInstanceClass", "db.t4g.medium"),
        ("AvailabilityZone", plan.placements[0].availability_zone.as_str()),
    ] {
        assert_eq!(call.get(field).map(String::as_str), Some(value), "{field}: {call:?}");
    }
    let tags: Vec<&String> = call.iter().filter(|(key, _)| key.starts_with("Tags.")).map(|(_, value)| value).collect();
    assert!(tags.iter().any(|tag| *tag == plan.execution.as_str()), "{tags:?}");
}

#[tokio::test]
async fn a_server_with_events_starts_with_a_group_that_keeps_them_from_running() {
    for (kind, create, restore) in [
        (SnapshotKind::Instance, "CreateDBParameterGroup", "RestoreDBInstanceFromDBSnapshot"),
        (SnapshotKind::AuroraCluster, "CreateDBClusterParameterGroup", "RestoreDBClusterFromSnapshot"),
    ] {
        let cloud = Cloud::new();
        let plan = mysql(kind);
        cloud.lose_answer(&format!("rds:{create}"));
        cloud.edit(|state| state.databases.late_changes = 1);
        let error = cloud.restorer().start(request(&plan, None)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{error}");
        assert!(said(&cloud, restore).is_empty(), "restored before the group says what it must");
        start(&cloud, &plan).await;
        start(&cloud, &plan).await;
        assert_eq!(
            cloud.edit(|state| state.databases.parameter_groups.clone()),
            [(format!("{}db", names()), true)].into()
        );
        let made = &said(&cloud, create)[0];
        assert!(made["DBParameterGroupFamily"].ends_with("mysql8.0"), "{made:?}");
        assert!(made.contains_key("Tags.Tag.1.Key"), "{made:?}");
        let called = &said(&cloud, restore)[0];
        assert!(
            called
                .iter()
                .any(|(field, value)| field.ends_with("ParameterGroupName") && *value == format!("{}db", names()))
        );
        // What is set is not set again: a group that is in use may refuse it.
        let changes = said(&cloud, &create.replace("Create", "Modify")).len();
        assert_eq!(changes, 2, "one was late");
    }
}

#[tokio::test]
async fn the_password_is_set_kept_and_waited_for_and_never_told() {
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::Instance);
    let mut restore = start(&cloud, &plan).await;
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, State::Pending);
    set_instance(&cloud, "available");
    // An answer that is lost makes no second password.
    cloud.lose_answer("ssm:PutParameter");
    restore = look(&cloud, &plan, restore).await.unwrap();
    let parameters = cloud.edit(|state| state.databases.parameters.clone());
    assert_eq!(parameters.len(), 1);
    let (name, password) = parameters.first_key_value().unwrap();
    assert_eq!(*name, format!("/backup-export/{}db", names()));
    assert!((16..=41).contains(&password.len()));
    assert_eq!(said(&cloud, "ModifyDBInstance")[0]["MasterUserPassword"], *password);

    set_instance(&cloud, "resetting-master-credentials");
    restore = look(&cloud, &plan, restore).await.unwrap();
    set_instance(&cloud, "available");
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, State::Pending, "the change is pending still");
    cloud.edit(|state| state.databases.resetting = false);
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, State::Pending, "RDS shows available for a moment before it begins");
    let ready = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(ready.state, State::Ready);
    assert_eq!(ready.command[..5], ["database", "--host", "db.example", "--port", "5432"]);
    // The queue of the zone in which RDS says that it is.
    assert!(ready.job_queue.ends_with("/c"), "{}", ready.job_queue);
    for carried in [serde_json::to_string(&ready).unwrap(), format!("{ready:?}"), serde_json::to_string(&plan).unwrap()]
    {
        assert!(!carried.contains(password.as_str()), "{carried}");
    }
}

#[tokio::test]
async fn a_cluster_gets_an_instance_when_it_is_there() {
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::AuroraCluster);
    let mut restore = start(&cloud, &plan).await;
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert!(said(&cloud, "CreateDBInstance").is_empty());
    cloud.edit(|state| state.databases.clusters.values_mut().for_each(|status| *status = "available".into()));
    restore = look(&cloud, &plan, restore).await.unwrap();
    let call = &said(&cloud, "CreateDBInstance")[0];
    assert_eq!(call["DBClusterIdentifier"], format!("{}cluster", names()));
    assert!(!call.contains_key("MasterUserPassword"));
    set_instance(&cloud, "available");
    look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(said(&cloud, "ModifyDBCluster").len(), 1);
}

#[tokio::test]
async fn a_multi_az_cluster_becomes_an_instance() {
    let cloud = Cloud::new();
    start(&cloud, &database(SnapshotKind::MultiAzCluster)).await;
    let call = &said(&cloud, "RestoreDBInstanceFromDBSnapshot")[0];
    assert_eq!(call["DBClusterSnapshotIdentifier"], SNAPSHOT);
    assert!(!call.contains_key("DBSnapshotIdentifier"));
}

#[tokio::test]
async fn a_database_that_will_not_come_is_given_up_with_what_rds_says() {
    for status in ["failed", "incompatible-restore", "incompatible-network", "inaccessible-encryption-credentials"] {
        let cloud = Cloud::new();
        let plan = database(SnapshotKind::Instance);
        let restore = start(&cloud, &plan).await;
        set_instance(&cloud, status);
        let error = look(&cloud, &plan, restore).await.unwrap_err();
        assert_eq!(error.kind, Kind::RestoreFailed);
        assert!(error.message.contains(status) && error.message.contains("describe-events"), "{error}");
    }
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::Instance);
    let restore = look(&cloud, &plan, start(&cloud, &plan).await).await.unwrap();
    let late = now() + SignedDuration::from_secs(3_601);
    let error = cloud.restorer().check(request(&plan, Some(restore)), late).await.unwrap_err();
    assert_eq!(error.kind, Kind::RestoreTimedOut);
    for word in ["orders", "creating", "DATABASE_RESTORE_TIMEOUT_HOURS"] {
        assert!(error.message.contains(word), "{error}");
    }
}

#[tokio::test]
async fn refusals_of_rds_are_told_apart() {
    for (status, code, kind) in [
        (400, "InsufficientDBInstanceCapacity", Kind::Unavailable),
        (400, "InstanceQuotaExceeded", Kind::Throttled),
        (400, "Throttling", Kind::Throttled),
        (400, "DBSnapshotNotFound", Kind::SourceNotFound),
        (400, "InvalidDBSnapshotState", Kind::RecoveryPointNotUsable),
        (400, "KMSKeyNotAccessibleFault", Kind::RestoreFailed),
        (400, "InvalidParameterCombination", Kind::RestoreFailed),
        (403, "AccessDenied", Kind::AccessDenied),
        (500, "InternalFailure", Kind::Unavailable),
    ] {
        let cloud = Cloud::new();
        cloud.fail("rds:RestoreDBInstanceFromDBSnapshot", 99, status, code);
        let error = cloud.restorer().start(request(&database(SnapshotKind::Instance), None)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}: {error}");
    }
    let cloud = Cloud::new();
    cloud.fail("rds:RestoreDBInstanceFromDBSnapshot", 1, 400, "InsufficientDBInstanceCapacity");
    let plan = database(SnapshotKind::Instance);
    start(&cloud, &plan).await;
    let zone = plan.placements[1].availability_zone.as_str();
    assert_eq!(said(&cloud, "RestoreDBInstanceFromDBSnapshot")[0]["AvailabilityZone"], zone);
}

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
    let objects = format!("s3://exports/{}{}parquet/", plan.units[0].prefix, names());
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
    assert_eq!(error.kind, Kind::NativeExportFailed);
    assert!(error.message.contains("the disk is broken"), "{error}");
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
    let arn = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}table", names());
    assert_eq!(call["TableArn"], arn);
    assert_eq!(call["ExportFormat"], "DYNAMODB_JSON");
    assert!(call.get("ExportTime").is_none() && call["ClientToken"].is_string());
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, State::Pending);
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
    assert_eq!(error.kind, Kind::InvalidSettings);
    assert!(error.message.contains("DYNAMODB_NATIVE"), "{error}");
}

#[tokio::test]
async fn an_export_that_failed_says_why() {
    let cloud = Cloud::new();
    let plan = table(TableOrigin::LiveTable { at: now() });
    let restore = start(&cloud, &plan).await;
    cloud.edit(|state| state.databases.exports.values_mut().for_each(|(status, _)| *status = "FAILED".into()));
    let error = look(&cloud, &plan, restore).await.unwrap_err();
    assert_eq!(error.kind, Kind::NativeExportFailed);
    assert!(error.message.contains("S3NoSuchBucket: no bucket"), "{error}");
}

async fn clean(cloud: &Cloud, plan: &Plan) -> (Cleanup, Vec<String>) {
    cloud.put(&plan.claim_key, Claim::new(plan.clone(), now()).to_json());
    let failure = Some(CaughtError { error: "RestoreFailed".into(), cause: r#"{"errorMessage": "no"}"#.into() });
    let mut seen = Vec::new();
    let mut cleanup = None;
    loop {
        let request = cleanup::Request { plan: plan.clone(), failure: failure.clone(), cleanup, release: false };
        let turn = cleaner(cloud).run(request).await.unwrap();
        seen.extend(turn.remaining.clone());
        if turn.state != cleanup::State::Pending {
            return (turn, seen);
        }
        cleanup = Some(turn);
    }
}

#[tokio::test]
async fn instance_then_cluster_then_nothing_is_left() {
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::AuroraCluster);
    cloud.edit(|state| {
        let databases = &mut state.databases;
        databases.instances.insert(format!("{}db", names()), "creating".into());
        databases.clusters.insert(format!("{}cluster", names()), "available".into());
        databases.parameters.insert(format!("/backup-export/{}db", names()), "secret".into());
        databases.instances.insert("production".into(), "available".into());
    });
    cloud.edit(|state| state.databases.instances.remove("production"));
    let (cleanup, seen) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, cleanup::State::Done);
    assert_eq!(cleanup.removed.len(), 3, "{:?}", cleanup.removed);
    assert!(seen.iter().any(|what| what.contains("creating")), "{seen:?}");
    cloud.edit(|state| {
        let databases = &state.databases;
        assert!(databases.instances.is_empty() && databases.clusters.is_empty() && databases.parameters.is_empty());
    });
    assert_eq!(said(&cloud, "DeleteDBInstance")[0]["SkipFinalSnapshot"], "true");
}

#[tokio::test]
async fn a_parameter_group_goes_after_what_uses_it() {
    for kind in [SnapshotKind::Instance, SnapshotKind::AuroraCluster] {
        let cloud = Cloud::new();
        let plan = mysql(kind);
        cloud.edit(|state| {
            let databases = &mut state.databases;
            databases.instances.insert(format!("{}db", names()), "available".into());
            if kind == SnapshotKind::AuroraCluster {
                databases.clusters.insert(format!("{}cluster", names()), "available".into());
            }
            databases.parameter_groups.insert(format!("{}db", names()), true);
            databases.parameter_groups.insert("production".into(), true);
        });
        let (cleanup, _) = clean(&cloud, &plan).await;
        assert_eq!(cleanup.state, cleanup::State::Done, "{cleanup:?}");
        assert!(cleanup.removed.contains(&format!("parameter group {}db", names())), "{:?}", cleanup.removed);
        assert_eq!(cloud.edit(|state| state.databases.parameter_groups.clone()), [("production".into(), true)].into());
    }
}

#[tokio::test]
async fn automated_backups_that_are_not_ours_to_delete_keep_nothing_from_going() {
    for code in ["InvalidParameterCombination", "AccessDenied"] {
        let cloud = Cloud::new();
        let plan = mysql(SnapshotKind::AuroraCluster);
        cloud.edit(|state| {
            let databases = &mut state.databases;
            databases.keeps_backups = Some(code);
            databases.instances.insert(format!("{}db", names()), "available".into());
            databases.clusters.insert(format!("{}cluster", names()), "available".into());
        });
        let (cleanup, _) = clean(&cloud, &plan).await;
        assert_eq!(cleanup.state, cleanup::State::Done, "{cleanup:?}");
        assert!(cloud.edit(|state| state.databases.instances.is_empty() && state.databases.clusters.is_empty()));
        let asked: Vec<_> =
            said(&cloud, "DeleteDBCluster").iter().map(|call| call["DeleteAutomatedBackups"].clone()).collect();
        assert_eq!(asked, ["true", "false"]);
    }
}

#[tokio::test]
async fn what_aws_still_writes_is_ended_or_waited_for() {
    let cloud = Cloud::new();
    let plan = parquet();
    cloud.edit(|state| state.databases.tasks.insert(format!("{}parquet", names()), "IN_PROGRESS".into()));
    let (cleanup, _) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, cleanup::State::Done);
    assert_eq!(cloud.calls("rds:CancelExportTask"), 1);

    let cloud = Cloud::new();
    let plan = backup();
    let prefix = plan.units[0].prefix.as_str().trim_end_matches('/').to_owned();
    cloud.edit(|state| {
        state.databases.tables.insert(format!("{}table", names()), "CREATING".into());
        state.databases.exports.insert("arn:ours".into(), ("IN_PROGRESS".into(), prefix));
        state.databases.exports.insert("arn:theirs".into(), ("IN_PROGRESS".into(), "elsewhere".into()));
    });
    let (cleanup, _) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, cleanup::State::GaveUp, "an export that runs may write again");
    assert!(cleanup.remaining[0].contains("arn:ours") && cleanup.remaining.len() == 1, "{:?}", cleanup.remaining);
    assert!(cloud.edit(|state| state.databases.tables.is_empty()));
    cloud.edit(|state| state.databases.exports.values_mut().for_each(|(status, _)| *status = "COMPLETED".into()));
    assert_eq!(clean(&cloud, &plan).await.0.state, cleanup::State::Done);
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
        assert_eq!(cleanup.state, cleanup::State::Done);
        assert_eq!(cleanup.removed, second.map(|key| format!("object {key}")));
        assert!(first.iter().all(|key| cloud.object(key).is_some()), "{:?}", cloud.keys());
        assert!(cloud.object(&plan.units[0].manifest_key()).is_some());
    }
}

async fn reap(cloud: &Cloud) -> Result<reaper::Report, Error> {
    let settings = reaper::Settings {
        bucket: plan().bucket,
        bucket_owner: plan().bucket_owner,
        state_machine: "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export".into(),
        resource_types: ["RDS", "DynamoDB"].map(str::to_owned).into(),
        parameter_path: "/backup-export/".into(),
        settle: SignedDuration::from_mins(2),
    };
    let sfn = aws_sdk_sfn::Client::new(&cloud.config());
    let metrics = Emitter::new(|_| {});
    Reaper { cleaner: cleaner(cloud), sfn, settings, metrics }.run(&json!({}), now()).await
}

#[tokio::test]
async fn what_came_after_its_cleanup_is_found_by_its_name() {
    let cloud = Cloud::new();
    let installation = domain::id::installation("arn:aws:states:us-east-1:123456789012:stateMachine:another");
    let elsewhere = format!("exp-0123456789abcdef0123-{installation}01234567-db");
    cloud.edit(|state| {
        let databases = &mut state.databases;
        databases.instances.insert(format!("{}db", names()), "available".into());
        databases.instances.insert(elsewhere.clone(), "available".into());
        databases.instances.insert("production".into(), "available".into());
        databases.parameters.insert(format!("/backup-export/{}db", names()), "secret".into());
        databases.parameters.insert("/backup-export/by-hand".into(), "secret".into());
        databases.parameter_groups.insert(format!("{}db", names()), true);
        databases.parameter_groups.insert("production".into(), true);
        databases.tasks.insert(format!("{}parquet", names()), "IN_PROGRESS".into());
        databases.tasks.insert("by-hand".into(), "IN_PROGRESS".into());
        databases.tables.insert(format!("{}table", names()), "ACTIVE".into());
        databases.tables.insert("orders".into(), "ACTIVE".into());
    });
    // While it is claimed somebody works with it.
    cloud.put(&plan().claim_key, "{}");
    assert!(reap(&cloud).await.is_err(), "a claim that cannot be read is told");
    assert_eq!(cloud.edit(|state| state.databases.instances.len()), 3);
    cloud.edit(|state| state.objects.clear());
    assert_eq!(reap(&cloud).await.unwrap_err().kind, Kind::StillCleaning, "a deletion is looked at again");
    assert!(reap(&cloud).await.unwrap().orphans.is_empty());
    cloud.edit(|state| {
        let databases = &state.databases;
        assert_eq!(databases.instances.keys().collect::<Vec<_>>(), [&elsewhere, "production"]);
        assert_eq!(databases.parameters.keys().collect::<Vec<_>>(), ["/backup-export/by-hand"]);
        assert_eq!(databases.tables.keys().collect::<Vec<_>>(), ["orders"]);
        assert_eq!(databases.parameter_groups.keys().collect::<Vec<_>>(), ["production"]);
        assert_eq!(databases.tasks[&format!("{}parquet", names())], "CANCELED");
        assert_eq!(databases.tasks["by-hand"], "IN_PROGRESS");
    });
}
