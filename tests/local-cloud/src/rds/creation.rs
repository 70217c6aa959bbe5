//! How instances and clusters come up.

use std::sync::Arc;

use super::life::{AVAILABLE, CREATING, copy, end, remove, set_password};
use super::server::DatabaseServer;
use super::service::Rds;
use super::state::{Cluster, Instance, Scope, Snapshot};
use crate::error::Result;
use crate::recovery_point::DatabaseFate;

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

/// Whether something that is created comes up; if it does not, it goes where it ends after the usual time.
async fn comes_up(rds: &Rds, resource: &str, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Up => true,
        Outcome::Never => false,
        Outcome::Ends(status) => {
            tokio::time::sleep(rds.context.options.databases.creation).await;
            rds.advance(resource, CREATING, status);
            false
        }
    }
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
    let resource = instance.database.resource_id.as_str();
    if !comes_up(&rds, resource, outcome(source.fate)).await {
        return;
    }
    let directory = rds.directory_of(resource);
    let group = instance.database.parameter_group.as_deref();
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
            tracing::warn!(instance = instance.database.id, %error, "a database could not be restored");
            rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = rds.state();
        match state.instance_of(resource).filter(|instance| instance.database.status == CREATING) {
            Some(instance) => {
                instance.database.port = Some(server.port());
                state.servers.insert(resource.to_owned(), server);
                None
            }
            None => Some(server),
        }
    };
    match unwanted {
        None => settle(&rds, resource, instance.database.backup_retention_days > 0).await,
        Some(server) => {
            end(server).await;
            remove(&directory).await;
        }
    }
}

/// Fills a cluster that is restored from a snapshot. No server serves it before it has a member.
pub(super) async fn restore_cluster(rds: Arc<Rds>, cluster: Cluster, source: Snapshot) {
    let resource = cluster.database.resource_id.as_str();
    if !comes_up(&rds, resource, outcome(cluster.fate)).await {
        return;
    }
    let directory = rds.directory_of(resource);
    let (copied, ()) = tokio::join!(
        copy(source.directory.clone(), directory.clone()),
        tokio::time::sleep(rds.context.options.databases.creation)
    );
    if let Err(error) = &copied {
        tracing::warn!(cluster = cluster.database.id, %error, "a cluster could not be restored");
    }
    let status = if copied.is_ok() { AVAILABLE } else { "failed" };
    if !rds.advance(resource, CREATING, status) && rds.state().cluster_of(resource).is_none() {
        remove(&directory).await;
    }
}

/// Brings up a member of a cluster, and with the first one the cluster's server.
pub(super) async fn create_member(rds: Arc<Rds>, instance: Instance) {
    let resource = instance.database.resource_id.as_str();
    let Some(cluster) = instance.cluster.as_ref().and_then(|id| rds.state().clusters.get(id).cloned()) else {
        return;
    };
    if !comes_up(&rds, resource, member_outcome(cluster.fate)).await {
        return;
    }
    let (served, ()) = tokio::join!(serve(&rds, &cluster), tokio::time::sleep(rds.context.options.databases.creation));
    let port = match served {
        Ok(port) => port,
        Err(error) => {
            tracing::warn!(instance = instance.database.id, %error, "the server of a cluster could not be started");
            rds.advance(resource, CREATING, "failed");
            return;
        }
    };
    let unwanted = {
        let mut state = rds.state();
        if let Some(instance) = state.instance_of(resource) {
            instance.database.port = Some(port);
        }
        if state.members(&cluster.database.id).is_empty() {
            state.servers.remove(&cluster.database.resource_id)
        } else {
            None
        }
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
    if let Some(server) = rds.state().servers.get(&cluster.database.resource_id) {
        return Ok(server.port());
    }
    let directory = rds.directory_of(&cluster.database.resource_id);
    let certificate = rds.make_certificate()?;
    let group = cluster.database.parameter_group.as_deref();
    let parameters = rds.state().parameters(cluster.database.engine, Scope::Cluster, group);
    let server = DatabaseServer::start(
        cluster.database.engine,
        &directory,
        &cluster.database.master_user,
        &certificate,
        &parameters,
    )
    .await?;
    let waiting =
        rds.state().cluster_of(&cluster.database.resource_id).and_then(|cluster| cluster.waiting_password.take());
    if let Some(password) = waiting {
        set_password(&server.superuser(), cluster.database.engine, &cluster.database.master_user, &password).await?;
    }
    let port = server.port();
    let mut state = rds.state();
    if let Some(cluster) = state.cluster_of(&cluster.database.resource_id) {
        cluster.database.port = Some(port);
    }
    state.servers.insert(cluster.database.resource_id.clone(), server);
    Ok(port)
}
