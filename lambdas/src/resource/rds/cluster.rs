//! Aurora's clusters.

use aws::{CallError, done};
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, Tag};
use domain::failure::Error;
use domain::source::DatabaseSource;

use super::refusal::is_taken_up;
use crate::resource::removal::Removal;

const EXISTS: &[&str] = &["DBClusterAlreadyExistsFault", "DBClusterAlreadyExists"];
const NOT_FOUND: &[&str] = &["DBClusterNotFoundFault", "DBClusterNotFound"];
/// It is being made or changed, or has an instance.
const BUSY: &[&str] = &["InvalidDBClusterStateFault", "InvalidDBClusterState"];

/// The cluster of that name.
pub(crate) async fn find(rds: &Client, id: &str) -> Result<Option<DbCluster>, Error> {
    let result = rds.describe_db_clusters().db_cluster_identifier(id).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(output.db_clusters.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the database cluster {id}"))),
    }
}

/// Tells the names of all clusters of the account and Region.
pub(crate) async fn each_name(rds: &Client, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    let mut clusters = rds.describe_db_clusters().into_paginator().items().send();
    while let Some(cluster) = clusters.next().await {
        let cluster = cluster.map_err(|error| CallError::of(&error).during("list the database clusters"))?;
        tell(cluster.db_cluster_identifier().unwrap_or_default());
    }
    Ok(())
}

/// Whether its password is being changed still.
pub(crate) fn has_pending_password(cluster: &DbCluster) -> bool {
    cluster.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some())
}

/// Makes the cluster of a snapshot, without an instance. One that is there already is ours: nothing else ever has its
/// name.
pub(crate) async fn restore(rds: &Client, source: &DatabaseSource, id: &str, tags: Vec<Tag>) -> Result<(), CallError> {
    let call = rds
        .restore_db_cluster_from_snapshot()
        .db_cluster_identifier(id)
        .snapshot_identifier(&source.snapshot_arn)
        .engine(source.engine.name())
        .engine_version(&source.engine_version)
        .set_db_cluster_parameter_group_name(source.parameter_group.as_ref().map(|group| group.name.clone()))
        .db_subnet_group_name(&source.subnet_group)
        .set_vpc_security_group_ids(Some(source.security_groups.clone()))
        .port(source.engine.port().into())
        .deletion_protection(false)
        .copy_tags_to_snapshot(false)
        // The least that Aurora takes; what it keeps goes with the cluster.
        .backup_retention_period(1)
        .set_tags(Some(tags));
    match done(call.send().await) {
        Err(failure) if failure.is(EXISTS) => Ok(()),
        result => result,
    }
}

/// Sets the password of the master user. RDS takes a while to make the change.
pub(crate) async fn set_password(rds: &Client, id: &str, password: String) -> Result<(), CallError> {
    let call = rds.modify_db_cluster().db_cluster_identifier(id);
    done(call.master_user_password(password).apply_immediately(true).send().await)
}

/// Deletes a cluster, and its automated backups where they are ours to delete.
pub(crate) async fn delete(rds: &Client, id: &str) -> Result<Removal, Error> {
    let delete = |backups: bool| {
        let call = rds.delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(true);
        async move { done(call.delete_automated_backups(backups).send().await) }
    };
    let result = match delete(true).await {
        Err(failure) if is_taken_up(&failure) => delete(false).await,
        result => result,
    };
    match result {
        Ok(()) => Ok(Removal::Begun),
        Err(failure) if failure.is(NOT_FOUND) => Ok(Removal::Gone),
        Err(failure) if failure.is(BUSY) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("delete the database cluster {id}"))),
    }
}
