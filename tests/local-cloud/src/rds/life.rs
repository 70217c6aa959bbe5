//! What happens to instances and clusters by itself: they come up, change their passwords, and go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identifier::now;
use super::server::{self, DatabaseAccess, DatabaseServer, Password};
use super::service::Rds;
use super::snapshot::copy_data;
use super::state::{Cluster, Instance, Scope, Snapshot, State};
use crate::engine::{DatabaseEngine, Family};
use crate::error::{Error, Result};
use crate::recovery_point::DatabaseFate;

const AVAILABLE: &str = "available";
const CREATING: &str = "creating";
const RESETTING: &str = "resetting-master-credentials";

/// What becomes of something that is restored.
enum Outcome {
    Up,
    Never,
    Ends(&'static str),
}

/// What becomes of the instance or the cluster that a snapshot is restored to.
fn outcome(fate: DatabaseFate) -> Outcome {
    match fate {
        DatabaseFate::Available | DatabaseFate::MemberStuck | DatabaseFate::MemberFailed => Outcome::Up,
        DatabaseFate::Stuck => Outcome::Never,
        DatabaseFate::Failed => Outcome::Ends("failed"),
        DatabaseFate::IncompatibleRestore => Outcome::Ends("incompatible-restore"),
        DatabaseFate::InaccessibleKey => Outcome::Ends("inaccessible-encryption-credentials"),
    }
}

/// What becomes of a member of a cluster that is up.
fn member_outcome(fate: DatabaseFate) -> Outcome {
    match fate {
        DatabaseFate::MemberStuck => Outcome::Never,
        DatabaseFate::MemberFailed => Outcome::Ends("failed"),
        DatabaseFate::Available
        | DatabaseFate::Stuck
        | DatabaseFate::Failed
        | DatabaseFate::IncompatibleRestore
        | DatabaseFate::InaccessibleKey => Outcome::Up,
    }
}

impl State {
    /// Moves an instance or a cluster from one state to the next; one that is in another state stays there.
    fn advance(&mut self, resource_id: &str, from: &str, to: &str) -> bool {
        let instance = self.instance_of(resource_id).map(|instance| (instance.id.clone(), &mut instance.status));
        let moved = match instance {
            Some((id, status)) => step(id, status, from, to),
            None => self.cluster_of(resource_id).and_then(|each| step(each.id.clone(), &mut each.status, from, to)),
        };
        if let Some(id) = &moved {
            self.remember(id, to);
        }
        moved.is_some()
    }

    /// The resource ids of an instance alone, or of a cluster and its members.
    fn affected(&mut self, resource_id: &str) -> Vec<String> {
        let mut all = vec![resource_id.to_owned()];
        if let Some(cluster) = self.cluster_of(resource_id).map(|cluster| cluster.id.clone()) {
            all.extend(self.members(&cluster).iter().map(|member| member.resource_id.clone()));
        }
        all
    }
}

/// Changes a state if it is this one; gives the id of what changed.
fn step(id: String, status: &mut String, from: &str, to: &str) -> Option<String> {
    (status == from).then(|| {
        to.clone_into(status);
        id
    })
}

impl Rds {
    fn advance(&self, resource_id: &str, from: &str, to: &str) -> bool {
        self.state().advance(resource_id, from, to)
    }
}

/// Copies data without holding up the requests meanwhile.
async fn copy(from: PathBuf, to: PathBuf) -> Result<()> {
    let name = from.display().to_string();
    let copied = tokio::task::spawn_blocking(move || copy_data(&from, &to)).await;
    copied.map_err(|error| Error::Program { program: format!("cp of {name}"), message: error.to_string() })?
}

/// Removes the data of something that is gone.
async fn remove(directory: &Path) {
    // What has never been there is gone too.
    tokio::fs::remove_dir_all(directory).await.ok();
}

/// Passes through the states between `creating` and `available`.
async fn settle(rds: &Rds, resource_id: &str, backs_up: bool) {
    let mut before = CREATING.to_owned();
    for status in
        rds.context.options.databases.after_creation.iter().filter(|status| backs_up || *status != "backing-up")
    {
        rds.advance(resource_id, &before, status);
        tokio::time::sleep(rds.context.options.databases.modification).await;
        before.clone_from(status);
    }
    rds.advance(resource_id, &before, AVAILABLE);
}

/// Brings up an instance that is restored from a snapshot.
pub(super) async fn restore_instance(rds: Arc<Rds>, instance: Instance, source: Snapshot) {
    let resource = instance.resource_id.as_str();
    match outcome(source.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(rds.context.options.databases.creation).await;
            rds.advance(resource, CREATING, status);
            return;
        }
    }
    let directory = rds.directory_of(resource);
    let group = instance.parameter_group.as_deref();
    let parameters = rds.state().parameters(source.engine, Scope::Instance, group);
    let start = async {
        copy(source.directory.clone(), directory.clone()).await?;
        let certificate = rds.make_certificate()?;
        DatabaseServer::start(source.engine, &directory, &source.master_user, &certificate, &parameters).await
    };
    let (started, ()) = tokio::join!(start, tokio::time::sleep(rds.context.options.databases.creation));
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(instance = instance.id, %error, "a database could not be restored");
            rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = rds.state();
        match state.instance_of(resource).filter(|instance| instance.status == CREATING) {
            Some(instance) => {
                instance.port = Some(server.port());
                state.servers.insert(resource.to_owned(), server);
                None
            }
            None => Some(server),
        }
    };
    match unwanted {
        None => settle(&rds, resource, instance.backup_retention_days > 0).await,
        Some(server) => {
            end(server).await;
            remove(&directory).await;
        }
    }
}

/// Ends a server whose data nobody needs.
async fn end(server: DatabaseServer) {
    if let Err(error) = server.crash().await {
        tracing::warn!(%error, "a database server did not end");
    }
}

/// Fills a cluster that is restored from a snapshot. No server serves it before it has a member.
pub(super) async fn restore_cluster(rds: Arc<Rds>, cluster: Cluster, source: Snapshot) {
    let resource = cluster.resource_id.as_str();
    match outcome(cluster.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(rds.context.options.databases.creation).await;
            rds.advance(resource, CREATING, status);
            return;
        }
    }
    let directory = rds.directory_of(resource);
    let (copied, ()) = tokio::join!(
        copy(source.directory.clone(), directory.clone()),
        tokio::time::sleep(rds.context.options.databases.creation)
    );
    if let Err(error) = &copied {
        tracing::warn!(cluster = cluster.id, %error, "a cluster could not be restored");
    }
    let status = if copied.is_ok() { AVAILABLE } else { "failed" };
    if !rds.advance(resource, CREATING, status) && rds.state().cluster_of(resource).is_none() {
        remove(&directory).await;
    }
}

/// Brings up a member of a cluster, and with the first one the cluster's server.
pub(super) async fn create_member(rds: Arc<Rds>, instance: Instance) {
    let resource = instance.resource_id.as_str();
    let Some(cluster) = instance.cluster.as_ref().and_then(|id| rds.state().clusters.get(id).cloned()) else {
        return;
    };
    match member_outcome(cluster.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(rds.context.options.databases.creation).await;
            rds.advance(resource, CREATING, status);
            return;
        }
    }
    let (served, ()) = tokio::join!(serve(&rds, &cluster), tokio::time::sleep(rds.context.options.databases.creation));
    let port = match served {
        Ok(port) => port,
        Err(error) => {
            tracing::warn!(instance = instance.id, %error, "the server of a cluster could not be started");
            rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = rds.state();
        if let Some(instance) = state.instance_of(resource) {
            instance.port = Some(port);
        }
        if state.members(&cluster.id).is_empty() { state.servers.remove(&cluster.resource_id) } else { None }
    };
    if let Some(server) = unwanted {
        end(server).await;
    }
    // Aurora backs up the cluster, not its members.
    settle(&rds, resource, false).await;
}

/// Starts the server of a cluster, unless it runs; gives its port.
async fn serve(rds: &Rds, cluster: &Cluster) -> Result<u16> {
    let _starting = rds.starting.lock().await;
    if let Some(server) = rds.state().servers.get(&cluster.resource_id) {
        return Ok(server.port());
    }
    let directory = rds.directory_of(&cluster.resource_id);
    let certificate = rds.make_certificate()?;
    let group = cluster.parameter_group.as_deref();
    let parameters = rds.state().parameters(cluster.engine, Scope::Cluster, group);
    let server =
        DatabaseServer::start(cluster.engine, &directory, &cluster.master_user, &certificate, &parameters).await?;
    let waiting = rds.state().cluster_of(&cluster.resource_id).and_then(|cluster| cluster.waiting_password.take());
    if let Some(password) = waiting {
        set_password(&server.superuser(), cluster.engine, &cluster.master_user, &password).await?;
    }
    let port = server.port();
    let mut state = rds.state();
    if let Some(cluster) = state.cluster_of(&cluster.resource_id) {
        cluster.port = Some(port);
    }
    state.servers.insert(cluster.resource_id.clone(), server);
    Ok(port)
}

async fn set_password(
    superuser: &DatabaseAccess,
    engine: DatabaseEngine,
    user: &str,
    password: &Password,
) -> Result<()> {
    let database = match engine.family() {
        Family::Postgres => "postgres",
        Family::Mariadb => "",
    };
    superuser.sql(database, &server::password_change(engine, user, password)).await.map(drop)
}

/// Changes the password of the master user: pending at first, then for a while in a state of its own.
pub(super) async fn change_password(rds: Arc<Rds>, resource: String, password: Password) {
    let pause = rds.context.options.databases.modification;
    tokio::time::sleep(pause).await;
    let affected = {
        let mut state = rds.state();
        let affected = state.affected(&resource);
        for each in &affected {
            state.advance(each, AVAILABLE, RESETTING);
        }
        affected
    };
    tokio::time::sleep(pause).await;
    let starting = rds.starting.lock().await;
    let (way, owner) = {
        let mut state = rds.state();
        let way = state.servers.get(&resource).map(DatabaseServer::superuser);
        let instance = state.instance_of(&resource).map(|instance| (instance.engine, instance.master_user.clone()));
        let owner = instance
            .or_else(|| state.cluster_of(&resource).map(|cluster| (cluster.engine, cluster.master_user.clone())));
        (way, owner)
    };
    match (way, owner) {
        (Some(way), Some((engine, user))) => {
            if let Err(error) = set_password(&way, engine, &user, &password).await {
                tracing::warn!(%error, "a master password could not be changed");
            }
        }
        (None, Some(_)) => {
            if let Some(cluster) = rds.state().cluster_of(&resource) {
                cluster.waiting_password = Some(password);
            }
        }
        (_, None) => {}
    }
    drop(starting);
    let mut state = rds.state();
    if let Some(instance) = state.instance_of(&resource) {
        instance.pending_passwords = instance.pending_passwords.saturating_sub(1);
    }
    if let Some(cluster) = state.cluster_of(&resource) {
        cluster.pending_passwords = cluster.pending_passwords.saturating_sub(1);
    }
    for each in &affected {
        state.advance(each, RESETTING, AVAILABLE);
    }
}

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
        take_down(&rds, &instance.resource_id, instance.farewell.final_snapshot.is_some()).await;
        let directory = rds.directory_of(&instance.resource_id);
        let kept = instance.farewell.final_snapshot.as_deref().map(|name| final_snapshot_of(&rds, &instance, name));
        keep(&rds, kept, &directory).await;
        remove(&directory).await;
        let mut state = rds.state();
        if instance.farewell.automated_backups && instance.backup_retention_days > 0 {
            state.automated_backups.push(instance.id.clone());
        }
        state.instances.remove(&instance.id);
        return;
    };
    let last = {
        let state = rds.state();
        let others = state.members(owner).iter().any(|member| member.id != instance.id);
        (!others).then(|| state.clusters.get(owner).map(|cluster| cluster.resource_id.clone())).flatten()
    };
    if let Some(cluster) = last {
        take_down(&rds, &cluster, true).await;
        if let Some(cluster) = rds.state().cluster_of(&cluster) {
            cluster.port = None;
        }
    }
    rds.state().instances.remove(&instance.id);
}

/// Deletes a cluster, once its members are gone.
pub(super) async fn delete_cluster(rds: Arc<Rds>, cluster: Cluster) {
    tokio::time::sleep(rds.context.options.databases.deletion).await;
    while !rds.state().members(&cluster.id).is_empty() {
        tokio::time::sleep(rds.context.options.databases.deletion).await;
    }
    take_down(&rds, &cluster.resource_id, cluster.farewell.final_snapshot.is_some()).await;
    let directory = rds.directory_of(&cluster.resource_id);
    let kept = cluster.farewell.final_snapshot.as_deref().map(|name| final_cluster_snapshot_of(&rds, &cluster, name));
    keep(&rds, kept, &directory).await;
    remove(&directory).await;
    let mut state = rds.state();
    if cluster.farewell.automated_backups {
        state.automated_backups.push(cluster.id.clone());
    }
    state.clusters.remove(&cluster.id);
}

/// Makes the final snapshot of a deletion, if there is to be one.
async fn keep(rds: &Rds, snapshot: Option<Snapshot>, from: &Path) {
    let Some(snapshot) = snapshot else { return };
    match copy(from.to_owned(), snapshot.directory.clone()).await {
        Ok(()) => drop(rds.state().snapshots.insert(snapshot.arn.clone(), snapshot)),
        Err(error) => tracing::warn!(%error, "a final snapshot could not be made"),
    }
}

fn final_snapshot_of(rds: &Rds, instance: &Instance, name: &str) -> Snapshot {
    Snapshot {
        arn: rds.context.names.arn("rds", &format!("snapshot:{name}")),
        id: name.to_owned(),
        kind: "manual",
        is_cluster: false,
        engine: instance.engine,
        engine_version: instance.engine_version.clone(),
        directory: rds.new_snapshot_directory(),
        source: instance.id.clone(),
        master_user: instance.master_user.clone(),
        allocated_storage_gib: instance.allocated_storage_gib,
        backup_retention_days: instance.backup_retention_days,
        storage_type: instance.storage_type.clone(),
        created: now(),
        tags: instance.tags.clone(),
        kms_key_arn: instance.kms_key_arn.clone(),
        fate: DatabaseFate::Available,
    }
}

fn final_cluster_snapshot_of(rds: &Rds, cluster: &Cluster, name: &str) -> Snapshot {
    Snapshot {
        arn: rds.context.names.arn("rds", &format!("cluster-snapshot:{name}")),
        id: name.to_owned(),
        kind: "manual",
        is_cluster: true,
        engine: cluster.engine,
        engine_version: cluster.engine_version.clone(),
        directory: rds.new_snapshot_directory(),
        source: cluster.id.clone(),
        master_user: cluster.master_user.clone(),
        allocated_storage_gib: cluster.allocated_storage_gib,
        backup_retention_days: cluster.backup_retention_days,
        storage_type: cluster.storage_type.clone(),
        created: now(),
        tags: cluster.tags.clone(),
        kms_key_arn: cluster.kms_key_arn.clone(),
        fate: DatabaseFate::Available,
    }
}
