//! A database server, made of an RDS or Aurora snapshot: an instance, or a cluster and then an instance in it, and a
//! password that only we know.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::Endpoint;
use domain::failure::{Error, Kind};
use domain::id::AvailabilityZone;
use domain::plan::{Plan, Restored, Unit};
use domain::source::DatabaseSource;

use super::look::Look;
use super::progress::{DatabaseProgress, DatabaseStage, Progress};
use crate::resource::rds::{cluster, instance, refusal};
use crate::resource::{parameter_group, password, tag};

/// What a status means for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It can be used.
    Available,
    /// It may become so.
    Changing,
    /// It will not.
    Failed,
}

/// How often a new instance may be unknown to RDS before that means that it is gone.
const UNKNOWN_TURNS: u32 = 3;

/// Judges the status of an instance or cluster. What RDS may call a status tomorrow is waited for, up to the deadline.
pub fn condition(status: &str) -> Condition {
    match status {
        "available" => Condition::Available,
        "failed"
        | "deleting"
        | "deleted"
        | "restore-error"
        | "insufficient-capacity"
        | "storage-full"
        | "stopped"
        | "inaccessible-encryption-credentials"
        | "inaccessible-encryption-credentials-recoverable" => Condition::Failed,
        status if status.starts_with("incompatible-") => Condition::Failed,
        _ => Condition::Changing,
    }
}

/// Asks for the instance, in the first zone that takes it, or for the cluster.
pub(super) async fn start(rds: &Client, plan: &Plan, unit: &Unit, source: &DatabaseSource) -> Result<Progress, Error> {
    if let Some(group) = &source.parameter_group {
        parameter_group::make(rds, source, group, tag::rds(plan, unit)).await?;
    }
    if let Some(id) = &source.cluster_id {
        if let Err(failure) = cluster::restore(rds, source, id, tag::rds(plan, unit)).await {
            return Err(refusal::refused(failure, source, format!("restore {} as {id}", source.snapshot_arn)));
        }
        let zone = plan.placements.first().map(|placement| placement.availability_zone.clone());
        let availability_zone = zone.ok_or_else(|| Error::new(Kind::Internal, "a plan without placements"))?;
        return Ok(Progress::Database(DatabaseProgress { stage: DatabaseStage::Cluster, availability_zone }));
    }
    let availability_zone = make_instance(rds, plan, unit, source).await?;
    Ok(Progress::Database(DatabaseProgress { stage: DatabaseStage::Instance, availability_zone }))
}

/// Makes the instance, in the first zone that takes it.
async fn make_instance(
    rds: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
) -> Result<AvailabilityZone, Error> {
    let mut full = Vec::new();
    for placement in &plan.placements {
        let zone = &placement.availability_zone;
        match instance::make(rds, source, zone, tag::rds(plan, unit)).await {
            Ok(()) => return Ok(zone.clone()),
            Err(failure) if refusal::is_full(&failure) => full.push(zone.as_str()),
            Err(failure) => {
                let action = format!("restore {} as {} in {zone}", source.snapshot_arn, source.instance_id);
                return Err(refusal::refused(failure, source, action));
            }
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!(
            "restore {}: no capacity for {} instances in {}",
            source.snapshot_arn,
            source.instance_class,
            full.join(", ")
        ),
    ))
}

/// One look, and what follows from it.
pub(super) async fn check(
    rds: &Client,
    ssm: &aws_sdk_ssm::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
    progress: &DatabaseProgress,
    turn: u32,
) -> Result<Look, Error> {
    let next = |stage, availability_zone: &AvailabilityZone, at: String| {
        let progress = DatabaseProgress { stage, availability_zone: availability_zone.clone() };
        Ok(Look::Next { progress: Progress::Database(progress), at })
    };
    let zone = &progress.availability_zone;
    let cluster = match &source.cluster_id {
        Some(id) => Some((id, cluster::find(rds, id).await?)),
        None => None,
    };
    let mut is_pending = false;
    if let Some((id, cluster)) = &cluster {
        let status = cluster.as_ref().map(|cluster| cluster.status().unwrap_or_default());
        if let Some(look) = judge("cluster", id, status, source, turn)? {
            return Ok(look);
        }
        is_pending |= cluster.as_ref().is_some_and(cluster::has_pending_password);
        if progress.stage == DatabaseStage::Cluster {
            let zone = make_instance(rds, plan, unit, source).await?;
            return next(DatabaseStage::Instance, &zone, format!("the instance {} is asked for", source.instance_id));
        }
    }
    let instance = instance::find(rds, &source.instance_id).await?;
    let status = instance.as_ref().map(|instance| instance.db_instance_status().unwrap_or_default());
    if let Some(look) = judge("instance", &source.instance_id, status, source, turn)? {
        return Ok(look);
    }
    let Some(instance) = instance else {
        return Err(Error::new(Kind::Internal, "an instance that is available and not there"));
    };
    // An answer that was lost may have made it in another zone than the last that was asked.
    let zone = instance.availability_zone().and_then(|zone| zone.parse().ok()).unwrap_or_else(|| zone.clone());
    is_pending |= instance::has_pending_password(&instance);
    let at = format!("the password of {} is being set", source.instance_id);
    match progress.stage {
        DatabaseStage::Cluster | DatabaseStage::Instance => {
            set_password(rds, ssm, plan, unit, source).await?;
            next(DatabaseStage::Password, &zone, at)
        }
        DatabaseStage::Password | DatabaseStage::Settling if is_pending => next(DatabaseStage::Password, &zone, at),
        DatabaseStage::Password => next(DatabaseStage::Settling, &zone, at),
        DatabaseStage::Settling => {
            let endpoint = instance.endpoint();
            let host = endpoint.and_then(Endpoint::address);
            let port = endpoint.and_then(Endpoint::port).and_then(|port| u16::try_from(port).ok());
            match host.zip(port) {
                Some((host, port)) => Ok(Look::Ready(Restored::Database { host: host.to_owned(), port })),
                None => Ok(Look::Wait { at: format!("{} has no endpoint", source.instance_id) }),
            }
        }
    }
}

/// Gives the master user of the server its password.
async fn set_password(
    rds: &Client,
    ssm: &aws_sdk_ssm::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
) -> Result<(), Error> {
    let name = &source.password_parameter;
    let tags = tag::ssm(plan, unit);
    let tags = tags.map_err(|error| Error::new(Kind::Internal, format!("tag the parameter {name}: {error}")))?;
    let password = password::keep(ssm, name, tags).await?;
    let result = match &source.cluster_id {
        Some(id) => cluster::set_password(rds, id, password).await,
        None => instance::set_password(rds, &source.instance_id, password).await,
    };
    let action = format!("set the password of {}", source.instance_id);
    match result {
        Ok(()) => Ok(()),
        Err(failure) if refusal::is_changing(&failure) => Err(failure.as_kind(Kind::Unavailable, action)),
        Err(failure) => Err(failure.during(action)),
    }
}

/// `None` when it is available; an error when it never will be.
fn judge(
    what: &str,
    id: &str,
    status: Option<&str>,
    source: &DatabaseSource,
    turn: u32,
) -> Result<Option<Look>, Error> {
    let failed = |why: &str| {
        Err(Error::new(Kind::RestoreFailed, format!("restore {} as the {what} {id}: {why}", source.snapshot_arn)))
    };
    match status {
        None if turn >= UNKNOWN_TURNS => failed("RDS does not know it any more: somebody or something deleted it"),
        None => Ok(Some(Look::Wait { at: format!("the {what} {id} is unknown to RDS") })),
        Some(status) => match condition(status) {
            Condition::Available => Ok(None),
            Condition::Changing => Ok(Some(Look::Wait { at: format!("the {what} {id} is {status}") })),
            Condition::Failed => {
                let why = format!(
                    "it is {status}, and RDS does not go on from there: its events say why (aws rds describe-events \
                     --source-type db-{what} --source-identifier {id})"
                );
                failed(&why)
            }
        },
    }
}
