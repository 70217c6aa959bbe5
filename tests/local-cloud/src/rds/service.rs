//! RDS itself: its servers and what happens by itself, and what tests see of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use super::server::{self, CERTIFICATE, Certificate, DatabaseAccess, DatabaseServer};
use super::state::State;
use super::view;
use crate::context::Context;
use crate::error::Result;
use crate::observe::{DatabaseClusterView, DatabaseView};

/// The RDS of one region.
#[derive(Debug)]
pub(crate) struct Rds {
    pub(super) context: Arc<Context>,
    state: Mutex<State>,
    /// What happens by itself: restores, changes of passwords, deletions.
    tasks: Mutex<JoinSet<()>>,
    /// Held while the server of a cluster is started, so that two members do not start two.
    pub(super) starting: tokio::sync::Mutex<()>,
}

impl Rds {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            state: Mutex::default(),
            tasks: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
        }
    }

    /// The directory of all that RDS keeps.
    pub(super) fn root(&self) -> PathBuf {
        self.context.directory.join("databases")
    }

    /// The directory of the data that an instance or a cluster owns.
    pub(super) fn directory_of(&self, resource_id: &str) -> PathBuf {
        self.root().join(resource_id)
    }

    /// The directory of a new snapshot.
    pub(super) fn new_snapshot_directory(&self) -> PathBuf {
        self.root().join("snapshots").join(uuid::Uuid::new_v4().to_string())
    }

    /// The certificate that all servers show. It is there once there was a snapshot.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.root().join("tls").join(CERTIFICATE)
    }

    /// The certificate that all servers show; it is made when there is none.
    pub(super) fn make_certificate(&self) -> Result<Certificate> {
        Certificate::of(&self.root().join("tls"))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Refuses or offers capacity in a zone.
    pub(crate) fn set_capacity(&self, zone: &str, available: bool) {
        let mut state = self.state();
        if available {
            state.full_zones.remove(zone);
        } else {
            state.full_zones.insert(zone.to_owned());
        }
    }

    /// The way in for the superuser of an instance's or a cluster's server, if it runs.
    pub(crate) fn superuser(&self, id: &str) -> Option<DatabaseAccess> {
        let state = self.state();
        let resource = state.data_owner(id)?;
        state.servers.get(&resource).map(DatabaseServer::superuser)
    }

    /// The way in for a user of an instance's or a cluster's server, if it runs.
    pub(crate) fn user(&self, id: &str, user: &str, password: &str) -> Option<DatabaseAccess> {
        let state = self.state();
        let resource = state.data_owner(id)?;
        state.servers.get(&resource).map(|server| server.user(user, password))
    }

    /// Ends the server of an instance or a cluster as a crash would; `false` when none runs.
    pub(crate) async fn crash(&self, id: &str) -> Result<bool> {
        let server = {
            let mut state = self.state();
            let resource = state.data_owner(id);
            resource.and_then(|resource| state.servers.remove(&resource))
        };
        match server {
            Some(server) => server.crash().await.map(|()| true),
            None => Ok(false),
        }
    }

    pub(crate) fn views(&self) -> Vec<DatabaseView> {
        self.state().instances.values().map(view::instance_view).collect()
    }

    pub(crate) fn cluster_views(&self) -> Vec<DatabaseClusterView> {
        let state = self.state();
        state
            .clusters
            .values()
            .map(|cluster| view::cluster_view(cluster, &state.members(&cluster.database.id)))
            .collect()
    }

    /// The names of the parameter groups.
    pub(crate) fn parameter_groups(&self) -> Vec<String> {
        self.state().parameter_groups.values().map(|group| group.name.clone()).collect()
    }

    /// The states that an instance or a cluster has been in, oldest first.
    pub(crate) fn history(&self, id: &str) -> Vec<String> {
        self.state().history.get(id).cloned().unwrap_or_default()
    }

    /// The snapshots that AWS Backup did not make, and the automated backups that outlive what they are of.
    pub(crate) fn own_backups(&self) -> Vec<String> {
        let state = self.state();
        let manual = state.snapshots.values().filter(|snapshot| !snapshot.is_awsbackup());
        manual.map(|snapshot| snapshot.id.clone()).chain(state.automated_backups.iter().cloned()).collect()
    }

    /// Ends all servers and whatever happens by itself; waits a moment for those below the cloud's directory, which is
    /// about to be removed.
    pub(crate) fn kill_all(&self) {
        // Tasks that are dropped drop the servers that they were starting, which ends those.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.state().servers.clear();
        server::linger(&self.root());
    }

    /// Ends all servers, and waits until those below the cloud's directory are gone.
    pub(crate) async fn stop_all(&self) -> Result<()> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        let servers = std::mem::take(&mut self.state().servers);
        for server in servers.into_values() {
            server.crash().await?;
        }
        server::wait_for_end(&self.root()).await
    }
}
