//! A database server, made of an RDS or Aurora snapshot: an instance, or a cluster and then an instance in it, and a password that only we know.

use aws_sdk_rds::types::{DbCluster, DbInstance, Endpoint, Tag};
use domain::failure::Kind;
use domain::id::AvailabilityZone;
use domain::plan::{Plan, Restored, Unit};
use domain::source::{DatabaseSource, SnapshotKind};
use serde::{Deserialize, Serialize};

use super::{Restorer, Turn, parameter_group, password};
use crate::aws::{Failure, done};
use crate::error::Error;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is waited for.
    pub stage: Stage,
    /// The zone of the instance; of a cluster without one, where it will be asked for.
    pub availability_zone: AvailabilityZone,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The cluster, before it has an instance.
    Cluster,
    /// The instance.
    Instance,
    /// The password is being set.
    Password,
    /// The password was set when it was last looked at. RDS shows `available` for a moment before it begins to reset.
    Settling,
}

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

/// Another zone may have what this one has not.
const NO_CAPACITY: &[&str] = &[
    "InsufficientDBInstanceCapacity",
    "InsufficientDBInstanceCapacityFault",
    "InsufficientDBClusterCapacityFault",
    "StorageTypeNotSupported",
    "ProvisionedIopsNotAvailableInAZFault",
];

/// Asks for the instance, in the first zone that takes it, or for the cluster.
pub(super) async fn start(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
) -> Result<super::Progress, Error> {
    if let Some(group) = &source.parameter_group {
        parameter_group::make(rds, source, group, rds_tags(plan, unit)).await?;
    }
    if let Some(cluster) = &source.cluster_id {
        restore_cluster(rds, plan, unit, source, cluster).await?;
        let zone = plan.placements.first().map(|placement| placement.availability_zone.clone());
        let availability_zone = zone.ok_or_else(|| Error::new(Kind::Internal, "a plan without placements"))?;
        return Ok(super::Progress::Database(Progress { stage: Stage::Cluster, availability_zone }));
    }
    let availability_zone = make_instance(rds, plan, unit, source).await?;
    Ok(super::Progress::Database(Progress { stage: Stage::Instance, availability_zone }))
}

fn rds_tags(plan: &Plan, unit: &Unit) -> Vec<Tag> {
    let tag = |(key, value): (String, String)| Tag::builder().key(key).value(value).build();
    super::tags(plan, unit).into_iter().map(tag).collect()
}

/// Makes the instance, of the snapshot or in the cluster. One that is there already is ours: nothing else ever has its name.
async fn make_instance(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
) -> Result<AvailabilityZone, Error> {
    let mut full = Vec::new();
    for placement in &plan.placements {
        let zone = &placement.availability_zone;
        let result = match source.snapshot_kind {
            SnapshotKind::Instance | SnapshotKind::MultiAzCluster => {
                restore_instance(rds, plan, unit, source, zone).await
            }
            SnapshotKind::AuroraCluster => create_in_cluster(rds, plan, unit, source, zone).await,
        };
        match result {
            Ok(()) => return Ok(zone.clone()),
            Err(failure) if failure.is(&["DBInstanceAlreadyExists", "DBInstanceAlreadyExistsFault"]) => {
                return Ok(zone.clone());
            }
            Err(failure) if failure.is(NO_CAPACITY) => full.push(zone.as_str()),
            Err(failure) => {
                let action = format!("restore {} as {} in {zone}", source.snapshot_arn, source.instance_id);
                return Err(refused(failure, source, action));
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

async fn restore_instance(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
    zone: &AvailabilityZone,
) -> Result<(), Failure> {
    let call = rds.restore_db_instance_from_db_snapshot();
    let call = match source.snapshot_kind {
        SnapshotKind::MultiAzCluster => call.db_cluster_snapshot_identifier(&source.snapshot_arn),
        SnapshotKind::Instance | SnapshotKind::AuroraCluster => call.db_snapshot_identifier(&source.snapshot_arn),
    };
    let call = call
        .db_instance_identifier(&source.instance_id)
        .db_instance_class(&source.instance_class)
        .set_db_parameter_group_name(source.parameter_group.as_ref().map(|group| group.name.clone()))
        .set_storage_type(source.storage_type.clone())
        .set_iops(source.iops.and_then(|iops| i32::try_from(iops).ok()))
        .availability_zone(zone.as_str())
        .db_subnet_group_name(&source.subnet_group)
        .set_vpc_security_group_ids(Some(source.security_groups.clone()))
        .port(source.engine.port().into())
        .multi_az(false)
        .publicly_accessible(false)
        .deletion_protection(false)
        .auto_minor_version_upgrade(false)
        .copy_tags_to_snapshot(false)
        .backup_retention_period(0)
        .set_tags(Some(rds_tags(plan, unit)));
    done(call.send().await)
}

async fn create_in_cluster(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
    zone: &AvailabilityZone,
) -> Result<(), Failure> {
    let call = rds
        .create_db_instance()
        .db_instance_identifier(&source.instance_id)
        .set_db_cluster_identifier(source.cluster_id.clone())
        .engine(source.engine.name())
        .db_instance_class(&source.instance_class)
        .availability_zone(zone.as_str())
        .publicly_accessible(false)
        .auto_minor_version_upgrade(false)
        .set_tags(Some(rds_tags(plan, unit)));
    done(call.send().await)
}

async fn restore_cluster(
    rds: &aws_sdk_rds::Client,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
    cluster: &str,
) -> Result<(), Error> {
    let result = rds
        .restore_db_cluster_from_snapshot()
        .db_cluster_identifier(cluster)
        .snapshot_identifier(&source.snapshot_arn)
        .engine(source.engine.name())
        .engine_version(&source.engine_version)
        .set_db_cluster_parameter_group_name(source.parameter_group.as_ref().map(|group| group.name.clone()))
        .db_subnet_group_name(&source.subnet_group)
        .set_vpc_security_group_ids(Some(source.security_groups.clone()))
        .port(source.engine.port().into())
        .deletion_protection(false)
        .copy_tags_to_snapshot(false)
        // The least that Aurora takes; what it keeps goes with the cluster.
        .backup_retention_period(1)
        .set_tags(Some(rds_tags(plan, unit)))
        .send()
        .await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is(&["DBClusterAlreadyExistsFault", "DBClusterAlreadyExists"]) => Ok(()),
        Err(failure) => Err(refused(failure, source, format!("restore {} as {cluster}", source.snapshot_arn))),
    }
}

pub(super) fn refused(failure: Failure, source: &DatabaseSource, action: String) -> Error {
    if failure.is(&["DBSnapshotNotFound", "DBSnapshotNotFoundFault", "DBClusterSnapshotNotFoundFault"]) {
        return failure.as_kind(Kind::SourceNotFound, action);
    }
    if failure.is(&["InvalidDBSnapshotState", "InvalidDBClusterSnapshotStateFault"]) {
        return failure.as_kind(Kind::RecoveryPointNotUsable, action);
    }
    // Other exports delete their instances soon: worth waiting for, unlike a wrong parameter.
    let quota = [
        "InstanceQuotaExceeded",
        "StorageQuotaExceeded",
        "DBClusterQuotaExceededFault",
        "DBParameterGroupQuotaExceeded",
    ];
    if failure.is(&quota) {
        return failure.as_kind(
            Kind::Throttled,
            format!("{action}: the account's RDS quota is used up; raise it, or run fewer exports at once"),
        );
    }
    // It was made a moment ago, and is not known everywhere yet.
    if failure.is(&[
        "DBParameterGroupNotFound",
        "DBClusterParameterGroupNotFound",
        "DBClusterParameterGroupNotFoundFault",
    ]) {
        return failure.as_kind(Kind::Unavailable, action);
    }
    if failure.is(&["KMSKeyNotAccessibleFault"]) {
        let key = source.kms_key_id.as_deref().unwrap_or("that encrypts it");
        return failure.as_kind(
            Kind::RestoreFailed,
            format!(
                "{action}: the key {key} cannot be used; the role of start-restore needs kms:CreateGrant, kms:Decrypt and \
                 kms:DescribeKey on it, and the key must be enabled"
            ),
        );
    }
    match failure.kind {
        Kind::Throttled | Kind::Unavailable | Kind::AccessDenied => failure.during(action),
        _ => failure.as_kind(Kind::RestoreFailed, action),
    }
}

/// One look, and what follows from it.
pub(super) async fn check(
    restorer: &Restorer,
    plan: &Plan,
    unit: &Unit,
    source: &DatabaseSource,
    progress: &Progress,
    turn: u32,
) -> Result<Turn, Error> {
    let rds = &restorer.rds;
    let next = |stage, availability_zone: &AvailabilityZone, at: String| {
        let progress = Progress { stage, availability_zone: availability_zone.clone() };
        Ok(Turn::Next { progress: super::Progress::Database(progress), at })
    };
    let zone = &progress.availability_zone;
    let cluster = match &source.cluster_id {
        Some(id) => Some((id, find_cluster(rds, id).await?)),
        None => None,
    };
    let mut is_pending = false;
    if let Some((id, cluster)) = &cluster {
        let status = cluster.as_ref().map(|cluster| cluster.status().unwrap_or_default());
        if let Some(turn) = judge("cluster", id, status, source, turn)? {
            return Ok(turn);
        }
        is_pending |= cluster.as_ref().is_some_and(|cluster| {
            cluster.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some())
        });
        if progress.stage == Stage::Cluster {
            let zone = make_instance(rds, plan, unit, source).await?;
            return next(Stage::Instance, &zone, format!("the instance {} is asked for", source.instance_id));
        }
    }
    let instance = find_instance(rds, &source.instance_id).await?;
    let status = instance.as_ref().map(|instance| instance.db_instance_status().unwrap_or_default());
    if let Some(turn) = judge("instance", &source.instance_id, status, source, turn)? {
        return Ok(turn);
    }
    let Some(instance) = instance else {
        return Err(Error::new(Kind::Internal, "an instance that is available and not there"));
    };
    // An answer that was lost may have made it in another zone than the last that was asked.
    let zone = instance.availability_zone().and_then(|zone| zone.parse().ok()).unwrap_or_else(|| zone.clone());
    is_pending |= instance.pending_modified_values().is_some_and(|pending| pending.master_user_password().is_some());
    let at = format!("the password of {} is being set", source.instance_id);
    match progress.stage {
        Stage::Cluster | Stage::Instance => {
            password::set(restorer, plan, unit, source).await?;
            next(Stage::Password, &zone, at)
        }
        Stage::Password | Stage::Settling if is_pending => next(Stage::Password, &zone, at),
        Stage::Password => next(Stage::Settling, &zone, at),
        Stage::Settling => {
            let endpoint = instance.endpoint();
            let host = endpoint.and_then(Endpoint::address);
            let port = endpoint.and_then(Endpoint::port).and_then(|port| u16::try_from(port).ok());
            match host.zip(port) {
                Some((host, port)) => Ok(Turn::Ready(Restored::Database { host: host.to_owned(), port })),
                None => Ok(Turn::Wait { at: format!("{} has no endpoint", source.instance_id) }),
            }
        }
    }
}

/// `None` when it is available; an error when it never will be.
fn judge(
    what: &str,
    id: &str,
    status: Option<&str>,
    source: &DatabaseSource,
    turn: u32,
) -> Result<Option<Turn>, Error> {
    let failed = |why: &str| {
        Err(Error::new(Kind::RestoreFailed, format!("restore {} as the {what} {id}: {why}", source.snapshot_arn)))
    };
    match status {
        None if turn >= UNKNOWN_TURNS => failed("RDS does not know it any more: somebody or something deleted it"),
        None => Ok(Some(Turn::Wait { at: format!("the {what} {id} is unknown to RDS") })),
        Some(status) => match condition(status) {
            Condition::Available => Ok(None),
            Condition::Changing => Ok(Some(Turn::Wait { at: format!("the {what} {id} is {status}") })),
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

pub(crate) async fn find_instance(rds: &aws_sdk_rds::Client, id: &str) -> Result<Option<DbInstance>, Error> {
    let result = rds.describe_db_instances().db_instance_identifier(id).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(output) => Ok(output.db_instances.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(&["DBInstanceNotFound", "DBInstanceNotFoundFault"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the database instance {id}"))),
    }
}

pub(crate) async fn find_cluster(rds: &aws_sdk_rds::Client, id: &str) -> Result<Option<DbCluster>, Error> {
    let result = rds.describe_db_clusters().db_cluster_identifier(id).send().await;
    match result.map_err(|error| Failure::of(&error)) {
        Ok(output) => Ok(output.db_clusters.and_then(|found| found.into_iter().next())),
        Err(failure) if failure.is(&["DBClusterNotFoundFault", "DBClusterNotFound"]) => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the database cluster {id}"))),
    }
}
