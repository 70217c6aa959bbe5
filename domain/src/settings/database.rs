//! Settings for databases and tables.

use super::environment::Environment;
use crate::limit::DATABASE_RESTORE_TIMEOUT_HOURS;
use crate::source::TableFormat;

/// How databases become files, where their tags do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseMethod {
    /// As a dump where that is set up, else as Parquet.
    Auto,
    /// Restored, and dumped by the engine's own tool.
    Dump,
    /// Exported by RDS as Parquet.
    Parquet,
}

/// `DATABASE_…` and `SNAPSHOT_EXPORT_…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// `DATABASE_METHOD`, `auto` unless given.
    pub method: DatabaseMethod,
    /// `DATABASE_INSTANCE_CLASSES`: JSON list, the first that the engine's version has is taken. Never empty.
    pub instance_classes: Vec<String>,
    /// `DATABASE_SUBNET_GROUP`.
    pub subnet_group: Option<String>,
    /// `DATABASE_SECURITY_GROUPS`: JSON list.
    pub security_groups: Vec<String>,
    /// `DATABASE_PARAMETER_PATH`: what the names of SSM parameters begin with. Begins and ends with a slash.
    pub parameter_path: String,
    /// `DATABASE_RESTORE_TIMEOUT_HOURS`.
    pub restore_timeout_hours: u32,
    /// `SNAPSHOT_EXPORT_ROLE_ARN`.
    pub export_role_arn: Option<String>,
    /// `SNAPSHOT_EXPORT_KMS_KEY_ID`.
    pub export_kms_key_id: Option<String>,
}

/// What of a DynamoDB table is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableNative {
    /// The backup itself.
    Backup,
    /// The live table, at the backup's time.
    Pitr,
}

/// `DYNAMODB_…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSettings {
    /// `DYNAMODB_NATIVE`, `backup` unless given.
    pub native: TableNative,
    /// `DYNAMODB_FORMAT`, `json` unless given.
    pub format: TableFormat,
    /// `RESTORE_JOB_ROLE_ARN`: the role with which AWS Backup restores.
    pub restore_role_arn: Option<String>,
}

/// Small, current, and between them known to every version of every engine. A dump is read once, so memory does not
/// help it.
const INSTANCE_CLASSES: &[&str] = &[
    "db.t4g.medium",
    "db.t3.medium",
    "db.m7g.large",
    "db.m6g.large",
    "db.m6i.large",
    "db.m5.large",
    "db.r6g.large",
    "db.r5.large",
];

pub(super) fn databases(env: &mut Environment<'_>) -> Option<DatabaseSettings> {
    let method = env.choice(
        "DATABASE_METHOD",
        &[("auto", DatabaseMethod::Auto), ("dump", DatabaseMethod::Dump), ("parquet", DatabaseMethod::Parquet)],
    );
    let classes = env.names("DATABASE_INSTANCE_CLASSES");
    let instance_classes =
        classes.unwrap_or_else(|| INSTANCE_CLASSES.iter().map(|class| (*class).to_owned()).collect());
    let security_groups = env.names("DATABASE_SECURITY_GROUPS").unwrap_or_default();
    let parameter_path = parameter_path(env);
    // An instance of a few hundred GiB is there within half an hour; Aurora takes as long. The rest is for a bad day.
    let restore_timeout_hours =
        env.number("DATABASE_RESTORE_TIMEOUT_HOURS", DATABASE_RESTORE_TIMEOUT_HOURS).unwrap_or(6);
    Some(DatabaseSettings {
        method: method?,
        instance_classes,
        subnet_group: env.optional("DATABASE_SUBNET_GROUP"),
        security_groups,
        parameter_path,
        restore_timeout_hours,
        export_role_arn: env.optional("SNAPSHOT_EXPORT_ROLE_ARN"),
        export_kms_key_id: env.optional("SNAPSHOT_EXPORT_KMS_KEY_ID"),
    })
}

pub(super) fn tables(env: &mut Environment<'_>) -> Option<TableSettings> {
    let native = env.choice("DYNAMODB_NATIVE", &[("backup", TableNative::Backup), ("pitr", TableNative::Pitr)]);
    let format = env.choice("DYNAMODB_FORMAT", &[("json", TableFormat::DynamodbJson), ("ion", TableFormat::Ion)]);
    Some(TableSettings { native: native?, format: format?, restore_role_arn: env.optional("RESTORE_JOB_ROLE_ARN") })
}

/// `DATABASE_PARAMETER_PATH`, which another Lambda reads, too.
pub fn parameter_path(env: &mut Environment<'_>) -> String {
    let path = env.optional::<String>("DATABASE_PARAMETER_PATH").unwrap_or_else(|| "/backup-export/".to_owned());
    let is_path = path.len() > 2
        && path.starts_with('/')
        && path.ends_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
    if !is_path {
        env.problem(format!(
            "DATABASE_PARAMETER_PATH is {path:?}: it must begin and end with a slash, as /backup-export/ does"
        ));
    }
    path
}
