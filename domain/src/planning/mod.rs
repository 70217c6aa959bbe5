//! How a plan is made: a pure function of the request, the facts, the settings and the time.
//!
//! Whatever cannot be exported is refused here, before anything is created, with an error that names the thing and the
//! remedy.

pub mod database;
mod disk;
mod piece;
mod refusal;
mod table;

use jiff::Timestamp;

use self::piece::Piece;
use self::refusal::refuse;
use crate::arn::{RecoveryPointArn, RecoveryPointKind, account_in, resource_name};
use crate::digest::hex_prefix;
use crate::event::ExportRequest;
use crate::facts::{Facts, is_usable};
use crate::failure::{Kind, Result};
use crate::id::{ExecutionArn, ExportId, VolumeId};
use crate::key::{Subject, claim_key};
use crate::name::{self, Names};
use crate::plan::{Placement, Plan, SCHEMA_VERSION, Unit, VerifyMode};
use crate::recovery_point::{Image, RecoveryPoint};
use crate::settings::Settings;
use crate::source::Source;

/// Slowest rate that an export is allowed for: a volume that loads each block at first touch.
const EXPORT_MIB_PER_SECOND: u32 = 8;
/// Slowest rate that a dump is allowed for: the same, and an engine that formats every row.
const DUMP_MIB_PER_SECOND: u32 = 4;
/// Slowest rate that a verification is allowed for.
const VERIFY_MIB_PER_SECOND: u32 = 20;
/// What is allowed for besides: pulling the image, attaching, mounting.
const BASE_SECONDS: u32 = 1_800;
/// Waiting in a queue for an instance.
const QUEUE_SECONDS: u32 = 6 * 3_600;

/// Refuses what can be refused by the ARN alone, before anything is asked about it.
pub fn check_type(arn: &RecoveryPointArn) -> Result<()> {
    let what = match arn.kind() {
        RecoveryPointKind::EbsSnapshot(_)
        | RecoveryPointKind::Ec2Image(_)
        | RecoveryPointKind::RdsSnapshot(_)
        | RecoveryPointKind::RdsClusterSnapshot(_)
        | RecoveryPointKind::DynamoDbBackup { .. }
        // Whose type only AWS Backup knows.
        | RecoveryPointKind::Vaulted(_) => return Ok(()),
        RecoveryPointKind::Continuous(_) => "a continuous (point-in-time) recovery point, of which there is no file: \
             export a snapshot of the same resource (a backup rule without continuous backup makes them)"
            .to_owned(),
        RecoveryPointKind::Unknown { service, .. } => {
            format!("a recovery point of the service {service:?}: {EXCLUDE}")
        }
    };
    refuse(Kind::UnsupportedResourceType, format!("{arn} is {what}; {CAN_EXPORT}"))
}

const EXCLUDE: &str = "exclude the resource type from the rule that starts exports";
const CAN_EXPORT: &str = "this version exports EBS, EC2, RDS, Aurora and DynamoDB; the recovery point is kept";

/// Refuses a recovery point in AWS Backup's own form, unless it is of DynamoDB.
fn check_vaulted(arn: &RecoveryPointArn, resource_type: &str) -> Result<()> {
    let needed = match resource_type {
        "DynamoDB" => return Ok(()),
        "EFS" => "an EFS recovery point: it can be restored to a new file system, from which AWS DataSync copies to S3",
        "S3" => "an S3 recovery point: it can be restored to a bucket, where its objects are files already",
        "FSx" => "an FSx recovery point: it can be restored to a file system, from which AWS DataSync copies to S3",
        "Redshift" | "Redshift Serverless" => {
            "a Redshift recovery point: it can be restored to a cluster, whose tables UNLOAD writes to S3"
        }
        "Timestream" => "a Timestream recovery point: it can be restored to a table, which UNLOAD writes to S3",
        "VirtualMachine" => {
            "a virtual machine: it can be restored to an EBS volume, of which AWS Backup then makes a snapshot"
        }
        "SAP HANA on Amazon EC2" => "a SAP HANA database: it can be restored to its system alone, by backint",
        "CloudFormation" => "a composite recovery point: each of the recovery points in it can be exported by itself",
        "Storage Gateway" => {
            "a Storage Gateway volume: restored to EBS, it can be backed up and exported as an EBS snapshot"
        }
        _ => "in AWS Backup's own form, which nothing but a restore of AWS Backup can read",
    };
    refuse(Kind::UnsupportedResourceType, format!("{arn} ({resource_type}) is {needed}; {EXCLUDE}, {CAN_EXPORT}"))
}

/// Makes the plan of `execution` for the recovery point of `request`.
pub fn plan(
    request: &ExportRequest,
    facts: &Facts,
    settings: &Settings,
    execution: &ExecutionArn,
    now: Timestamp,
) -> Result<Plan> {
    let arn = &request.recovery_point;
    check_type(arn)?;
    check_usable(request, facts)?;
    check_deletion(arn, settings)?;
    let export_id = name::export_id(arn, request.generation);
    let names = Names::new(&export_id, execution);
    let (pieces, ephemeral) = match arn.kind() {
        RecoveryPointKind::RdsSnapshot(_) | RecoveryPointKind::RdsClusterSnapshot(_) => {
            (vec![database::piece(arn, facts, settings, &names)?], Vec::new())
        }
        RecoveryPointKind::DynamoDbBackup { .. } | RecoveryPointKind::Vaulted(_) => {
            check_vaulted(arn, &facts.resource_type)?;
            (vec![table::piece(arn, facts, settings, &names)?], Vec::new())
        }
        RecoveryPointKind::EbsSnapshot(_)
        | RecoveryPointKind::Ec2Image(_)
        | RecoveryPointKind::Continuous(_)
        | RecoveryPointKind::Unknown { .. } => {
            let disk::Disks { pieces, ephemeral } = disk::disks(arn, facts)?;
            (pieces, ephemeral)
        }
    };
    if settings.delete_recovery_point && pieces.iter().any(|piece| piece.source.is_live()) {
        return refuse(
            Kind::DeletionRefused,
            format!(
                "deletion of {arn} is on, and its live table is to be exported (DYNAMODB_NATIVE is pitr), which is not \
                 the backup: set DYNAMODB_NATIVE to backup, or DELETE_RECOVERY_POINT to false"
            ),
        );
    }
    let recovery_point = describe(arn, facts, &ephemeral);
    let subject = Subject {
        export_id: &export_id,
        recovery_point: arn,
        created_at: recovery_point.created_at,
        resource_type: &recovery_point.resource_type,
        account: &recovery_point.account_id,
        region: &recovery_point.region,
        resource: &recovery_point.resource_id,
        generation: request.generation,
    };
    let units = pieces.into_iter().map(|piece| unit(piece, &subject, settings, &names)).collect();
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        execution: execution.clone(),
        generation: request.generation,
        started_at: now,
        bucket: settings.bucket.clone(),
        bucket_owner: settings.bucket_owner.clone(),
        prefix: subject.data_prefix(),
        catalog_key: subject.catalog_key(),
        latest_key: subject.latest_key(),
        claim_key: claim_key(&export_id),
        units,
        placements: placements(&export_id, settings),
        volume_options: settings.volume.clone(),
        worker_options: settings.worker.clone(),
        export_job_definition: settings.export_job_definition.clone(),
        verify_job_definition: settings.verify_job_definition.clone(),
        verify: settings.verify,
        delete_recovery_point: settings.delete_recovery_point,
        retention: settings.retention.clone(),
        resource_tags: settings.resource_tags.clone(),
        poll_seconds: settings.poll_seconds,
        recovery_point,
        export_id,
    })
}

fn unit(piece: Piece, subject: &Subject<'_>, settings: &Settings, names: &Names) -> Unit {
    let Piece { key, in_folder, source } = piece;
    let limit = settings.export_timeout_hours.saturating_mul(3_600);
    let mib = u32::try_from(source.size_bytes() >> 20).unwrap_or(u32::MAX);
    let attempt = |rate: u32| BASE_SECONDS.saturating_add(mib / rate).min(limit);
    let task = |attempt: u32| attempt.saturating_mul(2).saturating_add(QUEUE_SECONDS);
    let (export_timeout_seconds, verify_timeout_seconds, restore_timeout_seconds) = match &source {
        Source::Volume(_) => {
            (attempt(EXPORT_MIB_PER_SECOND), attempt(VERIFY_MIB_PER_SECOND), settings.restore_timeout_minutes * 60)
        }
        // What Aurora and DynamoDB say of a size need not be what is to be read.
        Source::Database(database) => {
            let restore = settings.database.restore_timeout_hours.saturating_mul(3_600);
            if database.engine.is_aurora() {
                (limit, limit, restore)
            } else {
                (attempt(DUMP_MIB_PER_SECOND), attempt(VERIFY_MIB_PER_SECOND), restore)
            }
        }
        Source::SnapshotExport(_) | Source::Table(_) => {
            (limit, limit, settings.native_export_timeout_hours.saturating_mul(3_600))
        }
    };
    let folder = in_folder.then_some(key.as_str());
    Unit {
        prefix: match folder {
            Some(folder) => subject.data_prefix().folder(folder),
            None => subject.data_prefix(),
        },
        index_prefix: subject.index_prefix(folder),
        export_job_name: names.export_job(&key),
        verify_job_name: names.verify_job(&key),
        restore_timeout_seconds,
        export_timeout_seconds,
        verify_timeout_seconds,
        export_task_seconds: task(export_timeout_seconds),
        verify_task_seconds: task(verify_timeout_seconds),
        source,
        key,
    }
}

fn check_usable(request: &ExportRequest, facts: &Facts) -> Result<()> {
    let arn = &request.recovery_point;
    if facts.vault_name != request.vault {
        return refuse(
            Kind::VaultMismatch,
            format!(
                "{arn} lies in the vault {}, not in {}: start again with that vault's name",
                facts.vault_name, request.vault
            ),
        );
    }
    if !is_usable(&facts.status) {
        let why = facts.status_message.as_deref().unwrap_or("no reason given");
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!(
                "{arn} in vault {} has status {} ({why}): only COMPLETED and AVAILABLE recovery points can be \
                 exported; wait for the backup to finish, or choose another",
                facts.vault_name, facts.status
            ),
        );
    }
    Ok(())
}

fn check_deletion(arn: &RecoveryPointArn, settings: &Settings) -> Result<()> {
    if !settings.delete_recovery_point {
        return Ok(());
    }
    if settings.verify == VerifyMode::None {
        return refuse(
            Kind::InvalidSettings,
            format!(
                "deletion of {arn} is on and verification is off: a recovery point is deleted only after its export \
                 was verified; set VERIFY to readback or checksum, or DELETE_RECOVERY_POINT to false"
            ),
        );
    }
    if arn.is_continuous() {
        return refuse(
            Kind::DeletionRefused,
            format!("{arn} is continuous: deleting it would stop point-in-time recovery"),
        );
    }
    Ok(())
}

fn describe(arn: &RecoveryPointArn, facts: &Facts, ephemeral: &[String]) -> RecoveryPoint {
    let resource_id = resource_name(&facts.resource_arn)
        .filter(|name| !name.parse().is_ok_and(|volume: VolumeId| volume.is_placeholder()))
        .map_or_else(|| arn.short_id(), str::to_owned);
    RecoveryPoint {
        arn: arn.clone(),
        vault_name: facts.vault_name.clone(),
        resource_arn: facts.resource_arn.clone(),
        resource_type: facts.resource_type.clone(),
        resource_id,
        created_at: facts.created_at,
        account_id: account_in(&facts.resource_arn).unwrap_or_else(|| facts.vault_account.clone()),
        region: arn.region().clone(),
        partition: arn.partition().to_owned(),
        tags: facts.tags.clone(),
        encrypted: facts.encrypted,
        size_bytes: facts.size_bytes,
        image: facts.image.as_ref().map(|facts| Image { ephemeral_devices: ephemeral.to_vec(), ..facts.image.clone() }),
    }
}

/// All zones that have a queue. Exports begin in different ones, so that none carries all; a zone without
/// capacity is followed by the next.
fn placements(export_id: &ExportId, settings: &Settings) -> Vec<Placement> {
    let mut placements: Vec<Placement> = settings
        .job_queues
        .iter()
        .map(|(zone, queue)| Placement { availability_zone: zone.clone(), job_queue: queue.clone() })
        .collect();
    let hash = u32::from_str_radix(&hex_prefix(export_id.as_str().as_bytes(), 4), 16).unwrap_or(0);
    let first = hash as usize % placements.len().max(1);
    placements.rotate_left(first);
    placements
}
