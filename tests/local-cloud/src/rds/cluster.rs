//! Clusters: they hold data, and serve it through their members.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance::{Farewell, check_subnet_group, farewell, flag, invalid_combination, password_of};
use super::parameter_group::Scope;
use super::server::Password;
use super::{identifier, life, new_resource_id, now};
use crate::engine::DatabaseEngine;
use crate::gateway::Shared;
use crate::recovery_point::DatabaseFate;
use crate::wire::{ApiError, Query};

/// A cluster.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) id: String,
    pub(super) resource_id: String,
    pub(super) arn: String,
    pub(super) engine: DatabaseEngine,
    pub(super) engine_version: String,
    pub(super) status: String,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) master_user: String,
    /// Changes of the password that are not made yet.
    pub(super) pending_passwords: u32,
    /// A password that the server gets when the first member starts it.
    pub(super) waiting_password: Option<Password>,
    /// Where its server listens, once it runs.
    pub(super) port: Option<u16>,
    pub(super) subnet_group: Option<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) parameter_group: Option<String>,
    pub(super) storage_type: String,
    pub(super) allocated_storage_gib: u32,
    pub(super) backup_retention_days: u32,
    pub(super) deletion_protection: bool,
    pub(super) kms_key_arn: Option<String>,
    pub(super) zones: Vec<String>,
    /// Capacity units of Aurora Serverless, least and most, as the request gave them.
    pub(super) serverless: Option<(String, String)>,
    pub(super) fate: DatabaseFate,
    /// What is left of it when it is deleted.
    pub(super) farewell: Farewell,
}

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new(404, "DBClusterNotFoundFault", format!("DBCluster {id} not found."))
}

pub(super) fn invalid_state(id: &str, status: &str) -> ApiError {
    ApiError::new(400, "InvalidDBClusterStateFault", format!("DBCluster {id} is in the {status} state."))
}

/// `RestoreDBClusterFromSnapshot`.
pub(super) fn restore(shared: &Arc<Shared>, query: &Query) -> Result<Cluster, ApiError> {
    let id = identifier::checked("DBClusterIdentifier", query.required("DBClusterIdentifier")?)?;
    let (name, engine) = (query.required("SnapshotIdentifier")?, query.required("Engine")?);
    let mut state = shared.rds.state();
    let source = state.find_snapshot(shared, name, true)?.clone();
    if state.clusters.contains_key(&id) {
        return Err(ApiError::new(400, "DBClusterAlreadyExistsFault", "DB Cluster already exists"));
    }
    if source.engine.name() != engine {
        return Err(invalid_combination(format!(
            "The engine {engine} cannot be used to restore a snapshot of {}.",
            source.engine
        )));
    }
    if !source.engine.is_aurora() {
        let message =
            format!("Restoring a Multi-AZ cluster of {engine} as a cluster is not played; restore an instance");
        return Err(ApiError::new(501, "NotImplemented", message));
    }
    if query.get("EngineVersion").is_some_and(|version| version != source.engine_version) {
        return Err(invalid_combination("The engine version of the snapshot differs from the one that is asked for."));
    }
    let asked = query.list("AvailabilityZones.AvailabilityZone");
    let zones = if asked.is_empty() { shared.options.availability_zones() } else { asked };
    let serverless = |name: &str| query.get(&format!("ServerlessV2ScalingConfiguration.{name}")).map(str::to_owned);
    let cluster = Cluster {
        resource_id: new_resource_id("cluster"),
        arn: shared.names.arn("rds", &format!("cluster:{id}")),
        engine: source.engine,
        engine_version: source.engine_version.clone(),
        status: "creating".to_owned(),
        created: now(),
        tags: query.tags("Tags."),
        master_user: source.master_user.clone(),
        pending_passwords: 0,
        waiting_password: None,
        port: None,
        subnet_group: check_subnet_group(shared, query)?,
        security_groups: query.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
        parameter_group: state.parameter_group(query, Scope::Cluster, (source.engine, &source.engine_version))?,
        storage_type: query.get("StorageType").map_or_else(|| source.storage_type.clone(), str::to_owned),
        allocated_storage_gib: source.allocated_storage_gib,
        backup_retention_days: source.backup_retention_days,
        deletion_protection: flag(query, "DeletionProtection").unwrap_or(false),
        kms_key_arn: query.get("KmsKeyId").map(str::to_owned).or(source.kms_key_arn.clone()),
        serverless: serverless("MinCapacity").zip(serverless("MaxCapacity")),
        fate: source.fate,
        farewell: Farewell::default(),
        id: id.clone(),
        zones,
    };
    state.remember(&id, &cluster.status);
    state.clusters.insert(id, cluster.clone());
    drop(state);
    shared.rds.spawn(life::restore_cluster(Arc::clone(shared), cluster.clone(), source));
    Ok(cluster)
}

/// `ModifyDBCluster`.
pub(super) fn modify(shared: &Arc<Shared>, query: &Query) -> Result<Cluster, ApiError> {
    let id = query.required("DBClusterIdentifier")?.to_ascii_lowercase();
    let mut state = shared.rds.state();
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.status != "available" {
        return Err(invalid_state(&id, &cluster.status));
    }
    let password = password_of(query, cluster.engine)?;
    let groups = query.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    if !groups.is_empty() {
        cluster.security_groups = groups;
    }
    cluster.deletion_protection = flag(query, "DeletionProtection").unwrap_or(cluster.deletion_protection);
    if let Some(days) = query.number("BackupRetentionPeriod").and_then(|days| u32::try_from(days).ok()) {
        // Aurora always keeps a day.
        cluster.backup_retention_days = days.max(1);
    }
    cluster.pending_passwords += u32::from(password.is_some());
    let answer = cluster.clone();
    drop(state);
    if let Some(password) = password {
        shared.rds.spawn(life::change_password(Arc::clone(shared), answer.resource_id.clone(), password));
    }
    Ok(answer)
}

/// `DeleteDBCluster`.
pub(super) fn delete(shared: &Arc<Shared>, query: &Query) -> Result<Cluster, ApiError> {
    let id = query.required("DBClusterIdentifier")?.to_ascii_lowercase();
    let mut state = shared.rds.state();
    let stay = state.members(&id).iter().any(|member| member.status != "deleting");
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
        ));
    }
    let farewell = farewell(query)?;
    if cluster.status == "deleting" {
        return Err(invalid_state(&id, &cluster.status));
    }
    if stay {
        return Err(ApiError::new(
            400,
            "InvalidDBClusterStateFault",
            "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
        ));
    }
    cluster.farewell = farewell;
    "deleting".clone_into(&mut cluster.status);
    let answer = cluster.clone();
    state.remember(&id, "deleting");
    drop(state);
    shared.rds.spawn(life::delete_cluster(Arc::clone(shared), answer.clone()));
    Ok(answer)
}
