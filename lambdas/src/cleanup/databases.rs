//! Databases of an execution, found by their derived names: instance, then cluster, then parameter group, and the password. And export tasks of RDS.

use aws_sdk_rds::Client;
use domain::source::DatabaseSource;

use super::Turn;
use crate::aws::{Failure, done};
use crate::error::Error;
use crate::restore::database::{find_cluster, find_instance};
use crate::restore::parameter_group::{self, Scope};
use crate::restore::snapshot_export;

/// The names of what is restored for one database. Nothing else ever has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// The instance.
    pub instance: Option<&'a str>,
    /// The cluster.
    pub cluster: Option<&'a str>,
    /// The parameter group.
    pub parameter_group: Option<(Scope, &'a str)>,
    /// The parameter that holds the password.
    pub parameter: Option<&'a str>,
}

impl<'a> From<&'a DatabaseSource> for Names<'a> {
    fn from(source: &'a DatabaseSource) -> Self {
        Self {
            instance: Some(&source.instance_id),
            cluster: source.cluster_id.as_deref(),
            parameter_group: source.parameter_group.as_ref().map(|group| (Scope::of(source), group.name.as_str())),
            parameter: Some(&source.password_parameter),
        }
    }
}

/// What RDS answers where it must not be told to delete automated backups: they are AWS Backup's, or no permission tells them from others'.
/// An instance has none of its own then, and those of a cluster expire within a day.
const TAKEN_UP: &[&str] = &["InvalidParameterCombination", "AccessDenied", "AccessDeniedException"];

pub(super) async fn remove(rds: &Client, ssm: &aws_sdk_ssm::Client, names: &Names<'_>, turn: &mut Turn) {
    // Each waits until nothing uses it any more: a cluster with an instance cannot be deleted, nor the group of either.
    let mut is_used = false;
    if let Some(id) = names.instance {
        is_used |= is_there(instance(rds, id, turn).await, turn);
    }
    if let (Some(id), false) = (names.cluster, is_used) {
        is_used |= is_there(cluster(rds, id, turn).await, turn);
    }
    if let (Some((scope, name)), false) = (names.parameter_group, is_used) {
        let result = group(rds, scope, name, turn).await;
        turn.note(result);
    }
    if let Some(name) = names.parameter {
        let result = parameter(ssm, name, turn).await;
        turn.note(result);
    }
}

/// What could not be looked at is there, for all that is known.
fn is_there(result: Result<bool, Error>, turn: &mut Turn) -> bool {
    result.unwrap_or_else(|error| {
        turn.errors.push(error);
        true
    })
}

/// Whether there is one still.
async fn instance(rds: &Client, id: &str, turn: &mut Turn) -> Result<bool, Error> {
    let Some(found) = find_instance(rds, id).await? else {
        return Ok(false);
    };
    let status = found.db_instance_status().unwrap_or("unknown");
    if status != "deleting" {
        // A member of a cluster has no backups of its own, and RDS refuses to be told about them.
        let backups = found.db_cluster_identifier().is_none().then_some(true);
        let delete = |backups: Option<bool>| {
            let call = rds.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(true);
            async move { done(call.set_delete_automated_backups(backups).send().await) }
        };
        let result = match delete(backups).await {
            // A continuous backup plan of the account took it up: those backups are AWS Backup's to delete.
            Err(failure) if failure.is(TAKEN_UP) && backups.is_some() => delete(Some(false)).await,
            result => result,
        };
        match result {
            Ok(()) => turn.removed.push(format!("database instance {id}")),
            Err(failure) if failure.is(&["DBInstanceNotFound", "DBInstanceNotFoundFault"]) => return Ok(false),
            // Being made or changed: the next turn sees what it is.
            Err(failure) if failure.is(&["InvalidDBInstanceState", "InvalidDBInstanceStateFault"]) => {}
            Err(failure) => return Err(failure.during(format!("delete the database instance {id}"))),
        }
    }
    turn.remaining.push(format!("database instance {id} ({status})"));
    Ok(true)
}

/// Whether there is one still.
async fn cluster(rds: &Client, id: &str, turn: &mut Turn) -> Result<bool, Error> {
    let Some(found) = find_cluster(rds, id).await? else {
        return Ok(false);
    };
    let status = found.status().unwrap_or("unknown");
    if status != "deleting" {
        let delete = |backups: bool| {
            let call = rds.delete_db_cluster().db_cluster_identifier(id).skip_final_snapshot(true);
            async move { done(call.delete_automated_backups(backups).send().await) }
        };
        let result = match delete(true).await {
            Err(failure) if failure.is(TAKEN_UP) => delete(false).await,
            result => result,
        };
        match result {
            Ok(()) => turn.removed.push(format!("database cluster {id}")),
            Err(failure) if failure.is(&["DBClusterNotFoundFault", "DBClusterNotFound"]) => return Ok(false),
            Err(failure) if failure.is(&["InvalidDBClusterStateFault", "InvalidDBClusterState"]) => {}
            Err(failure) => return Err(failure.during(format!("delete the database cluster {id}"))),
        }
    }
    turn.remaining.push(format!("database cluster {id} ({status})"));
    Ok(true)
}

async fn group(rds: &Client, scope: Scope, name: &str, turn: &mut Turn) -> Result<(), Error> {
    match parameter_group::delete(rds, scope, name).await {
        Ok(true) => turn.removed.push(format!("parameter group {name}")),
        Ok(false) => {}
        // RDS takes it for used for a while after its server is gone.
        Err(failure) if failure.is(&["InvalidDBParameterGroupState"]) => {
            turn.remaining.push(format!("parameter group {name} (in use)"));
        }
        Err(failure) => return Err(failure.during(format!("delete the parameter group {name}"))),
    }
    Ok(())
}

async fn parameter(ssm: &aws_sdk_ssm::Client, name: &str, turn: &mut Turn) -> Result<(), Error> {
    let result = ssm.delete_parameter().name(name).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => {
            turn.removed.push(format!("parameter {name}"));
            Ok(())
        }
        Err(failure) if failure.is(&["ParameterNotFound"]) => Ok(()),
        Err(failure) => Err(failure.during(format!("delete the parameter {name}"))),
    }
}

/// Ends an export task that runs. RDS keeps those that ended in its list for ever; they cost nothing.
pub(super) async fn cancel_export(rds: &Client, id: &str, turn: &mut Turn) {
    let result = cancel(rds, id, turn).await;
    turn.note(result);
}

async fn cancel(rds: &Client, id: &str, turn: &mut Turn) -> Result<(), Error> {
    let Some(task) = snapshot_export::find(rds, id).await?.filter(snapshot_export::is_running) else {
        return Ok(());
    };
    let status = task.status().unwrap_or("unknown");
    if status != "CANCELING" {
        let result = rds.cancel_export_task().export_task_identifier(id).send().await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(_) => turn.removed.push(format!("export task {id}")),
            // It ended since it was described.
            Err(failure) if failure.is(&["InvalidExportTaskStateFault", "InvalidExportTaskState"]) => {}
            Err(failure) => return Err(failure.during(format!("cancel the export task {id}"))),
        }
    }
    // While it runs it writes.
    turn.remaining.push(format!("export task {id} ({status})"));
    Ok(())
}
