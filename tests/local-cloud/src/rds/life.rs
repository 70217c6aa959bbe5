//! What all that happens by itself has in common: states that follow each other, data that is copied, servers that end.

use std::path::{Path, PathBuf};

use super::server::{self, DatabaseAccess, DatabaseServer, Password};
use super::service::Rds;
use super::snapshot::copy_data;
use super::state::State;
use crate::engine::{DatabaseEngine, Family};
use crate::error::{Error, Result};

pub(super) const AVAILABLE: &str = "available";
pub(super) const CREATING: &str = "creating";
pub(super) const RESETTING: &str = "resetting-master-credentials";

impl State {
    /// Moves an instance or a cluster from one state to the next; one that is in another state stays there.
    pub(super) fn advance(&mut self, resource_id: &str, from: &str, to: &str) -> bool {
        let found = self.database_of(resource_id).filter(|resource| resource.status == from);
        let Some(resource) = found else { return false };
        to.clone_into(&mut resource.status);
        let id = resource.id.clone();
        self.remember(&id, to);
        true
    }

    /// The resource ids of an instance alone, or of a cluster and its members.
    pub(super) fn affected(&mut self, resource_id: &str) -> Vec<String> {
        let mut all = vec![resource_id.to_owned()];
        if let Some(cluster) = self.cluster_of(resource_id).map(|cluster| cluster.database.id.clone()) {
            all.extend(self.members(&cluster).iter().map(|member| member.database.resource_id.clone()));
        }
        all
    }
}

impl Rds {
    pub(super) fn advance(&self, resource_id: &str, from: &str, to: &str) -> bool {
        self.state().advance(resource_id, from, to)
    }
}

/// Copies data without holding up the requests meanwhile.
pub(super) async fn copy(from: PathBuf, to: PathBuf) -> Result<()> {
    let name = from.display().to_string();
    let copied = tokio::task::spawn_blocking(move || copy_data(&from, &to)).await;
    copied.map_err(|error| Error::Program { program: format!("cp of {name}"), message: error.to_string() })?
}

/// Removes the data of something that is gone.
pub(super) async fn remove(directory: &Path) {
    // What has never been there is gone too.
    tokio::fs::remove_dir_all(directory).await.ok();
}

/// Ends a server whose data nobody needs.
pub(super) async fn end(server: DatabaseServer) {
    if let Err(error) = server.crash().await {
        tracing::warn!(%error, "a database server did not end");
    }
}

/// Gives the master user of a server another password.
pub(super) async fn set_password(
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
