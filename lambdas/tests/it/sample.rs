//! Plans, claims and executions that the tests share.

use domain::claim::Claim;
use domain::engine::Engine;
use domain::id::ExecutionArn;
use domain::name::Names;
use domain::plan::{Plan, Unit};
use domain::source::{
    DatabaseSource, ParameterGroup, SnapshotExportSource, SnapshotKind, Source, TableFormat, TableOrigin, TableSource,
};
use jiff::{SignedDuration, Timestamp};
use lambdas::reaper::ReaperSettings;

pub(crate) const SNAPSHOT: &str = "snap-0123456789abcdef0";
pub(crate) const ARN: &str = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0";

pub(crate) fn claim() -> Claim {
    Claim::parse(include_bytes!("../../../domain/golden/claim.json")).unwrap()
}

/// A plan of one EBS volume, by the execution `run-1`.
pub(crate) fn plan() -> Plan {
    claim().plan
}

/// A plan of an image of one volume, with deletion.
pub(crate) fn image_plan() -> Plan {
    serde_json::from_str(include_str!("../../../domain/golden/plan-ec2.json")).unwrap()
}

pub(crate) fn execution(name: &str) -> ExecutionArn {
    format!("arn:aws:states:us-east-1:123456789012:execution:backup-export:{name}").parse().unwrap()
}

/// The claim of the same export by another execution.
pub(crate) fn claim_of(name: &str) -> Claim {
    let plan = Plan { execution: execution(name), ..plan() };
    Claim::new(plan, now())
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

/// The manifest that belongs to [`plan`].
pub(crate) fn manifest() -> String {
    let golden = include_str!("../../../domain/golden/manifest.json");
    golden.replace("exp-0123456789abcdef0123", plan().export_id.as_str())
}

/// A manifest of a volume of [`image_plan`].
pub(crate) fn image_manifest(volume: &Unit) -> String {
    let (plan, image) = (plan(), image_plan());
    manifest()
        .replace(plan.export_id.as_str(), image.export_id.as_str())
        .replace(plan.units[0].prefix.as_str(), volume.prefix.as_str())
}

/// The state machine whose executions the samples are.
pub(crate) const STATE_MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export";

/// The settings of a reaper that asks the services of these types.
pub(crate) fn reaper_settings(resource_types: &[&str]) -> ReaperSettings {
    ReaperSettings {
        bucket: plan().bucket,
        bucket_owner: plan().bucket_owner,
        state_machine: STATE_MACHINE.into(),
        resource_types: resource_types.iter().map(|name| (*name).to_owned()).collect(),
        parameter_path: "/backup-export/".into(),
        settle: SignedDuration::from_mins(2),
    }
}

pub(crate) const DATABASE_SNAPSHOT: &str = "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e";

/// The plan of one EBS volume, of this source instead.
fn plan_of(source: Source) -> Plan {
    let plan = plan();
    let unit = Unit { key: "orders".into(), source, restore_timeout_seconds: 3_600, ..plan.units[0].clone() };
    Plan { units: vec![unit], ..plan }
}

/// The names of all that the sample execution makes.
pub(crate) fn names() -> Names {
    plan().names()
}

/// A plan that dumps a database of PostgreSQL.
pub(crate) fn database(kind: SnapshotKind) -> Plan {
    let is_aurora = kind == SnapshotKind::AuroraCluster;
    plan_of(Source::Database(DatabaseSource {
        snapshot_arn: DATABASE_SNAPSHOT.into(),
        snapshot_kind: kind,
        engine: if is_aurora { Engine::AuroraPostgresql } else { Engine::Postgres },
        engine_version: "15.7".into(),
        size_gib: 20,
        kms_key_id: None,
        master_user: "admin_user".into(),
        instance_id: names().instance(),
        cluster_id: is_aurora.then(|| names().cluster()),
        password_parameter: names().password_parameter("/backup-export/"),
        instance_class: "db.t4g.medium".into(),
        storage_type: Some("gp3".into()),
        iops: None,
        subnet_group: "private".into(),
        security_groups: vec!["sg-1".into()],
        parameter_group: None,
    }))
}

/// The same of MySQL, which needs a parameter group.
pub(crate) fn mysql(kind: SnapshotKind) -> Plan {
    let mut plan = database(kind);
    if let Source::Database(source) = &mut plan.units[0].source {
        let engine = if source.cluster_id.is_some() { Engine::AuroraMysql } else { Engine::Mysql };
        let group = ParameterGroup { name: names().parameter_group(), family: format!("{engine}8.0") };
        *source = DatabaseSource { engine, parameter_group: Some(group), ..source.clone() };
    }
    plan
}

/// A plan that RDS exports as Parquet.
pub(crate) fn parquet() -> Plan {
    plan_of(Source::SnapshotExport(SnapshotExportSource {
        snapshot_arn: DATABASE_SNAPSHOT.into(),
        engine: Engine::Mysql,
        engine_version: "8.0".into(),
        size_gib: 20,
        task_id: names().export_task(),
        role_arn: "arn:aws:iam::123456789012:role/export".into(),
        kms_key_id: "key-1".into(),
    }))
}

/// A plan of a table.
pub(crate) fn table(origin: TableOrigin) -> Plan {
    plan_of(Source::Table(TableSource {
        table_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders".into(),
        origin,
        format: TableFormat::DynamodbJson,
        size_bytes: None,
    }))
}

/// A plan of a table's backup.
pub(crate) fn backup() -> Plan {
    table(TableOrigin::Backup {
        backup_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/orders/backup/0154".into(),
        restore_role_arn: None,
        temporary_table: names().temporary_table(),
        temporary_table_arn: format!("arn:aws:dynamodb:us-east-1:123456789012:table/{}", names().temporary_table()),
    })
}
