//! What requests about instances and about clusters have in common.

use super::identifier::now;
use super::server::Password;
use super::service::Rds;
use super::state::{Database, Farewell, Snapshot};
use crate::engine::DatabaseEngine;
use crate::wire::{ApiError, Query};

pub(super) fn invalid_combination(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterCombination", message)
}

/// The value of a boolean parameter, if it is there.
pub(super) fn flag(query: &Query, name: &str) -> Option<bool> {
    query.get(name).map(|value| value.eq_ignore_ascii_case("true"))
}

/// Refuses a subnet group that does not exist.
pub(super) fn check_subnet_group(rds: &Rds, query: &Query) -> Result<Option<String>, ApiError> {
    let Some(name) = query.get("DBSubnetGroupName").map(str::to_ascii_lowercase) else { return Ok(None) };
    match &rds.context.options.databases.subnet_groups {
        Some(known) if !known.iter().any(|each| each.eq_ignore_ascii_case(&name)) => {
            Err(ApiError::new(404, "DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist.")))
        }
        Some(_) | None => Ok(Some(name)),
    }
}

/// The password that a request sets, if it is one that RDS takes.
pub(super) fn password_of(query: &Query, engine: DatabaseEngine) -> Result<Option<Password>, ApiError> {
    let Some(text) = query.get("MasterUserPassword") else { return Ok(None) };
    let wrong = |message: &str| Err(ApiError::new(400, "InvalidParameterValue", message));
    if text.len() < 8 || text.len() > engine.longest_password() {
        return wrong("The parameter MasterUserPassword is not a valid password because it has a wrong length.");
    }
    if !text.chars().all(|c| c.is_ascii_graphic() && !['/', '@', '"'].contains(&c)) {
        return wrong(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.",
        );
    }
    Ok(Some(Password(text.to_owned())))
}

/// What a deletion leaves, by its parameters; refused when they do not say what becomes of the data.
pub(super) fn farewell(query: &Query) -> Result<Farewell, ApiError> {
    let skip = flag(query, "SkipFinalSnapshot").unwrap_or(false);
    let final_snapshot = query.get("FinalDBSnapshotIdentifier").map(str::to_owned);
    match (skip, &final_snapshot) {
        (true, Some(_)) => {
            return Err(invalid_combination(
                "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot.",
            ));
        }
        (false, None) => {
            return Err(invalid_combination(
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            ));
        }
        (true, None) | (false, Some(_)) => {}
    }
    let automated_backups = !flag(query, "DeleteAutomatedBackups").unwrap_or(true);
    Ok(Farewell { final_snapshot, automated_backups })
}

/// What is restored from a snapshot, as far as snapshot and request alone say it.
pub(super) fn restored(query: &Query, id: &str, arn: String, resource_id: String, source: &Snapshot) -> Database {
    Database {
        id: id.to_owned(),
        resource_id,
        arn,
        engine: source.engine,
        engine_version: source.engine_version.clone(),
        status: "creating".to_owned(),
        created: now(),
        tags: query.tags("Tags."),
        master_user: source.master_user.clone(),
        pending_passwords: 0,
        port: None,
        subnet_group: None,
        security_groups: Vec::new(),
        parameter_group: None,
        storage_type: query.get("StorageType").map_or_else(|| source.storage_type.clone(), str::to_owned),
        allocated_storage_gib: source.allocated_storage_gib,
        backup_retention_days: source.backup_retention_days,
        deletion_protection: flag(query, "DeletionProtection").unwrap_or(false),
        kms_key_arn: source.kms_key_arn.clone(),
        farewell: Farewell::default(),
    }
}
