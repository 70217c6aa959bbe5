//! Instances: restored from snapshots, or members of clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parameter_group::Scope;
use super::server::Password;
use super::snapshot::Snapshot;
use super::{State, cluster, identifier, life, new_resource_id, now, orderable, snapshot};
use crate::engine::DatabaseEngine;
use crate::gateway::Shared;
use crate::wire::{ApiError, Query};

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) resource_id: String,
    pub(super) arn: String,
    pub(super) engine: DatabaseEngine,
    pub(super) engine_version: String,
    pub(super) status: String,
    pub(super) class: String,
    pub(super) zone: String,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    /// The cluster whose data it serves.
    pub(super) cluster: Option<String>,
    pub(super) master_user: String,
    /// Changes of the password that are not made yet.
    pub(super) pending_passwords: u32,
    /// Where its server listens, once it runs.
    pub(super) port: Option<u16>,
    pub(super) publicly_accessible: bool,
    pub(super) subnet_group: Option<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) parameter_group: Option<String>,
    pub(super) storage_type: String,
    pub(super) allocated_storage_gib: u32,
    pub(super) backup_retention_days: u32,
    pub(super) deletion_protection: bool,
    pub(super) multi_az: bool,
    pub(super) kms_key_arn: Option<String>,
    /// What is left of it when it is deleted.
    pub(super) farewell: Farewell,
}

/// What is kept of an instance or a cluster that is deleted.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell {
    pub(super) final_snapshot: Option<String>,
    pub(super) automated_backups: bool,
}

pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new(404, "DBInstanceNotFound", format!("DBInstance {id} not found."))
}

pub(super) fn invalid_state(id: &str, message: &str) -> ApiError {
    ApiError::new(400, "InvalidDBInstanceState", format!("Instance {id} {message}"))
}

pub(super) fn invalid_combination(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterCombination", message)
}

/// The value of a boolean parameter, if it is there.
pub(super) fn flag(query: &Query, name: &str) -> Option<bool> {
    query.get(name).map(|value| value.eq_ignore_ascii_case("true"))
}

fn days(query: &Query) -> Result<Option<u32>, ApiError> {
    let Some(text) = query.get("BackupRetentionPeriod") else { return Ok(None) };
    let wrong = || ApiError::new(400, "InvalidParameterValue", format!("Invalid backup retention period: {text}"));
    text.parse().ok().filter(|days| *days <= 35).map(Some).ok_or_else(wrong)
}

/// Refuses a subnet group that does not exist.
pub(super) fn check_subnet_group(shared: &Shared, query: &Query) -> Result<Option<String>, ApiError> {
    let Some(name) = query.get("DBSubnetGroupName").map(str::to_ascii_lowercase) else { return Ok(None) };
    match &shared.options.databases.subnet_groups {
        Some(known) if !known.iter().any(|each| each.eq_ignore_ascii_case(&name)) => {
            Err(ApiError::new(404, "DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist.")))
        }
        Some(_) | None => Ok(Some(name)),
    }
}

/// The zone of a new instance: the one that is asked for, or the first that has capacity.
fn zone_for(shared: &Shared, state: &State, query: &Query, class: &str) -> Result<String, ApiError> {
    let zones = shared.options.availability_zones();
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
pub(super) fn restore(shared: &Arc<Shared>, query: &Query) -> Result<Instance, ApiError> {
    let id = identifier::checked("DBInstanceIdentifier", query.required("DBInstanceIdentifier")?)?;
    let mut state = shared.rds.state();
    let source = match (query.get("DBSnapshotIdentifier"), query.get("DBClusterSnapshotIdentifier")) {
        (Some(name), None) => state.find_snapshot(shared, name, false)?.clone(),
        (None, Some(name)) => state.find_snapshot(shared, name, true)?.clone(),
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
    let zone = zone_for(shared, &state, query, &class)?;
    orderable::check(shared, &class, source.engine, &source.engine_version, &zone)?;
    let instance = Instance {
        resource_id: new_resource_id("db"),
        arn: shared.names.arn("rds", &format!("db:{id}")),
        engine: source.engine,
        engine_version: source.engine_version.clone(),
        status: "creating".to_owned(),
        class,
        zone,
        created: now(),
        tags: query.tags("Tags."),
        cluster: None,
        master_user: source.master_user.clone(),
        pending_passwords: 0,
        port: None,
        // RDS decides by the network when it is not told; without a subnet group that is the default VPC, which is public.
        publicly_accessible: flag(query, "PubliclyAccessible").unwrap_or(query.get("DBSubnetGroupName").is_none()),
        subnet_group: check_subnet_group(shared, query)?,
        security_groups: query.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
        parameter_group: state.parameter_group(query, Scope::Instance, (source.engine, &source.engine_version))?,
        storage_type: query.get("StorageType").map_or_else(|| source.storage_type.clone(), str::to_owned),
        allocated_storage_gib: source.allocated_storage_gib,
        backup_retention_days: days(query)?.unwrap_or(source.backup_retention_days),
        deletion_protection: flag(query, "DeletionProtection").unwrap_or(false),
        multi_az,
        kms_key_arn: source.kms_key_arn.clone(),
        farewell: Farewell::default(),
        id: id.clone(),
    };
    state.remember(&id, &instance.status);
    state.instances.insert(id, instance.clone());
    drop(state);
    shared.rds.spawn(life::restore_instance(Arc::clone(shared), instance.clone(), source));
    Ok(instance)
}

/// `CreateDBInstance`, into a cluster: nothing else is needed here.
pub(super) fn create(shared: &Arc<Shared>, query: &Query) -> Result<Instance, ApiError> {
    let id = identifier::checked("DBInstanceIdentifier", query.required("DBInstanceIdentifier")?)?;
    let class = query.required("DBInstanceClass")?.to_owned();
    let engine = query.required("Engine")?;
    let Some(owner) = query.get("DBClusterIdentifier").map(str::to_ascii_lowercase) else {
        return Err(ApiError::new(501, "NotImplemented", "CreateDBInstance is played for members of clusters only"));
    };
    let mut state = shared.rds.state();
    let Some(cluster) = state.clusters.get(&owner).cloned() else { return Err(cluster::not_found(&owner)) };
    if state.instances.contains_key(&id) {
        return Err(ApiError::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
    }
    if cluster.engine.name() != engine {
        return Err(invalid_combination(format!(
            "The engine name requested for your DB instance ({engine}) doesn't match the engine name of your DB cluster ({}).",
            cluster.engine
        )));
    }
    let belong_to_cluster =
        ["MasterUserPassword", "MasterUsername", "AllocatedStorage", "DeletionProtection", "StorageType"];
    if let Some(name) = belong_to_cluster.iter().find(|name| query.get(name).is_some()) {
        return Err(invalid_combination(format!(
            "The parameter {name} is set for the DB cluster, not for its instances."
        )));
    }
    if cluster.status != "available" {
        return Err(cluster::invalid_state(&owner, &cluster.status));
    }
    let zone = zone_for(shared, &state, query, &class)?;
    orderable::check(shared, &class, cluster.engine, &cluster.engine_version, &zone)?;
    let instance = Instance {
        resource_id: new_resource_id("db"),
        arn: shared.names.arn("rds", &format!("db:{id}")),
        engine: cluster.engine,
        engine_version: cluster.engine_version.clone(),
        status: "creating".to_owned(),
        class,
        zone,
        created: now(),
        tags: query.tags("Tags."),
        master_user: cluster.master_user.clone(),
        pending_passwords: 0,
        port: None,
        publicly_accessible: flag(query, "PubliclyAccessible").unwrap_or(cluster.subnet_group.is_none()),
        subnet_group: check_subnet_group(shared, query)?.or(cluster.subnet_group.clone()),
        security_groups: cluster.security_groups.clone(),
        parameter_group: state.parameter_group(query, Scope::Instance, (cluster.engine, &cluster.engine_version))?,
        storage_type: cluster.storage_type.clone(),
        allocated_storage_gib: 1,
        backup_retention_days: cluster.backup_retention_days,
        deletion_protection: false,
        multi_az: false,
        kms_key_arn: cluster.kms_key_arn.clone(),
        cluster: Some(owner),
        farewell: Farewell::default(),
        id: id.clone(),
    };
    state.remember(&id, &instance.status);
    state.instances.insert(id, instance.clone());
    drop(state);
    shared.rds.spawn(life::create_member(Arc::clone(shared), instance.clone()));
    Ok(instance)
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

/// `ModifyDBInstance`.
pub(super) fn modify(shared: &Arc<Shared>, query: &Query) -> Result<Instance, ApiError> {
    let id = query.required("DBInstanceIdentifier")?.to_ascii_lowercase();
    let subnet_group = check_subnet_group(shared, query)?;
    let retention = days(query)?;
    let mut state = shared.rds.state();
    let instance = state.instances.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if instance.status != "available" {
        return Err(ApiError::new(400, "InvalidDBInstanceState", "Database instance is not in available state."));
    }
    let password = password_of(query, instance.engine)?;
    if password.is_some() && instance.cluster.is_some() {
        return Err(invalid_combination(
            "The specified DB Instance is a member of a cluster. Modify the master user password for the DB Instance using the ModifyDbCluster API",
        ));
    }
    let groups = query.list("VpcSecurityGroupIds.VpcSecurityGroupId");
    if !groups.is_empty() {
        instance.security_groups = groups;
    }
    instance.subnet_group = subnet_group.or(instance.subnet_group.take());
    instance.backup_retention_days = retention.unwrap_or(instance.backup_retention_days);
    instance.deletion_protection = flag(query, "DeletionProtection").unwrap_or(instance.deletion_protection);
    instance.publicly_accessible = flag(query, "PubliclyAccessible").unwrap_or(instance.publicly_accessible);
    if let Some(class) = query.get("DBInstanceClass") {
        class.clone_into(&mut instance.class);
    }
    instance.pending_passwords += u32::from(password.is_some());
    let answer = instance.clone();
    drop(state);
    if let Some(password) = password {
        shared.rds.spawn(life::change_password(Arc::clone(shared), answer.resource_id.clone(), password));
    }
    Ok(answer)
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

/// `DeleteDBInstance`.
pub(super) fn delete(shared: &Arc<Shared>, query: &Query) -> Result<Instance, ApiError> {
    let id = query.required("DBInstanceIdentifier")?.to_ascii_lowercase();
    let mut state = shared.rds.state();
    let instance = state.instances.get_mut(&id).ok_or_else(|| not_found(&id))?;
    if instance.deletion_protection {
        return Err(invalid_combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    // The data of a member is its cluster's: nothing is said about it here.
    let farewell = if instance.cluster.is_some() { Farewell::default() } else { farewell(query)? };
    if instance.status == "deleting" {
        return Err(invalid_state(&id, "is already being deleted."));
    }
    if instance.port.is_none() && farewell.final_snapshot.is_some() {
        return Err(invalid_state(&id, &format!("is {}: no final snapshot can be made of it.", instance.status)));
    }
    instance.farewell = farewell;
    "deleting".clone_into(&mut instance.status);
    let answer = instance.clone();
    state.remember(&id, "deleting");
    drop(state);
    shared.rds.spawn(life::delete_instance(Arc::clone(shared), answer.clone()));
    Ok(answer)
}

impl State {
    /// A snapshot of this account by its name or its ARN.
    pub(super) fn find_snapshot(&self, shared: &Shared, name: &str, cluster: bool) -> Result<&Snapshot, ApiError> {
        let found = self.snapshots.get(&snapshot::arn_of(shared, name, cluster));
        found.filter(|snapshot| snapshot.is_cluster == cluster).ok_or_else(|| {
            if cluster {
                ApiError::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {name} not found."))
            } else {
                ApiError::new(404, "DBSnapshotNotFound", format!("DBSnapshot {name} not found."))
            }
        })
    }

    /// The instance with this resource id.
    pub(super) fn instance_of(&mut self, resource_id: &str) -> Option<&mut Instance> {
        self.instances.values_mut().find(|instance| instance.resource_id == resource_id)
    }

    /// The cluster with this resource id.
    pub(super) fn cluster_of(&mut self, resource_id: &str) -> Option<&mut super::Cluster> {
        self.clusters.values_mut().find(|cluster| cluster.resource_id == resource_id)
    }
}
