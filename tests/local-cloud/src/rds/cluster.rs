//! Clusters: they hold data, and serve it through their members.

use std::sync::Arc;

use super::identifier::{checked, new_resource_id};
use super::request::{check_subnet_group, farewell, flag, invalid_combination, password_of, restored};
use super::service::Rds;
use super::snapshot::find_snapshot;
use super::state::{Cluster, Database, Scope};
use super::{creation, deletion, password};
use crate::wire::{ApiError, Query};

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new(404, "DBClusterNotFoundFault", format!("DBCluster {id} not found."))
}

pub(super) fn invalid_state(id: &str, status: &str) -> ApiError {
    ApiError::new(400, "InvalidDBClusterStateFault", format!("DBCluster {id} is in the {status} state."))
}

/// `RestoreDBClusterFromSnapshot`.
pub(super) fn restore(rds: &Arc<Rds>, query: &Query) -> Result<Cluster, ApiError> {
    let id = checked("DBClusterIdentifier", query.required("DBClusterIdentifier")?)?;
    let (name, engine) = (query.required("SnapshotIdentifier")?, query.required("Engine")?);
    let mut state = rds.state();
    let source = find_snapshot(rds, &state, name, true)?.clone();
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
    let zones = if asked.is_empty() { rds.context.options.availability_zones() } else { asked };
    let serverless = |name: &str| query.get(&format!("ServerlessV2ScalingConfiguration.{name}")).map(str::to_owned);
    let arn = rds.context.names.arn("rds", &format!("cluster:{id}"));
    let cluster = Cluster {
        waiting_password: None,
        serverless: serverless("MinCapacity").zip(serverless("MaxCapacity")),
        fate: source.fate,
        zones,
        database: Database {
            subnet_group: check_subnet_group(rds, query)?,
            security_groups: query.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
            parameter_group: state.parameter_group(query, Scope::Cluster, (source.engine, &source.engine_version))?,
            kms_key_arn: query.get("KmsKeyId").map(str::to_owned).or(source.kms_key_arn.clone()),
            ..restored(query, &id, arn, new_resource_id("cluster"), &source)
        },
    };
    state.remember(&id, &cluster.database.status);
    state.clusters.insert(id, cluster.clone());
    drop(state);
    rds.spawn(creation::restore_cluster(Arc::clone(rds), cluster.clone(), source));
    Ok(cluster)
}

/// `ModifyDBCluster`.
pub(super) fn modify(rds: &Arc<Rds>, query: &Query) -> Result<Cluster, ApiError> {
    let id = query.required("DBClusterIdentifier")?.to_ascii_lowercase();
    let mut state = rds.state();
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.database.status != "available" {
        return Err(invalid_state(&id, &cluster.database.status));
    }
    let password = password_of(query, cluster.database.engine)?;
    let groups = query.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    if !groups.is_empty() {
        cluster.database.security_groups = groups;
    }
    cluster.database.deletion_protection =
        flag(query, "DeletionProtection").unwrap_or(cluster.database.deletion_protection);
    if let Some(days) = query.number("BackupRetentionPeriod").and_then(|days| u32::try_from(days).ok()) {
        // Aurora always keeps a day.
        cluster.database.backup_retention_days = days.max(1);
    }
    cluster.database.pending_passwords += u32::from(password.is_some());
    let answer = cluster.clone();
    drop(state);
    if let Some(password) = password {
        rds.spawn(password::change_password(Arc::clone(rds), answer.database.resource_id.clone(), password));
    }
    Ok(answer)
}

/// `DeleteDBCluster`.
pub(super) fn delete(rds: &Arc<Rds>, query: &Query) -> Result<Cluster, ApiError> {
    let id = query.required("DBClusterIdentifier")?.to_ascii_lowercase();
    let mut state = rds.state();
    let stay = state.members(&id).iter().any(|member| member.database.status != "deleting");
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if cluster.database.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected Cluster, please disable deletion protection and try again.",
        ));
    }
    let farewell = farewell(query)?;
    if cluster.database.status == "deleting" {
        return Err(invalid_state(&id, &cluster.database.status));
    }
    if stay {
        return Err(ApiError::new(
            400,
            "InvalidDBClusterStateFault",
            "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
        ));
    }
    cluster.database.farewell = farewell;
    "deleting".clone_into(&mut cluster.database.status);
    let answer = cluster.clone();
    state.remember(&id, "deleting");
    drop(state);
    rds.spawn(deletion::delete_cluster(Arc::clone(rds), answer.clone()));
    Ok(answer)
}
