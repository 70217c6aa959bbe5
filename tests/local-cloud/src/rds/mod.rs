//! RDS: snapshots that are data directories, and the instances and clusters that are restored from them, which are real
//! database servers on this machine. What an export task is, is not played here.

mod answer;
mod cluster;
mod identifier;
mod instance;
mod life;
mod orderable;
mod parameter_group;
mod server;
mod snapshot;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::task::JoinSet;

pub(crate) use self::answer::answer;
use self::cluster::Cluster;
use self::instance::Instance;
use self::parameter_group::{ParameterGroup, Scope};
pub use self::server::{DatabaseAccess, DatabaseServer, PlainDatabase};
use self::snapshot::Snapshot;
pub use self::snapshot::{DatabaseSource, ScratchDatabase};
pub(crate) use self::snapshot::{SnapshotView, add as add_snapshot};
use crate::observe::{DatabaseClusterView, DatabaseView};
use crate::wire::query_pairs;

/// The RDS of one region.
#[derive(Debug, Default)]
pub(crate) struct Rds {
    state: Mutex<State>,
    /// What happens by itself: restores, changes of passwords, deletions.
    tasks: Mutex<JoinSet<()>>,
    /// Held while the server of a cluster is started, so that two members do not start two.
    starting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// By ARN.
    snapshots: BTreeMap<String, Snapshot>,
    instances: BTreeMap<String, Instance>,
    clusters: BTreeMap<String, Cluster>,
    parameter_groups: BTreeMap<(Scope, String), ParameterGroup>,
    /// The servers that run, by the resource id of the instance or cluster whose data they serve.
    servers: BTreeMap<String, DatabaseServer>,
    /// Zones in which no instance can be had.
    full_zones: BTreeSet<String>,
    /// Instances and clusters that are gone, but whose automated backups were kept.
    automated_backups: Vec<String>,
    /// The states that each instance and cluster has been in, also of those that are gone.
    history: BTreeMap<String, Vec<String>>,
}

/// The operation and the resource that a request names.
pub(crate) fn identify(body: &Bytes) -> (String, String) {
    let form = query_pairs(&String::from_utf8_lossy(body));
    let names = [
        "DBInstanceIdentifier",
        "DBClusterIdentifier",
        "DBSnapshotIdentifier",
        "DBClusterSnapshotIdentifier",
        "ExportTaskIdentifier",
        "DBParameterGroupName",
        "DBClusterParameterGroupName",
        "ResourceName",
        "DBInstanceClass",
    ];
    let resource = names.iter().find_map(|name| form.get(*name).cloned());
    (form.get("Action").cloned().unwrap_or_default(), resource.unwrap_or_default())
}

/// The directory of the data that an instance or a cluster owns.
fn directory_of(cloud: &Path, resource_id: &str) -> PathBuf {
    cloud.join("databases").join(resource_id)
}

/// The certificate that all servers show.
pub(crate) fn certificate(cloud: &Path) -> PathBuf {
    certificate_directory(cloud).join(server::CERTIFICATE)
}

/// The directory of the certificate that all servers show.
fn certificate_directory(cloud: &Path) -> PathBuf {
    cloud.join("databases/tls")
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// An id of RDS's form that no other resource ever had: `db-` or `cluster-` and 26 letters and digits.
fn new_resource_id(prefix: &str) -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    format!("{prefix}-{}", &digits[..26])
}

impl Rds {
    fn state(&self) -> MutexGuard<'_, State> {
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
    pub(crate) async fn crash(&self, id: &str) -> crate::error::Result<bool> {
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
        state.clusters.values().map(|cluster| view::cluster_view(cluster, &state.members(&cluster.id))).collect()
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
    pub(crate) fn kill_all(&self, directory: &Path) {
        // Tasks that are dropped drop the servers that they were starting, which ends those.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.state().servers.clear();
        server::linger(&directory.join("databases"));
    }

    /// Ends all servers, and waits until those below the cloud's directory are gone.
    pub(crate) async fn stop_all(&self, directory: &Path) -> crate::error::Result<()> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        let servers = std::mem::take(&mut self.state().servers);
        for server in servers.into_values() {
            server.crash().await?;
        }
        server::wait_for_end(&directory.join("databases")).await
    }
}

impl State {
    /// The resource id of what owns the data of an instance (its cluster, or itself) or of a cluster.
    fn data_owner(&self, id: &str) -> Option<String> {
        let cluster = |id: &str| self.clusters.get(id).map(|cluster| cluster.resource_id.clone());
        match self.instances.get(id) {
            Some(Instance { cluster: Some(owner), .. }) => cluster(owner),
            Some(instance) => Some(instance.resource_id.clone()),
            None => cluster(id),
        }
    }

    /// Remembers the state that an instance or a cluster is in.
    fn remember(&mut self, id: &str, status: &str) {
        self.history.entry(id.to_owned()).or_default().push(status.to_owned());
    }

    /// The instances of a cluster.
    fn members(&self, cluster: &str) -> Vec<&Instance> {
        self.instances.values().filter(|instance| instance.cluster.as_deref() == Some(cluster)).collect()
    }
}
