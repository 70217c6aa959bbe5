//! How a master password changes.

use std::sync::Arc;

use super::life::{AVAILABLE, RESETTING, set_password};
use super::server::{DatabaseServer, Password};
use super::service::Rds;

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
        let instance = state
            .instance_of(&resource)
            .map(|instance| (instance.database.engine, instance.database.master_user.clone()));
        let owner = instance.or_else(|| {
            state.cluster_of(&resource).map(|cluster| (cluster.database.engine, cluster.database.master_user.clone()))
        });
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
    if let Some(owner) = state.database_of(&resource) {
        owner.pending_passwords = owner.pending_passwords.saturating_sub(1);
    }
    for each in &affected {
        state.advance(each, RESETTING, AVAILABLE);
    }
}
