//! The database of an RDS or Aurora recovery point, and the method by which it becomes files.

use super::piece::Piece;
use super::refusal::refuse;
use crate::arn::{RecoveryPointArn, resource_name};
use crate::engine::Engine;
use crate::facts::{DatabaseFacts, Facts, Orderable};
use crate::failure::{Kind, Result};
use crate::name::Names;
use crate::settings::{DatabaseMethod, DatabaseSettings, Settings};
use crate::source::{DatabaseSource, ParameterGroup, SnapshotExportSource, SnapshotKind, Source};
use crate::tag::METHOD;

/// How a database becomes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Restored, and dumped by the engine's own tool.
    Dump(Engine),
    /// Exported by RDS as Parquet.
    Parquet(Engine),
}

/// Chooses the method: by the tag, else by the setting; what can be restored into a database comes first.
pub fn method(arn: &RecoveryPointArn, facts: &Facts, settings: &DatabaseSettings) -> Result<Method> {
    let database = known(arn, facts)?;
    let engine: Engine = match database.engine.parse() {
        Ok(engine) => engine,
        Err(_) => return refuse(Kind::UnsupportedResourceType, unsupported(arn, &database.engine)),
    };
    let (wanted, by_whom) = match facts.tags.get(METHOD).map(String::as_str) {
        None | Some("" | "auto") => (settings.method, "the setting DATABASE_METHOD"),
        Some("dump") => (DatabaseMethod::Dump, "its tag"),
        Some("parquet") => (DatabaseMethod::Parquet, "its tag"),
        Some(other) => {
            return refuse(
                Kind::InvalidSettings,
                format!("{arn} is tagged {METHOD} = {other:?}: it must be dump, parquet or auto"),
            );
        }
    };
    let needs = |what: &str, why: &str| {
        refuse(Kind::InvalidSettings, format!("{arn} is to be exported as {what}, by {by_whom}: {why}"))
    };
    match wanted {
        DatabaseMethod::Auto if can_dump(settings) => Ok(Method::Dump(engine)),
        DatabaseMethod::Auto if can_export(settings) => Ok(Method::Parquet(engine)),
        DatabaseMethod::Dump | DatabaseMethod::Auto if !can_dump(settings) => needs(
            "a dump",
            "that needs DATABASE_SUBNET_GROUP and DATABASE_SECURITY_GROUPS, which `cdk deploy` sets when resourceTypes \
             names RDS or Aurora",
        ),
        DatabaseMethod::Dump | DatabaseMethod::Auto => Ok(Method::Dump(engine)),
        DatabaseMethod::Parquet if !can_export(settings) => needs(
            "Parquet",
            "that needs SNAPSHOT_EXPORT_ROLE_ARN and SNAPSHOT_EXPORT_KMS_KEY_ID, which `cdk deploy` sets when \
             database.parquet names a key",
        ),
        DatabaseMethod::Parquet => Ok(Method::Parquet(engine)),
    }
}

fn can_dump(settings: &DatabaseSettings) -> bool {
    settings.subnet_group.is_some() && !settings.security_groups.is_empty()
}

fn can_export(settings: &DatabaseSettings) -> bool {
    settings.export_role_arn.is_some() && settings.export_kms_key_id.is_some()
}

fn known<'a>(arn: &RecoveryPointArn, facts: &'a Facts) -> Result<&'a DatabaseFacts> {
    match &facts.database {
        Some(database) if database.status == "available" => Ok(database),
        Some(database) => refuse(
            Kind::RecoveryPointNotUsable,
            format!("the snapshot of {arn} is {}, not available: start the export again when it is", database.status),
        ),
        None => refuse(
            Kind::RecoveryPointNotUsable,
            format!("the snapshot of {arn} does not exist any more: AWS Backup still lists it, but RDS does not"),
        ),
    }
}

fn unsupported(arn: &RecoveryPointArn, engine: &str) -> String {
    let needed = match engine {
        "docdb" => "it needs a restored cluster and mongodump",
        "neptune" => "it needs a restored cluster and neptune-export",
        _ if engine.starts_with("oracle") => {
            "it needs a restored instance and Data Pump (expdp) with the S3 integration option"
        }
        _ if engine.starts_with("sqlserver") => "it needs a restored instance and rds_backup_database to S3",
        _ if engine.starts_with("db2") => "it needs a restored instance and db2move or a backup to S3",
        _ => "no tool of it is known here",
    };
    format!(
        "{arn} is a snapshot of {engine}, which this version cannot export ({needed}): it exports postgres, mysql, \
         mariadb, aurora-postgresql and aurora-mysql; the recovery point is kept"
    )
}

pub(super) fn piece(arn: &RecoveryPointArn, facts: &Facts, settings: &Settings, names: &Names) -> Result<Piece> {
    let options = &settings.database;
    let source = match method(arn, facts, options)? {
        Method::Dump(engine) => Source::Database(dump(arn, known(arn, facts)?, options, engine, names)?),
        Method::Parquet(engine) => Source::SnapshotExport(parquet(arn, known(arn, facts)?, options, engine, names)),
    };
    let key = resource_name(&facts.resource_arn).map_or_else(|| arn.short_id(), str::to_owned);
    Ok(Piece { key, in_folder: false, source })
}

fn parquet(
    arn: &RecoveryPointArn,
    facts: &DatabaseFacts,
    options: &DatabaseSettings,
    engine: Engine,
    names: &Names,
) -> SnapshotExportSource {
    SnapshotExportSource {
        snapshot_arn: arn.to_string(),
        engine,
        engine_version: facts.engine_version.clone(),
        size_gib: facts.size_gib,
        task_id: names.export_task(),
        role_arn: options.export_role_arn.clone().unwrap_or_default(),
        kms_key_id: options.export_kms_key_id.clone().unwrap_or_default(),
    }
}

/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html>
const LEAST_GP3_GIB: u32 = 20;

fn dump(
    arn: &RecoveryPointArn,
    facts: &DatabaseFacts,
    options: &DatabaseSettings,
    engine: Engine,
    names: &Names,
) -> Result<DatabaseSource> {
    let Some(Orderable { class, storage_types }) = facts.orderable.first() else {
        return refuse(
            Kind::InvalidSettings,
            format!(
                "no instance class for {arn}: {engine} {} can be ordered in none of {}; set DATABASE_INSTANCE_CLASSES \
                 to one that it has (aws rds describe-orderable-db-instance-options --engine {engine} --engine-version \
                 {})",
                facts.engine_version,
                options.instance_classes.join(", "),
                facts.engine_version
            ),
        );
    };
    let takes = |name: &str| storage_types.iter().any(|known| known == name);
    let is_provisioned = facts.storage_type.as_deref().is_some_and(|original| original.starts_with("io"));
    // The IOPS of io1 and io2 would be taken over, and gp3 takes few; RDS has no gp3 below 20 GiB.
    let can_be_gp3 = !engine.is_aurora() && !is_provisioned && takes("gp3") && facts.size_gib >= LEAST_GP3_GIB;
    let snapshot_kind = match (facts.is_cluster, engine.is_aurora()) {
        (false, _) => SnapshotKind::Instance,
        (true, false) => SnapshotKind::MultiAzCluster,
        (true, true) => SnapshotKind::AuroraCluster,
    };
    Ok(DatabaseSource {
        snapshot_arn: arn.to_string(),
        snapshot_kind,
        engine,
        engine_version: facts.engine_version.clone(),
        size_gib: facts.size_gib,
        kms_key_id: facts.kms_key_id.clone(),
        master_user: facts.master_user.clone(),
        instance_id: names.instance(),
        cluster_id: (snapshot_kind == SnapshotKind::AuroraCluster).then(|| names.cluster()),
        password_parameter: names.password_parameter(&options.parameter_path),
        instance_class: class.clone(),
        storage_type: can_be_gp3.then(|| "gp3".to_owned()),
        iops: is_provisioned.then_some(0),
        subnet_group: options.subnet_group.clone().unwrap_or_default(),
        security_groups: options.security_groups.clone(),
        parameter_group: engine
            .family_that_runs_events(&facts.engine_version)
            .map(|family| ParameterGroup { name: names.parameter_group(), family }),
    })
}
