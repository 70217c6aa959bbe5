//! How databases and tables are planned: by which method, under which names, and what is refused before anything is
//! created.

use std::collections::BTreeMap;

use domain::facts::{DatabaseFacts, Facts, Orderable, TableFacts};
use domain::failure::{Kind, Result};
use domain::name;
use domain::plan::{Plan, Restored};
use domain::settings::Settings;
use domain::source::{DatabaseSource, SnapshotKind, Source, TableOrigin};

use crate::sample::{self, facts, request, settings};

const RDS: &str = "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e";
const CLUSTER: &str = "arn:aws:rds:us-east-1:123456789012:cluster-snapshot:awsbackup:job-1f2e";
const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/backup/01543-ab";
const VAULTED: &str = "arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-34";

/// What `cdk deploy` sets for dumps.
const NETWORK: &[(&str, &str)] =
    &[("DATABASE_SUBNET_GROUP", "backup-export"), ("DATABASE_SECURITY_GROUPS", r#"["sg-1"]"#)];
/// And for Parquet.
const PARQUET: &[(&str, &str)] =
    &[("SNAPSHOT_EXPORT_ROLE_ARN", "arn:aws:iam::123456789012:role/export"), ("SNAPSHOT_EXPORT_KMS_KEY_ID", "key-1")];

fn database(engine: &str) -> Facts {
    let is_cluster = engine.starts_with("aurora") || engine == "docdb";
    let name = if is_cluster { "cluster:orders" } else { "db:orders" };
    let database = DatabaseFacts {
        status: "available".into(),
        is_cluster,
        engine: engine.into(),
        engine_version: "15.7".into(),
        size_gib: 20,
        master_user: "admin_user".into(),
        kms_key_id: None,
        storage_type: Some("gp2".into()),
        orderable: vec![Orderable { class: "db.t4g.medium".into(), storage_types: vec!["gp2".into(), "gp3".into()] }],
    };
    Facts { database: Some(database), ..facts("RDS", &format!("arn:aws:rds:us-east-1:123456789012:{name}")) }
}

fn table() -> Facts {
    Facts {
        table: Some(TableFacts { status: Some("AVAILABLE".into()), size_bytes: Some(5) }),
        ..facts("DynamoDB", "arn:aws:dynamodb:us-east-1:123456789012:table/orders")
    }
}

fn make(arn: &str, facts: &Facts, settings: &Settings) -> Result<Plan> {
    sample::make(&request(arn), facts, settings)
}

fn source(arn: &str, facts: &Facts, settings: &Settings) -> Source {
    make(arn, facts, settings).unwrap().units.remove(0).source
}

fn dump(arn: &str, facts: &Facts, settings: &Settings) -> DatabaseSource {
    match source(arn, facts, settings) {
        Source::Database(database) => database,
        other => panic!("not a dump: {other:?}"),
    }
}

#[test]
fn what_can_be_restored_into_a_database_comes_first() {
    let method = |arn, facts: &Facts, changes: &[&[(&str, &str)]]| source(arn, facts, &settings(changes)).method();
    let postgres = database("postgres");
    assert_eq!(method(RDS, &postgres, &[NETWORK, PARQUET]), "dump");
    assert_eq!(method(RDS, &postgres, &[PARQUET]), "parquet");
    assert_eq!(method(RDS, &postgres, &[NETWORK, PARQUET, &[("DATABASE_METHOD", "parquet")]]), "parquet");
    let tagged = |value: &str| Facts {
        tags: BTreeMap::from([("backup-export:method".into(), value.into())]),
        ..postgres.clone()
    };
    assert_eq!(method(RDS, &tagged("parquet"), &[NETWORK, PARQUET]), "parquet");
    assert_eq!(method(RDS, &tagged("dump"), &[NETWORK, PARQUET, &[("DATABASE_METHOD", "parquet")]]), "dump");
    assert_eq!(method(RDS, &tagged("auto"), &[NETWORK]), "dump");
    let refusal = make(RDS, &tagged("csv"), &settings(&[NETWORK])).unwrap_err();
    assert!(refusal.to_string().contains("csv") && refusal.to_string().contains("backup-export:method"), "{refusal}");
}

#[test]
fn a_method_that_is_not_set_up_is_refused_with_what_it_needs() {
    for (changes, word) in [
        (vec![], "DATABASE_SUBNET_GROUP"),
        (vec![PARQUET, &[("DATABASE_METHOD", "dump")]], "DATABASE_SUBNET_GROUP"),
        (vec![NETWORK, &[("DATABASE_METHOD", "parquet")]], "SNAPSHOT_EXPORT_ROLE_ARN"),
    ] {
        let refusal = make(RDS, &database("postgres"), &settings(&changes)).unwrap_err();
        assert_eq!(refusal.kind(), Kind::InvalidSettings);
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
}

#[test]
fn engines_that_cannot_be_exported_say_what_they_would_need() {
    for (arn, engine, word) in [
        (RDS, "oracle-ee", "Data Pump"),
        (RDS, "sqlserver-se", "rds_backup_database"),
        (RDS, "db2-se", "db2move"),
        (CLUSTER, "docdb", "mongodump"),
        (CLUSTER, "neptune", "neptune-export"),
    ] {
        let refusal = make(arn, &database(engine), &settings(&[NETWORK, PARQUET])).unwrap_err();
        assert_eq!(refusal.kind(), Kind::UnsupportedResourceType);
        for word in [engine, word, "the recovery point is kept"] {
            assert!(refusal.to_string().contains(word), "{word}: {refusal}");
        }
    }
}

#[test]
fn an_instance_is_small_private_and_named_by_the_execution() {
    let plan = make(RDS, &database("postgres"), &settings(&[NETWORK])).unwrap();
    let unit = &plan.units[0];
    assert_eq!(unit.key, "orders");
    assert_eq!(unit.prefix, plan.prefix);
    let source = dump(RDS, &database("postgres"), &settings(&[NETWORK]));
    assert_eq!(source.instance_id, format!("{}db", plan.names().prefix()));
    assert!(source.instance_id.len() <= 63 && !source.instance_id.contains("--"), "{}", source.instance_id);
    let installation = name::installation(plan.execution.as_str());
    assert_eq!(name::owner(&source.instance_id), Some((plan.export_id.clone(), installation.as_str())));
    assert_eq!(name::owner("exp-0123456789abcdef0123-db"), None);
    assert_eq!(name::owner("orders"), None);
    assert_eq!(source.password_parameter, format!("/backup-export/{}db", plan.names().prefix()));
    assert_eq!((source.cluster_id, source.snapshot_kind), (None, SnapshotKind::Instance));
    assert_eq!(source.storage_type.as_deref(), Some("gp3"));
    assert_eq!(source.instance_class, "db.t4g.medium");
    let command = plan.export_command(unit, &Restored::Database { host: "db.example".into(), port: 5432 });
    assert_eq!(command[..5], ["database", "--host", "db.example", "--port", "5432"]);
    assert!(!command.join(" ").contains("assword"), "{command:?}");
}

#[test]
fn provisioned_iops_are_not_paid_for() {
    let mut facts = database("postgres");
    facts.database.as_mut().unwrap().storage_type = Some("io1".into());
    let source = dump(RDS, &facts, &settings(&[NETWORK]));
    assert_eq!((source.storage_type, source.iops), (None, Some(0)));
    let mut small = database("postgres");
    small.database.as_mut().unwrap().size_gib = 5;
    let source = dump(RDS, &small, &settings(&[NETWORK]));
    assert_eq!((source.storage_type, source.iops), (None, None));
}

#[test]
fn a_copied_backup_is_restored_where_its_vault_is() {
    let mut copy = table();
    copy.resource_arn = "arn:aws:dynamodb:eu-west-1:999999999999:table/orders".into();
    let role = &[("RESTORE_JOB_ROLE_ARN", "arn:aws:iam::123456789012:role/restore")];
    let Source::Table(source) = source(VAULTED, &copy, &settings(&[role])) else { panic!("not a table") };
    assert!(
        source.exported_table_arn().starts_with("arn:aws:dynamodb:us-east-1:123456789012:table/exp-"),
        "{source:?}"
    );
}

#[test]
fn a_backup_is_not_deleted_for_the_export_of_a_live_table() {
    let settings = settings(&[&[("DYNAMODB_NATIVE", "pitr"), ("DELETE_RECOVERY_POINT", "true")]]);
    let refusal = make(TABLE, &table(), &settings).unwrap_err();
    assert_eq!(refusal.kind(), Kind::DeletionRefused);
}

#[test]
fn aurora_becomes_a_cluster_with_one_instance_and_a_multi_az_cluster_an_instance() {
    let aurora = dump(CLUSTER, &database("aurora-postgresql"), &settings(&[NETWORK]));
    assert_eq!(aurora.snapshot_kind, SnapshotKind::AuroraCluster);
    assert!(aurora.cluster_id.unwrap().ends_with("-cluster"));
    assert_eq!(aurora.storage_type, None);
    let mut multi_az = database("mysql");
    multi_az.database.as_mut().unwrap().is_cluster = true;
    let multi_az = dump(CLUSTER, &multi_az, &settings(&[NETWORK]));
    assert_eq!((multi_az.snapshot_kind, multi_az.cluster_id), (SnapshotKind::MultiAzCluster, None));
}

#[test]
fn what_runs_events_by_itself_gets_a_parameter_group() {
    let group = |arn: &str, engine: &str, version: &str| {
        let mut facts = database(engine);
        facts.database.as_mut().unwrap().engine_version = version.into();
        let source = dump(arn, &facts, &settings(&[NETWORK]));
        assert!(source.parameter_group.as_ref().is_none_or(|group| group.name == source.instance_id));
        source.parameter_group.map(|group| group.family)
    };
    for (arn, engine, version, family) in [
        (RDS, "mysql", "8.0.39", Some("mysql8.0")),
        (RDS, "mysql", "8.4.3", Some("mysql8.4")),
        (CLUSTER, "aurora-mysql", "8.0.mysql_aurora.3.07.1", Some("aurora-mysql8.0")),
        (RDS, "mysql", "5.7.44-rds.20240408", None),
        (CLUSTER, "aurora-mysql", "5.7.mysql_aurora.2.11.3", None),
        (RDS, "mariadb", "10.11.9", None),
        (RDS, "postgres", "15.7", None),
    ] {
        assert_eq!(group(arn, engine, version).as_deref(), family, "{engine} {version}");
    }
}

#[test]
fn without_a_class_or_a_snapshot_nothing_is_begun() {
    let mut facts = database("mariadb");
    facts.database.as_mut().unwrap().orderable.clear();
    let refusal = make(RDS, &facts, &settings(&[NETWORK])).unwrap_err();
    assert!(refusal.to_string().contains("DATABASE_INSTANCE_CLASSES"), "{refusal}");
    facts.database.as_mut().unwrap().status = "creating".into();
    assert_eq!(make(RDS, &facts, &settings(&[NETWORK])).unwrap_err().kind(), Kind::RecoveryPointNotUsable);
    facts.database = None;
    assert!(make(RDS, &facts, &settings(&[NETWORK])).unwrap_err().to_string().contains("does not exist any more"));
}

#[test]
fn of_a_table_the_backup_itself_is_exported_unless_somebody_says_otherwise() {
    let Source::Table(own) = source(TABLE, &table(), &settings(&[])) else { panic!("not a table") };
    let TableOrigin::Backup { backup_arn, restore_role_arn: None, temporary_table, .. } = &own.origin else {
        panic!("{own:?}")
    };
    assert_eq!(backup_arn, TABLE);
    assert!(temporary_table.ends_with("-table") && temporary_table.starts_with("exp-"));
    let role = &[("RESTORE_JOB_ROLE_ARN", "arn:aws:iam::123456789012:role/restore")];
    let Source::Table(vaulted) = source(VAULTED, &table(), &settings(&[role])) else { panic!("not a table") };
    assert!(matches!(vaulted.origin, TableOrigin::Backup { restore_role_arn: Some(_), .. }));
    let refusal = make(VAULTED, &table(), &settings(&[])).unwrap_err();
    assert!(refusal.to_string().contains("RESTORE_JOB_ROLE_ARN"), "{refusal}");
    let Source::Table(live) = source(TABLE, &table(), &settings(&[&[("DYNAMODB_NATIVE", "pitr")]])) else {
        panic!("not a table")
    };
    assert_eq!(live.origin, TableOrigin::LiveTable { at: "2026-11-02T03:04:05Z".parse().unwrap() });
    assert_eq!(live.temporary_table(), None);
    let gone = Facts { table: None, ..table() };
    assert_eq!(make(TABLE, &gone, &settings(&[])).unwrap_err().kind(), Kind::RecoveryPointNotUsable);
}

#[test]
fn what_aws_wrote_is_recorded_by_the_worker() {
    let plan = make(TABLE, &table(), &settings(&[])).unwrap();
    let prefix = format!("{}AWSDynamoDB/0169-1/", plan.prefix);
    let command = plan.export_command(&plan.units[0], &Restored::Objects { prefix: prefix.clone() });
    assert_eq!(command[..3], ["record".to_owned(), "--objects".into(), format!("s3://exports/{prefix}")]);
    assert!(!command.contains(&"--codec".to_owned()));
}
