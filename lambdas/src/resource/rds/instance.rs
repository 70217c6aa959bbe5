//! Database instances: of a snapshot, or in a cluster.

use aws::{CallError, done};
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, Tag};
use domain::failure::Error;
use domain::id::AvailabilityZone;
use domain::source::{DatabaseSource, SnapshotKind};

use super::refusal::is_taken_up;
use crate::resource::removal::Removal;

const EXISTS: &[&str] = &["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"];
const NOT_FOUND: &[&str] = &["DBInstanceNotFound", "DBInstanceNotFoundFault"];
/// It is being made or changed.
const BUSY: &[&str] = &["InvalidDBInstanceState", "InvalidDBInstanceStateFault"];

/// The instance of that name.
pub(crate) async fn find(rds: &Client, id: &str) -> Result<Option<DbInstance>, Error> {
    let result = rds.describe_db_instances().db_instance_identifier(id).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.db_instances.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the database instance {id}"))),
    }
}

/// Tells the names of all instances of the account and Region.
pub(crate) async fn each_name(rds: &Client, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    let mut instances = rds.describe_db_instances().into_paginator().items().send();
    while let Some(instance) = instances.next().await {
        let instance = instance.map_err(|error| CallError::of(&error).during("list the database instances"))?;
        tell(instance.db_instance_identifier().unwrap_or_default());
    }
    Ok(())
}

/// Whether its password is being changed still.
pub(crate) fn has_pending_password(instance: &DbInstance) -> bool {
    instance.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some())
}

/// Makes the instance in a zone, of the snapshot or in the cluster. One that is there already is ours: nothing else
/// ever has its name.
pub(crate) async fn make(
    rds: &Client,
    source: &DatabaseSource,
    zone: &AvailabilityZone,
    tags: Vec<Tag>,
) -> Result<(), CallError> {
    let result = match source.snapshot_kind {
        SnapshotKind::Instance | SnapshotKind::MultiAzCluster => restore(rds, source, zone, tags).await,
        SnapshotKind::AuroraCluster => create_in_cluster(rds, source, zone, tags).await,
    };
    match result {
        Err(failure) if failure.is(EXISTS) => Ok(()),
        result => result,
    }
}

async fn restore(
    rds: &Client,
    source: &DatabaseSource,
    zone: &AvailabilityZone,
    tags: Vec<Tag>,
) -> Result<(), CallError> {
    let call = rds.restore_db_instance_from_db_snapshot();
    let call = match source.snapshot_kind {
        SnapshotKind::MultiAzCluster => call.db_cluster_snapshot_identifier(&source.snapshot_arn),
        SnapshotKind::Instance | SnapshotKind::AuroraCluster => call.db_snapshot_identifier(&source.snapshot_arn),
    };
    let call = call
        .db_instance_identifier(&source.instance_id)
        .db_instance_class(&source.instance_class)
        .set_db_parameter_group_name(source.parameter_group.as_ref().map(|group| group.name.clone()))
        .set_storage_type(source.storage_type.clone())
        .set_iops(source.iops.and_then(|iops| i32::try_from(iops).ok()))
        .availability_zone(zone.as_str())
        .db_subnet_group_name(&source.subnet_group)
        .set_vpc_security_group_ids(Some(source.security_groups.clone()))
        .port(source.engine.port().into())
        .multi_az(false)
        .publicly_accessible(false)
        .deletion_protection(false)
        .auto_minor_version_upgrade(false)
        .copy_tags_to_snapshot(false)
        .backup_retention_period(0)
        .set_tags(Some(tags));
    done(call.send().await)
}

async fn create_in_cluster(
    rds: &Client,
    source: &DatabaseSource,
    zone: &AvailabilityZone,
    tags: Vec<Tag>,
) -> Result<(), CallError> {
    let call = rds
        .create_db_instance()
        .db_instance_identifier(&source.instance_id)
        .set_db_cluster_identifier(source.cluster_id.clone())
        .engine(source.engine.name())
        .db_instance_class(&source.instance_class)
        .availability_zone(zone.as_str())
        .publicly_accessible(false)
        .auto_minor_version_upgrade(false)
        .set_tags(Some(tags));
    done(call.send().await)
}

/// Sets the password of the master user. RDS takes a while to make the change.
pub(crate) async fn set_password(rds: &Client, id: &str, password: String) -> Result<(), CallError> {
    let call = rds.modify_db_instance().db_instance_identifier(id);
    done(call.master_user_password(password).apply_immediately(true).send().await)
}

/// Deletes an instance, and its automated backups where it has some of its own and they are ours to delete.
pub(crate) async fn delete(rds: &Client, id: &str, instance: &DbInstance) -> Result<Removal, Error> {
    // A member of a cluster has no backups of its own, and RDS refuses to be told about them.
    let backups = instance.db_cluster_identifier().is_none().then_some(true);
    let delete = |backups: Option<bool>| {
        let call = rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(true);
        async move { done(call.set_delete_automated_backups(backups).send().await) }
    };
    let result = match delete(backups).await {
        // A continuous backup plan of the account took it up: those backups are AWS Backup's to delete.
        Err(failure) if is_taken_up(&failure) && backups.is_some() => delete(Some(false)).await,
        result => result,
    };
    match result {
        Ok(()) => Ok(Removal::Begun),
        Err(failure) if failure.is(NOT_FOUND) => Ok(Removal::Gone),
        Err(failure) if failure.is(BUSY) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("delete the database instance {id}"))),
    }
}
