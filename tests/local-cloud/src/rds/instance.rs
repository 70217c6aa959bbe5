//! Instances: restored from snapshots, or members of clusters.

use std::sync::Arc;

use super::identifier::{checked, new_resource_id, now};
use super::request::{check_subnet_group, farewell, flag, invalid_combination, password_of, restored};
use super::service::Rds;
use super::snapshot::find_snapshot;
use super::state::{Database, Farewell, Instance, Scope, State};
use super::{cluster, creation, deletion, orderable, password};
use crate::wire::{ApiError, Query};

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new(404, "DBInstanceNotFound", format!("DBInstance {id} not found."))
}

pub(super) fn invalid_state(id: &str, message: &str) -> ApiError {
    ApiError::new(400, "InvalidDBInstanceState", format!("Instance {id} {message}"))
}

fn days(query: &Query) -> Result<Option<u32>, ApiError> {
    let Some(text) = query.get("BackupRetentionPeriod") else { return Ok(None) };
    let wrong = || ApiError::new(400, "InvalidParameterValue", format!("Invalid backup retention period: {text}"));
    text.parse().ok().filter(|days| *days <= 35).map(Some).ok_or_else(wrong)
}

/// The zone of a new instance: the one that is asked for, or the first that has capacity.
fn zone_for(rds: &Rds, state: &State, query: &Query, class: &str) -> Result<String, ApiError> {
    let zones = rds.context.options.availability_zones();
    let full = |zone: &String| state.full_zones.contains(zone);
    let lacking = |zones: &str| {
        let message = format!("Cannot create a {class} database instance in {zones}: insufficient capacity.");
        ApiError::new(400, "InsufficientDBInstanceCapacity", message)
    };
    match query.get("AvailabilityZone").map(str::to_owned) {
        Some(zone) if !zones.contains(&zone) => Err(ApiError::new(
            400,
            "InvalidVPCNetworkStateFault",
            format!("DB instance creation in the availability zone {zone} is not possible."),
        )),
        Some(zone) if full(&zone) => Err(lacking(&zone)),
        Some(zone) => Ok(zone),
        None => zones.iter().find(|zone| !full(zone)).cloned().ok_or_else(|| lacking(&zones.join(", "))),
    }
}

fn check_multi_az(query: &Query) -> Result<bool, ApiError> {
    let multi_az = flag(query, "MultiAZ").unwrap_or(false);
    if multi_az && query.get("AvailabilityZone").is_some() {
        return Err(invalid_combination(
            "Requesting a specific availability zone is not valid for Multi-AZ instances.",
        ));
    }
    Ok(multi_az)
}

/// `RestoreDBInstanceFromDBSnapshot`.
pub(super) fn restore(rds: &Arc<Rds>, query: &Query) -> Result<Instance, ApiError> {
    let id = checked("DBInstanceIdentifier", query.required("DBInstanceIdentifier")?)?;
    let mut state = rds.state();
    let source = match (query.get("DBSnapshotIdentifier"), query.get("DBClusterSnapshotIdentifier")) {
        (Some(name), None) => find_snapshot(rds, &state, name, false)?.clone(),
        (None, Some(name)) => find_snapshot(rds, &state, name, true)?.clone(),
        (None, None) | (Some(_), Some(_)) => {
            return Err(invalid_combination(
                "Exactly one of DBSnapshotIdentifier and DBClusterSnapshotIdentifier must be given.",
            ));
        }
    };
    if source.engine.is_aurora() {
        return Err(ApiError::new(
            400,
            "InvalidDBSnapshotState",
            format!("A snapshot of {} is restored to a DB cluster.", source.engine),
        ));
    }
    if state.instances.contains_key(&id) {
        return Err(ApiError::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
    }
    let multi_az = check_multi_az(query)?;
    let class = query.get("DBInstanceClass").unwrap_or("db.t4g.medium").to_owned();
    let zone = zone_for(rds, &state, query, &class)?;
    orderable::check(rds, &class, source.engine, &source.engine_version, &zone)?;
    let arn = rds.context.names.arn("rds", &format!("db:{id}"));
    let instance = Instance {
        class,
        zone,
        cluster: None,
        // RDS decides by the network when it is not told; without a subnet group that is the default VPC, which is
        // public.
        publicly_accessible: flag(query, "PubliclyAccessible").unwrap_or(query.get("DBSubnetGroupName").is_none()),
        multi_az,
        database: Database {
            subnet_group: check_subnet_group(rds, query)?,
            security_groups: query.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
            parameter_group: state.parameter_group(query, Scope::Instance, (source.engine, &source.engine_version))?,
            backup_retention_days: days(query)?.unwrap_or(source.backup_retention_days),
            ..restored(query, &id, arn, new_resource_id("db"), &source)
        },
    };
    state.remember(&id, &instance.database.status);
    state.instances.insert(id, instance.clone());
    drop(state);
    rds.spawn(creation::restore_instance(Arc::clone(rds), instance.clone(), source));
    Ok(instance)
}

/// `CreateDBInstance`, into a cluster: nothing else is needed here.
pub(super) fn create(rds: &Arc<Rds>, query: &Query) -> Result<Instance, ApiError> {
    let id = checked("DBInstanceIdentifier", query.required("DBInstanceIdentifier")?)?;
    let class = query.required("DBInstanceClass")?.to_owned();
    let engine = query.required("Engine")?;
    let Some(owner) = query.get("DBClusterIdentifier").map(str::to_ascii_lowercase) else {
        return Err(ApiError::new(501, "NotImplemented", "CreateDBInstance is played for members of clusters only"));
    };
    let mut state = rds.state();
    let Some(cluster) = state.clusters.get(&owner).cloned() else { return Err(cluster::not_found(&owner)) };
    if state.instances.contains_key(&id) {
        return Err(ApiError::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
    }
    if cluster.database.engine.name() != engine {
        return Err(invalid_combination(format!(
            "The engine name requested for your DB instance ({engine}) doesn't match the engine name of your DB cluster ({}).",
            cluster.database.engine
        )));
    }
    let belong_to_cluster =
        ["MasterUserPassword", "MasterUsername", "AllocatedStorage", "DeletionProtection", "StorageType"];
    if let Some(name) = belong_to_cluster.iter().find(|name| query.get(name).is_some()) {
        return Err(invalid_combination(format!(
            "The parameter {name} is set for the DB cluster, not for its instances."
        )));
    }
    if cluster.database.status != "available" {
        return Err(cluster::invalid_state(&owner, &cluster.database.status));
    }
    let zone = zone_for(rds, &state, query, &class)?;
    orderable::check(rds, &class, cluster.database.engine, &cluster.database.engine_version, &zone)?;
    let of_cluster = cluster.database;
    let engine = (of_cluster.engine, of_cluster.engine_version.as_str());
    let instance = Instance {
        class,
        zone,
        publicly_accessible: flag(query, "PubliclyAccessible").unwrap_or(of_cluster.subnet_group.is_none()),
        multi_az: false,
        cluster: Some(owner),
        database: Database {
            arn: rds.context.names.arn("rds", &format!("db:{id}")),
            resource_id: new_resource_id("db"),
            status: "creating".to_owned(),
            created: now(),
            tags: query.tags("Tags."),
            pending_passwords: 0,
            port: None,
            subnet_group: check_subnet_group(rds, query)?.or(of_cluster.subnet_group.clone()),
            parameter_group: state.parameter_group(query, Scope::Instance, engine)?,
            allocated_storage_gib: 1,
            deletion_protection: false,
            farewell: Farewell::default(),
            id: id.clone(),
            ..of_cluster.clone()
        },
    };
    state.remember(&id, &instance.database.status);
    state.instances.insert(id, instance.clone());
    drop(state);
    rds.spawn(creation::create_member(Arc::clone(rds), instance.clone()));
    Ok(instance)
}

/// `ModifyDBInstance`.
pub(super) fn modify(rds: &Arc<Rds>, query: &Query) -> Result<Instance, ApiError> {
    let id = query.required("DBInstanceIdentifier")?.to_ascii_lowercase();
    let subnet_group = check_subnet_group(rds, query)?;
    let retention = days(query)?;
    let mut state = rds.state();
    let instance = state.instances.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if instance.database.status != "available" {
        return Err(ApiError::new(400, "InvalidDBInstanceState", "Database instance is not in available state."));
    }
    let password = password_of(query, instance.database.engine)?;
    if password.is_some() && instance.cluster.is_some() {
        return Err(invalid_combination(
            "The specified DB Instance is a member of a cluster. Modify the master user password for the DB Instance using the ModifyDbCluster API",
        ));
    }
    let groups = query.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    if !groups.is_empty() {
        instance.database.security_groups = groups;
    }
    instance.database.subnet_group = subnet_group.or(instance.database.subnet_group.take());
    instance.database.backup_retention_days = retention.unwrap_or(instance.database.backup_retention_days);
    instance.database.deletion_protection =
        flag(query, "DeletionProtection").unwrap_or(instance.database.deletion_protection);
    instance.publicly_accessible = flag(query, "PubliclyAccessible").unwrap_or(instance.publicly_accessible);
    if let Some(class) = query.get("DBInstanceClass") {
        class.clone_into(&mut instance.class);
    }
    instance.database.pending_passwords += u32::from(password.is_some());
    let answer = instance.clone();
    drop(state);
    if let Some(password) = password {
        rds.spawn(password::change_password(Arc::clone(rds), answer.database.resource_id.clone(), password));
    }
    Ok(answer)
}

/// `DeleteDBInstance`.
pub(super) fn delete(rds: &Arc<Rds>, query: &Query) -> Result<Instance, ApiError> {
    let id = query.required("DBInstanceIdentifier")?.to_ascii_lowercase();
    let mut state = rds.state();
    let instance = state.instances.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if instance.database.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    // The data of a member is its cluster's: nothing is said about it here.
    let farewell = if instance.cluster.is_some() { Farewell::default() } else { farewell(query)? };
    if instance.database.status == "deleting" {
        return Err(invalid_state(&id, "is already being deleted."));
    }
    if instance.database.port.is_none() && farewell.final_snapshot.is_some() {
        return Err(invalid_state(
            &id,
            &format!("is {}: no final snapshot can be made of it.", instance.database.status),
        ));
    }
    instance.database.farewell = farewell;
    "deleting".clone_into(&mut instance.database.status);
    let answer = instance.clone();
    state.remember(&id, "deleting");
    drop(state);
    rds.spawn(deletion::delete_instance(Arc::clone(rds), answer.clone()));
    Ok(answer)
}
