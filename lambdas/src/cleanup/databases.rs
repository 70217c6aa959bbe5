//! Databases of an execution, found by their derived names: instance, then cluster, then parameter group, and the
//! password. And export tasks of RDS.

use aws_sdk_rds::Client;
use domain::failure::Error;
use domain::source::DatabaseSource;

use super::turn::Turn;
use crate::resource::parameter_group::{self, GroupKind};
use crate::resource::rds::{cluster, instance};
use crate::resource::removal::Removal;
use crate::resource::{export_task, password};

/// Removes what was restored for one database, each thing once nothing uses it any more: a cluster with an instance
/// cannot be deleted, nor the group of either.
pub(super) async fn remove(rds: &Client, ssm: &aws_sdk_ssm::Client, source: &DatabaseSource, turn: &mut Turn) {
    let mut is_used = remove_instance(rds, &source.instance_id, turn).await;
    if let (Some(id), false) = (&source.cluster_id, is_used) {
        is_used |= remove_cluster(rds, id, turn).await;
    }
    if let (Some(group), false) = (&source.parameter_group, is_used) {
        remove_group(rds, GroupKind::of(source), &group.name, turn).await;
    }
    remove_password(ssm, &source.password_parameter, turn).await;
}

/// Deletes an instance; whether there is one still, for all that is known.
pub(super) async fn remove_instance(rds: &Client, id: &str, turn: &mut Turn) -> bool {
    is_there(delete_instance(rds, id, turn).await, turn)
}

/// Deletes a cluster; whether there is one still, for all that is known.
pub(super) async fn remove_cluster(rds: &Client, id: &str, turn: &mut Turn) -> bool {
    is_there(delete_cluster(rds, id, turn).await, turn)
}

/// Deletes a parameter group.
pub(super) async fn remove_group(rds: &Client, kind: GroupKind, name: &str, turn: &mut Turn) {
    match parameter_group::delete(rds, kind, name).await {
        Ok(Removal::Begun) => turn.removed.push(format!("parameter group {name}")),
        Ok(Removal::Gone) => {}
        Ok(Removal::Busy) => turn.remaining.push(format!("parameter group {name} (in use)")),
        Err(error) => turn.errors.push(error),
    }
}

/// Deletes a password.
pub(super) async fn remove_password(ssm: &aws_sdk_ssm::Client, name: &str, turn: &mut Turn) {
    match password::delete(ssm, name).await {
        Ok(Removal::Begun) => turn.removed.push(format!("parameter {name}")),
        Ok(Removal::Gone | Removal::Busy) => {}
        Err(error) => turn.errors.push(error),
    }
}

/// Ends an export task that runs.
pub(super) async fn cancel_export(rds: &Client, id: &str, turn: &mut Turn) {
    let result = cancel(rds, id, turn).await;
    turn.note(result);
}

/// What could not be looked at is there, for all that is known.
fn is_there(result: Result<bool, Error>, turn: &mut Turn) -> bool {
    result.unwrap_or_else(|error| {
        turn.errors.push(error);
        true
    })
}

async fn delete_instance(rds: &Client, id: &str, turn: &mut Turn) -> Result<bool, Error> {
    let Some(found) = instance::find(rds, id).await? else {
        return Ok(false);
    };
    let status = found.db_instance_status().unwrap_or("unknown");
    if status != "deleting" {
        match instance::delete(rds, id, &found).await? {
            Removal::Begun => turn.removed.push(format!("database instance {id}")),
            Removal::Gone => return Ok(false),
            // The next turn sees what it is.
            Removal::Busy => {}
        }
    }
    turn.remaining.push(format!("database instance {id} ({status})"));
    Ok(true)
}

async fn delete_cluster(rds: &Client, id: &str, turn: &mut Turn) -> Result<bool, Error> {
    let Some(found) = cluster::find(rds, id).await? else {
        return Ok(false);
    };
    let status = found.status().unwrap_or("unknown");
    if status != "deleting" {
        match cluster::delete(rds, id).await? {
            Removal::Begun => turn.removed.push(format!("database cluster {id}")),
            Removal::Gone => return Ok(false),
            Removal::Busy => {}
        }
    }
    turn.remaining.push(format!("database cluster {id} ({status})"));
    Ok(true)
}

async fn cancel(rds: &Client, id: &str, turn: &mut Turn) -> Result<(), Error> {
    let Some(task) = export_task::find(rds, id).await?.filter(export_task::is_running) else {
        return Ok(());
    };
    let status = task.status().unwrap_or("unknown");
    if status != "CANCELING" {
        match export_task::cancel(rds, id).await? {
            Removal::Begun => turn.removed.push(format!("export task {id}")),
            Removal::Gone | Removal::Busy => {}
        }
    }
    // While it runs it writes.
    turn.remaining.push(format!("export task {id} ({status})"));
    Ok(())
}
