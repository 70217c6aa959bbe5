//! A source of every kind, as plans have them, and what a restore makes of it.

use domain::engine::Engine;
use domain::plan::Restored;
use domain::source::{
    DatabaseSource, SnapshotExportSource, SnapshotKind, Source, TableFormat, TableOrigin, TableSource, VolumeSource,
};
use support::plan::PREFIX;

pub(crate) const VOLUME: &str = "vol-0123456789abcdef0";
pub(crate) const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";
/// The SSM parameter with the password of the database.
pub(crate) const PASSWORD_PARAMETER: &str = "/backup-export/exp-1-db";

pub(crate) fn volume() -> Source {
    Source::Volume(VolumeSource {
        snapshot_id: "snap-0123456789abcdef0".parse().unwrap(),
        size_gib: 1,
        device_name: None,
        kms_key_id: None,
    })
}

pub(crate) fn database() -> Source {
    Source::Database(DatabaseSource {
        snapshot_arn: "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e".to_owned(),
        snapshot_kind: SnapshotKind::Instance,
        engine: Engine::Postgres,
        engine_version: "15.7".to_owned(),
        size_gib: 20,
        kms_key_id: None,
        master_user: "master".to_owned(),
        instance_id: "exp-1-db".to_owned(),
        cluster_id: None,
        password_parameter: PASSWORD_PARAMETER.to_owned(),
        instance_class: "db.t4g.medium".to_owned(),
        storage_type: Some("gp3".to_owned()),
        iops: None,
        subnet_group: "backup-export".to_owned(),
        security_groups: vec!["sg-1".to_owned()],
        parameter_group: None,
    })
}

pub(crate) fn snapshot_export() -> Source {
    Source::SnapshotExport(SnapshotExportSource {
        snapshot_arn: "arn:aws:rds:us-east-1:123456789012:snapshot:awsbackup:job-1f2e".to_owned(),
        engine: Engine::Postgres,
        engine_version: "15.7".to_owned(),
        size_gib: 20,
        task_id: "exp-1-parquet".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/export".to_owned(),
        kms_key_id: "key-1".to_owned(),
    })
}

pub(crate) fn table(format: TableFormat, origin: TableOrigin) -> TableSource {
    TableSource { table_arn: TABLE.to_owned(), origin, format, size_bytes: Some(5) }
}

pub(crate) fn live_table() -> TableOrigin {
    TableOrigin::LiveTable { at: "2026-11-02T03:04:05Z".parse().unwrap() }
}

/// One of every kind: [`restored`] does not compile when there is another.
pub(crate) fn every() -> [Source; 4] {
    [volume(), database(), snapshot_export(), Source::Table(table(TableFormat::DynamodbJson, live_table()))]
}

/// What the worker is given to read.
pub(crate) fn restored(source: &Source) -> Restored {
    match source {
        Source::Volume(_) => Restored::Volume { volume_id: VOLUME.parse().unwrap() },
        Source::Database(_) => Restored::Database { host: "db.example.com".to_owned(), port: 6000 },
        Source::SnapshotExport(_) => Restored::Objects { prefix: format!("{PREFIX}exp-1-parquet/") },
        Source::Table(_) => Restored::Objects { prefix: format!("{PREFIX}AWSDynamoDB/01693685827463-2d8752fd/") },
    }
}
