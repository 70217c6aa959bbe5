//! What happens to instances and clusters by itself: they come up, change their passwords, and go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cluster::Cluster;
use super::instance::Instance;
use super::parameter_group::Scope;
use super::server::{self, Certificate, DatabaseServer, Password};
use super::snapshot::{Snapshot, copy_data};
use super::{Rds, State, certificate_directory, directory_of, now};
use crate::engine::Family;
use crate::error::{Error, Result};
use crate::gateway::Shared;
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

fn certificate(shared: &Shared) -> Result<Certificate> {
    Certificate::of(&certificate_directory(&shared.directory))
}

/// Passes through the states between `creating` and `available`.
async fn settle(shared: &Shared, resource_id: &str, backs_up: bool) {
    let mut before = CREATING.to_owned();
    for status in shared.options.databases.after_creation.iter().filter(|status| backs_up || *status != "backing-up") {
        shared.rds.advance(resource_id, &before, status);
        tokio::time::sleep(shared.options.databases.modification).await;
        before.clone_from(status);
    }
    shared.rds.advance(resource_id, &before, AVAILABLE);
}

/// Brings up an instance that is restored from a snapshot.
pub(super) async fn restore_instance(shared: Arc<Shared>, instance: Instance, source: Snapshot) {
    let resource = instance.resource_id.as_str();
    match outcome(source.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(shared.options.databases.creation).await;
            shared.rds.advance(resource, CREATING, status);
            return;
        }
    }
    let directory = directory_of(&shared.directory, resource);
    let group = instance.parameter_group.as_deref();
    let parameters = shared.rds.state().parameters(source.engine, Scope::Instance, group);
    let start = async {
        copy(source.directory.clone(), directory.clone()).await?;
        let certificate = certificate(&shared)?;
        DatabaseServer::start(source.engine, &directory, &source.master_user, &certificate, &parameters).await
    };
    let (started, ()) = tokio::join!(start, tokio::time::sleep(shared.options.databases.creation));
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(instance = instance.id, %error, "a database could not be restored");
            shared.rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = shared.rds.state();
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
        None => settle(&shared, resource, instance.backup_retention_days > 0).await,
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
pub(super) async fn restore_cluster(shared: Arc<Shared>, cluster: Cluster, source: Snapshot) {
    let resource = cluster.resource_id.as_str();
    match outcome(cluster.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(shared.options.databases.creation).await;
            shared.rds.advance(resource, CREATING, status);
            return;
        }
    }
    let directory = directory_of(&shared.directory, resource);
    let (copied, ()) = tokio::join!(
        copy(source.directory.clone(), directory.clone()),
        tokio::time::sleep(shared.options.databases.creation)
    );
    if let Err(error) = &copied {
        tracing::warn!(cluster = cluster.id, %error, "a cluster could not be restored");
    }
    let status = if copied.is_ok() { AVAILABLE } else { "failed" };
    if !shared.rds.advance(resource, CREATING, status) && shared.rds.state().cluster_of(resource).is_none() {
        remove(&directory).await;
    }
}

/// Brings up a member of a cluster, and with the first one the cluster's server.
pub(super) async fn create_member(shared: Arc<Shared>, instance: Instance) {
    let resource = instance.resource_id.as_str();
    let Some(cluster) = instance.cluster.as_ref().and_then(|id| shared.rds.state().clusters.get(id).cloned()) else {
        return;
    };
    match member_outcome(cluster.fate) {
        Outcome::Up => {}
        Outcome::Never => return,
        Outcome::Ends(status) => {
            tokio::time::sleep(shared.options.databases.creation).await;
            shared.rds.advance(resource, CREATING, status);
            return;
        }
    }
    let (served, ()) = tokio::join!(serve(&shared, &cluster), tokio::time::sleep(shared.options.databases.creation));
    let port = match served {
        Ok(port) => port,
        Err(error) => {
            tracing::warn!(instance = instance.id, %error, "the server of a cluster could not be started");
            shared.rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = shared.rds.state();
        if let Some(instance) = state.instance_of(resource) {
            instance.port = Some(port);
        }
        if state.members(&cluster.id).is_empty() { state.servers.remove(&cluster.resource_id) } else { None }
    };
    if let Some(server) = unwanted {
        end(server).await;
    }
    // Aurora backs up the cluster, not its members.
    settle(&shared, resource, false).await;
}

/// Starts the server of a cluster, unless it runs; gives its port.
async fn serve(shared: &Shared, cluster: &Cluster) -> Result<u16> {
    let _starting = shared.rds.starting.lock().await;
    if let Some(server) = shared.rds.state().servers.get(&cluster.resource_id) {
        return Ok(server.port());
    }
    let directory = directory_of(&shared.directory, &cluster.resource_id);
    let certificate = certificate(shared)?;
    let group = cluster.parameter_group.as_deref();
    let parameters = shared.rds.state().parameters(cluster.engine, Scope::Cluster, group);
    let server =
        DatabaseServer::start(cluster.engine, &directory, &cluster.master_user, &certificate, &parameters).await?;
    let waiting =
        shared.rds.state().cluster_of(&cluster.resource_id).and_then(|cluster| cluster.waiting_password.take());
    if let Some(password) = waiting {
        set_password(&server.superuser(), cluster.engine, &cluster.master_user, &password).await?;
    }
    let port = server.port();
    let mut state = shared.rds.state();
    if let Some(cluster) = state.cluster_of(&cluster.resource_id) {
        cluster.port = Some(port);
    }
    state.servers.insert(cluster.resource_id.clone(), server);
    Ok(port)
}

async fn set_password(
    superuser: &super::DatabaseAccess,
    engine: crate::engine::DatabaseEngine,
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
pub(super) async fn change_password(shared: Arc<Shared>, resource: String, password: Password) {
    let pause = shared.options.databases.modification;
    tokio::time::sleep(pause).await;
    let affected = {
        let mut state = shared.rds.state();
        let affected = state.affected(&resource);
        for each in &affected {
            state.advance(each, AVAILABLE, RESETTING);
        }
        affected
    };
    tokio::time::sleep(pause).await;
    let starting = shared.rds.starting.lock().await;
    let (way, owner) = {
        let mut state = shared.rds.state();
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
            if let Some(cluster) = shared.rds.state().cluster_of(&resource) {
                cluster.waiting_password = Some(password);
            }
        }
        (_, None) => {}
    }
    drop(starting);
    let mut state = shared.rds.state();
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
async fn take_down(shared: &Shared, resource: &str, keeps_data: bool) {
    let Some(server) = shared.rds.state().servers.remove(resource) else { return };
    if !keeps_data {
        return end(server).await;
    }
    if let Err(error) = server.stop().await {
        tracing::warn!(%error, "a database server did not stop");
    }
}

/// Deletes an instance.
pub(super) async fn delete_instance(shared: Arc<Shared>, instance: Instance) {
    tokio::time::sleep(shared.options.databases.deletion).await;
    let Some(owner) = &instance.cluster else {
        take_down(&shared, &instance.resource_id, instance.farewell.final_snapshot.is_some()).await;
        let directory = directory_of(&shared.directory, &instance.resource_id);
        let kept = instance.farewell.final_snapshot.as_deref().map(|name| final_snapshot_of(&shared, &instance, name));
        keep(&shared, kept, &directory).await;
        remove(&directory).await;
        let mut state = shared.rds.state();
        if instance.farewell.automated_backups && instance.backup_retention_days > 0 {
            state.automated_backups.push(instance.id.clone());
        }
        state.instances.remove(&instance.id);
        return;
    };
    let last = {
        let state = shared.rds.state();
        let others = state.members(owner).iter().any(|member| member.id != instance.id);
        (!others).then(|| state.clusters.get(owner).map(|cluster| cluster.resource_id.clone())).flatten()
    };
    if let Some(cluster) = last {
        take_down(&shared, &cluster, true).await;
        if let Some(cluster) = shared.rds.state().cluster_of(&cluster) {
            cluster.port = None;
        }
    }
    shared.rds.state().instances.remove(&instance.id);
}

/// Deletes a cluster, once its members are gone.
pub(super) async fn delete_cluster(shared: Arc<Shared>, cluster: Cluster) {
    tokio::time::sleep(shared.options.databases.deletion).await;
    while !shared.rds.state().members(&cluster.id).is_empty() {
        tokio::time::sleep(shared.options.databases.deletion).await;
    }
    take_down(&shared, &cluster.resource_id, cluster.farewell.final_snapshot.is_some()).await;
    let directory = directory_of(&shared.directory, &cluster.resource_id);
    let kept =
        cluster.farewell.final_snapshot.as_deref().map(|name| final_cluster_snapshot_of(&shared, &cluster, name));
    keep(&shared, kept, &directory).await;
    remove(&directory).await;
    let mut state = shared.rds.state();
    if cluster.farewell.automated_backups {
        state.automated_backups.push(cluster.id.clone());
    }
    state.clusters.remove(&cluster.id);
}

/// Makes the final snapshot of a deletion, if there is to be one.
async fn keep(shared: &Shared, snapshot: Option<Snapshot>, from: &Path) {
    let Some(snapshot) = snapshot else { return };
    match copy(from.to_owned(), snapshot.directory.clone()).await {
        Ok(()) => drop(shared.rds.state().snapshots.insert(snapshot.arn.clone(), snapshot)),
        Err(error) => tracing::warn!(%error, "a final snapshot could not be made"),
    }
}

fn snapshot_directory(shared: &Shared) -> PathBuf {
    shared.directory.join("databases/snapshots").join(uuid::Uuid::new_v4().to_string())
}

fn final_snapshot_of(shared: &Shared, instance: &Instance, name: &str) -> Snapshot {
    Snapshot {
        arn: shared.names.arn("rds", &format!("snapshot:{name}")),
        id: name.to_owned(),
        kind: "manual",
        is_cluster: false,
        engine: instance.engine,
        engine_version: instance.engine_version.clone(),
        directory: snapshot_directory(shared),
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

fn final_cluster_snapshot_of(shared: &Shared, cluster: &Cluster, name: &str) -> Snapshot {
    Snapshot {
        arn: shared.names.arn("rds", &format!("cluster-snapshot:{name}")),
        id: name.to_owned(),
        kind: "manual",
        is_cluster: true,
        engine: cluster.engine,
        engine_version: cluster.engine_version.clone(),
        directory: snapshot_directory(shared),
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
