//! How instances and clusters go, and what they leave.

use std::path::Path;
use std::sync::Arc;

use super::identifier::now;
use super::life::{copy, end, remove};
use super::service::Rds;
use super::state::{Cluster, Database, Instance, Snapshot};
use crate::recovery_point::DatabaseFate;

/// Ends the server of something that is deleted, in good order when its data is still needed.
async fn take_down(rds: &Rds, resource: &str, keeps_data: bool) {
    let Some(server) = rds.state().servers.remove(resource) else { return };
    if !keeps_data {
        return end(server).await;
    }
    if let Err(error) = server.stop().await {
        tracing::warn!(%error, "a database server did not stop");
    }
}

/// Deletes an instance.
pub(super) async fn delete_instance(rds: Arc<Rds>, instance: Instance) {
    tokio::time::sleep(rds.context.options.databases.deletion).await;
    let Some(owner) = &instance.cluster else {
        take_down(&rds, &instance.database.resource_id, instance.database.farewell.final_snapshot.is_some()).await;
        let directory = rds.directory_of(&instance.database.resource_id);
        let kept = instance
            .database
            .farewell
            .final_snapshot
            .as_deref()
            .map(|name| final_snapshot(&rds, &instance.database, false, name));
        keep(&rds, kept, &directory).await;
        remove(&directory).await;
        let mut state = rds.state();
        if instance.database.farewell.automated_backups && instance.database.backup_retention_days > 0 {
            state.automated_backups.push(instance.database.id.clone());
        }
        state.instances.remove(&instance.database.id);
        return;
    };
    let last = {
        let state = rds.state();
        let others = state.members(owner).iter().any(|member| member.database.id != instance.database.id);
        (!others).then(|| state.clusters.get(owner).map(|cluster| cluster.database.resource_id.clone())).flatten()
    };
    if let Some(cluster) = last {
        take_down(&rds, &cluster, true).await;
        if let Some(cluster) = rds.state().cluster_of(&cluster) {
            cluster.database.port = None;
        }
    }
    rds.state().instances.remove(&instance.database.id);
}

/// Deletes a cluster, once its members are gone.
pub(super) async fn delete_cluster(rds: Arc<Rds>, cluster: Cluster) {
    tokio::time::sleep(rds.context.options.databases.deletion).await;
    while !rds.state().members(&cluster.database.id).is_empty() {
        tokio::time::sleep(rds.context.options.databases.deletion).await;
    }
    take_down(&rds, &cluster.database.resource_id, cluster.database.farewell.final_snapshot.is_some()).await;
    let directory = rds.directory_of(&cluster.database.resource_id);
    let kept = cluster
        .database
        .farewell
        .final_snapshot
        .as_deref()
        .map(|name| final_snapshot(&rds, &cluster.database, true, name));
    keep(&rds, kept, &directory).await;
    remove(&directory).await;
    let mut state = rds.state();
    if cluster.database.farewell.automated_backups {
        state.automated_backups.push(cluster.database.id.clone());
    }
    state.clusters.remove(&cluster.database.id);
}

/// Makes the final snapshot of a deletion, if there is to be one.
async fn keep(rds: &Rds, snapshot: Option<Snapshot>, from: &Path) {
    let Some(snapshot) = snapshot else { return };
    match copy(from.to_owned(), snapshot.directory.clone()).await {
        Ok(()) => drop(rds.state().snapshots.insert(snapshot.arn.clone(), snapshot)),
        Err(error) => tracing::warn!(%error, "a final snapshot could not be made"),
    }
}

fn final_snapshot(rds: &Rds, of: &Database, is_cluster: bool, name: &str) -> Snapshot {
    let kind = if is_cluster { "cluster-snapshot" } else { "snapshot" };
    Snapshot {
        arn: rds.context.names.arn("rds", &format!("{kind}:{name}")),
        id: name.to_owned(),
        kind: "manual",
        is_cluster,
        engine: of.engine,
        engine_version: of.engine_version.clone(),
        directory: rds.new_snapshot_directory(),
        source: of.id.clone(),
        master_user: of.master_user.clone(),
        allocated_storage_gib: of.allocated_storage_gib,
        backup_retention_days: of.backup_retention_days,
        storage_type: of.storage_type.clone(),
        created: now(),
        tags: of.tags.clone(),
        kms_key_arn: of.kms_key_arn.clone(),
        fate: DatabaseFate::Available,
    }
}
