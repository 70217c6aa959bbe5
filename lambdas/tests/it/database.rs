//! Databases: made once, under names that are found again, with a password that nobody sees, and gone afterwards.

use domain::claim::Claim;
use domain::failure::{CaughtError, Error, Kind};
use domain::plan::Plan;
use domain::source::SnapshotKind;
use jiff::SignedDuration;
use lambdas::cleanup::{Cleanup, CleanupRequest, CleanupState};
use lambdas::metric::Emitter;
use lambdas::reaper::{Reaper, ReaperReport};
use lambdas::restore::{Restore, RestoreRequest, RestoreState};
use serde_json::json;

use crate::cleanup::cleaner;
use crate::cloud::Cloud;
use crate::sample::{DATABASE_SNAPSHOT, database, mysql, names, now, plan, reaper_settings};

pub(crate) fn request(plan: &Plan, restore: Option<Restore>) -> RestoreRequest {
    // What the state machine carries is what the Lambda reads.
    let restore = restore.map(|restore| serde_json::from_value(serde_json::to_value(restore).unwrap()).unwrap());
    RestoreRequest { unit: plan.units[0].clone(), plan: plan.clone(), restore }
}

pub(crate) async fn start(cloud: &Cloud, plan: &Plan) -> Restore {
    cloud.restorer().start(request(plan, None)).await.unwrap()
}

pub(crate) async fn look(cloud: &Cloud, plan: &Plan, restore: Restore) -> Result<Restore, Error> {
    cloud.restorer().check(request(plan, Some(restore)), now()).await
}

fn set_instance(cloud: &Cloud, status: &str) {
    cloud.edit(|state| state.databases.instances.values_mut().for_each(|known| status.clone_into(known)));
}

pub(crate) fn said(cloud: &Cloud, action: &str) -> Vec<std::collections::BTreeMap<String, String>> {
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
        ("DBSnapshotIdentifier", DATABASE_SNAPSHOT),
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
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(said(&cloud, restore).is_empty(), "restored before the group says what it must");
        start(&cloud, &plan).await;
        start(&cloud, &plan).await;
        assert_eq!(
            cloud.edit(|state| state.databases.parameter_groups.clone()),
            [((kind == SnapshotKind::AuroraCluster, names().instance()), true)].into()
        );
        let made = &said(&cloud, create)[0];
        assert!(made["DBParameterGroupFamily"].ends_with("mysql8.0"), "{made:?}");
        assert!(made.contains_key("Tags.Tag.1.Key"), "{made:?}");
        let called = &said(&cloud, restore)[0];
        assert!(
            called.iter().any(|(field, value)| field.ends_with("ParameterGroupName") && *value == names().instance())
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
    assert_eq!(restore.state, RestoreState::Pending);
    set_instance(&cloud, "available");
    // An answer that is lost makes no second password.
    cloud.lose_answer("ssm:PutParameter");
    restore = look(&cloud, &plan, restore).await.unwrap();
    let parameters = cloud.edit(|state| state.databases.parameters.clone());
    assert_eq!(parameters.len(), 1);
    let (name, password) = parameters.first_key_value().unwrap();
    assert_eq!(*name, names().password_parameter("/backup-export/"));
    assert!((16..=41).contains(&password.len()));
    assert_eq!(said(&cloud, "ModifyDBInstance")[0]["MasterUserPassword"], *password);

    set_instance(&cloud, "resetting-master-credentials");
    restore = look(&cloud, &plan, restore).await.unwrap();
    set_instance(&cloud, "available");
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, RestoreState::Pending, "the change is pending still");
    cloud.edit(|state| state.databases.resetting = false);
    restore = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(restore.state, RestoreState::Pending, "RDS shows available for a moment before it begins");
    let ready = look(&cloud, &plan, restore).await.unwrap();
    assert_eq!(ready.state, RestoreState::Ready);
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
    assert_eq!(call["DBClusterIdentifier"], names().cluster());
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
    assert_eq!(call["DBClusterSnapshotIdentifier"], DATABASE_SNAPSHOT);
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
        assert_eq!(error.kind(), Kind::RestoreFailed);
        assert!(error.chain().contains(status) && error.chain().contains("describe-events"), "{error}");
    }
    let cloud = Cloud::new();
    let plan = database(SnapshotKind::Instance);
    let restore = look(&cloud, &plan, start(&cloud, &plan).await).await.unwrap();
    let late = now() + SignedDuration::from_secs(3_601);
    let error = cloud.restorer().check(request(&plan, Some(restore)), late).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RestoreTimedOut);
    for word in ["orders", "creating", "DATABASE_RESTORE_TIMEOUT_HOURS"] {
        assert!(error.chain().contains(word), "{error}");
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
        assert_eq!(error.kind(), kind, "{code}: {error}");
    }
    let cloud = Cloud::new();
    cloud.fail("rds:RestoreDBInstanceFromDBSnapshot", 1, 400, "InsufficientDBInstanceCapacity");
    let plan = database(SnapshotKind::Instance);
    start(&cloud, &plan).await;
    let zone = plan.placements[1].availability_zone.as_str();
    assert_eq!(said(&cloud, "RestoreDBInstanceFromDBSnapshot")[0]["AvailabilityZone"], zone);
}

pub(crate) async fn clean(cloud: &Cloud, plan: &Plan) -> (Cleanup, Vec<String>) {
    cloud.put(&plan.claim_key, Claim::new(plan.clone(), now()).to_json());
    let failure = Some(CaughtError { error: "RestoreFailed".into(), cause: r#"{"errorMessage": "no"}"#.into() });
    let mut seen = Vec::new();
    let mut cleanup = None;
    loop {
        let request = CleanupRequest { plan: plan.clone(), failure: failure.clone(), cleanup, release: false };
        let turn = cleaner(cloud).run(request).await.unwrap();
        seen.extend(turn.remaining.clone());
        if turn.state != CleanupState::Pending {
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
        databases.instances.insert(names().instance(), "creating".into());
        databases.clusters.insert(names().cluster(), "available".into());
        databases.parameters.insert(names().password_parameter("/backup-export/"), "secret".into());
        databases.instances.insert("production".into(), "available".into());
    });
    cloud.edit(|state| state.databases.instances.remove("production"));
    let (cleanup, seen) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, CleanupState::Done);
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
            databases.instances.insert(names().instance(), "available".into());
            if kind == SnapshotKind::AuroraCluster {
                databases.clusters.insert(names().cluster(), "available".into());
            }
            let of_cluster = kind == SnapshotKind::AuroraCluster;
            databases.parameter_groups.insert((of_cluster, names().parameter_group()), true);
            databases.parameter_groups.insert((!of_cluster, names().instance()), true);
        });
        let (cleanup, _) = clean(&cloud, &plan).await;
        assert_eq!(cleanup.state, CleanupState::Done, "{cleanup:?}");
        assert!(
            cleanup.removed.contains(&format!("parameter group {}", names().parameter_group())),
            "{:?}",
            cleanup.removed
        );
        // That of the other kind is not its own.
        let left = [((kind != SnapshotKind::AuroraCluster, names().instance()), true)].into();
        assert_eq!(cloud.edit(|state| state.databases.parameter_groups.clone()), left);
    }
}

#[tokio::test]
async fn a_parameter_group_that_does_not_go_is_tried_again_and_told() {
    let cloud = Cloud::new();
    let plan = mysql(SnapshotKind::Instance);
    cloud.edit(|state| state.databases.parameter_groups.insert((false, names().instance()), true));
    // RDS takes it for used for a while after its server is gone.
    cloud.fail("rds:DeleteDBParameterGroup", 2, 400, "InvalidDBParameterGroupState");
    let (cleanup, seen) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, CleanupState::Done);
    assert!(seen.iter().any(|what| what.contains("parameter group") && what.contains("in use")), "{seen:?}");

    cloud.edit(|state| state.databases.parameter_groups.insert((false, names().instance()), true));
    cloud.fail("rds:DeleteDBParameterGroup", 999, 403, "AccessDenied");
    let (cleanup, _) = clean(&cloud, &plan).await;
    assert_eq!(cleanup.state, CleanupState::GaveUp);
    assert!(cleanup.remaining[0].contains("delete the parameter group"), "{:?}", cleanup.remaining);
}

#[tokio::test]
async fn refusals_of_parameter_groups_are_told_apart() {
    for (call, code, kind) in [
        ("CreateDBParameterGroup", "DBParameterGroupQuotaExceeded", Kind::Throttled),
        ("CreateDBParameterGroup", "InvalidParameterValue", Kind::RestoreFailed),
        ("CreateDBParameterGroup", "AccessDenied", Kind::AccessDenied),
        ("ModifyDBParameterGroup", "DBParameterGroupNotFound", Kind::Unavailable),
        ("ModifyDBParameterGroup", "InvalidDBParameterGroupState", Kind::Unavailable),
        ("DescribeDBParameters", "AccessDenied", Kind::AccessDenied),
        ("RestoreDBInstanceFromDBSnapshot", "DBParameterGroupNotFound", Kind::Unavailable),
    ] {
        let cloud = Cloud::new();
        cloud.fail(&format!("rds:{call}"), 999, 400, code);
        let error = cloud.restorer().start(request(&mysql(SnapshotKind::Instance), None)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{call} {code}: {error}");
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
            databases.instances.insert(names().instance(), "available".into());
            databases.clusters.insert(names().cluster(), "available".into());
        });
        let (cleanup, _) = clean(&cloud, &plan).await;
        assert_eq!(cleanup.state, CleanupState::Done, "{cleanup:?}");
        assert!(cloud.edit(|state| state.databases.instances.is_empty() && state.databases.clusters.is_empty()));
        let asked: Vec<_> =
            said(&cloud, "DeleteDBCluster").iter().map(|call| call["DeleteAutomatedBackups"].clone()).collect();
        assert_eq!(asked, ["true", "false"]);
    }
}

async fn reap(cloud: &Cloud) -> Result<ReaperReport, Error> {
    let settings = reaper_settings(&["RDS", "DynamoDB"]);
    let sfn = aws_sdk_sfn::Client::new(&cloud.config());
    let metrics = Emitter::new(|_| {});
    Reaper { cleaner: cleaner(cloud), sfn, settings, metrics }.run(&json!({}), now()).await
}

#[tokio::test]
async fn what_came_after_its_cleanup_is_found_by_its_name() {
    let cloud = Cloud::new();
    let installation = domain::name::installation("arn:aws:states:us-east-1:123456789012:stateMachine:another");
    let elsewhere = format!("exp-0123456789abcdef0123-{installation}01234567-db");
    cloud.edit(|state| {
        let databases = &mut state.databases;
        databases.instances.insert(names().instance(), "available".into());
        databases.instances.insert(elsewhere.clone(), "available".into());
        databases.instances.insert("production".into(), "available".into());
        databases.parameters.insert(names().password_parameter("/backup-export/"), "secret".into());
        databases.parameters.insert("/backup-export/by-hand".into(), "secret".into());
        for of_cluster in [false, true] {
            databases.parameter_groups.insert((of_cluster, names().parameter_group()), true);
            databases.parameter_groups.insert((of_cluster, "production".into()), true);
        }
        databases.tasks.insert(names().export_task(), "IN_PROGRESS".into());
        databases.tasks.insert("by-hand".into(), "IN_PROGRESS".into());
        databases.tables.insert(names().temporary_table(), "ACTIVE".into());
        databases.tables.insert("orders".into(), "ACTIVE".into());
    });
    // While it is claimed somebody works with it.
    cloud.put(&plan().claim_key, "{}");
    assert!(reap(&cloud).await.is_err(), "a claim that cannot be read is told");
    assert_eq!(cloud.edit(|state| state.databases.instances.len()), 3);
    cloud.edit(|state| state.objects.clear());
    assert_eq!(reap(&cloud).await.unwrap_err().kind(), Kind::StillCleaning, "a deletion is looked at again");
    assert!(reap(&cloud).await.unwrap().orphans.is_empty());
    cloud.edit(|state| {
        let databases = &state.databases;
        assert_eq!(databases.instances.keys().collect::<Vec<_>>(), [&elsewhere, "production"]);
        assert_eq!(databases.parameters.keys().collect::<Vec<_>>(), ["/backup-export/by-hand"]);
        assert_eq!(databases.tables.keys().collect::<Vec<_>>(), ["orders"]);
        assert!(databases.parameter_groups.keys().map(|(_, name)| name.as_str()).eq(["production", "production"]));
        assert_eq!(databases.tasks[&names().export_task()], "CANCELED");
        assert_eq!(databases.tasks["by-hand"], "IN_PROGRESS");
    });
}
