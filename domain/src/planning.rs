//! How a plan is made: a pure function of the request, the facts, the settings and the time.
//!
//! Whatever cannot be exported is refused here, before anything is created, with an error that names the thing and the
//! remedy.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::arn::{RecoveryPointArn, RecoveryPointKind, account_in, resource_name};
use crate::event::ExportRequest;
use crate::failure::Kind;
use crate::id::{AccountId, ExecutionArn, ExportId, SnapshotId, VaultName, VolumeId, hex_prefix};
use crate::key::{Subject, claim_key, segment};
use crate::plan::{Placement, Plan, PlannedVolume, SCHEMA_VERSION, VerifyMode, job_name_prefix};
use crate::recovery_point::{Image, RecoveryPoint};
use crate::settings::Settings;

/// What AWS Backup and EC2 say of the recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Status in AWS Backup: `COMPLETED`, `AVAILABLE`, `PARTIAL` …
    pub status: String,
    /// What AWS Backup says about the status.
    pub status_message: Option<String>,
    /// The vault in which it lies.
    pub vault_name: VaultName,
    /// The account of the vault.
    pub vault_account: AccountId,
    /// ARN of what was backed up.
    pub resource_arn: String,
    /// `EBS`, `EC2`, …
    pub resource_type: String,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// Whether AWS Backup calls it encrypted.
    pub encrypted: bool,
    /// Its size, as AWS Backup reports it.
    pub size_bytes: Option<u64>,
    /// Its own tags.
    pub tags: BTreeMap<String, String>,
    /// The AMI of an EC2 recovery point.
    pub image: Option<ImageFacts>,
    /// The snapshots that it is made of.
    pub snapshots: Vec<SnapshotFacts>,
}

/// What EC2 says of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// `available`, `disabled`, `deregistered` …
    pub state: String,
    /// What it says of the machine. Its `ephemeral_devices` are filled in by the plan.
    pub image: Image,
    /// Its block devices, in order.
    pub devices: Vec<DeviceFacts>,
}

/// A block device of an AMI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// `/dev/xvda`.
    pub name: String,
    /// Absent for instance store and for devices that begin empty.
    pub snapshot_id: Option<SnapshotId>,
}

/// What EC2 says of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// The snapshot.
    pub id: SnapshotId,
    /// `completed`, `pending`, `error`, `recoverable`, `recovering`.
    pub state: String,
    /// What EC2 says about the state: why a copy failed.
    pub state_message: Option<String>,
    /// `standard` or `archive`.
    pub storage_tier: String,
    /// The volume of which it was made, or a placeholder.
    pub volume_id: Option<VolumeId>,
    /// Size of the volume in GiB.
    pub size_gib: u32,
    /// The key that encrypts it.
    pub kms_key_id: Option<String>,
}

/// A recovery point that is not exported, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind of failure.
    pub kind: Kind,
    /// What is refused, and the remedy.
    pub message: String,
}

fn refuse<T>(kind: Kind, message: String) -> Result<T, Refusal> {
    Err(Refusal { kind, message })
}

/// Slowest rate that an export is allowed for: a volume that loads each block at first touch.
const EXPORT_MIB_PER_SECOND: u32 = 8;
/// Slowest rate that a verification is allowed for.
const VERIFY_MIB_PER_SECOND: u32 = 20;
/// What is allowed for besides: pulling the image, attaching, mounting.
const BASE_SECONDS: u32 = 1_800;
/// Waiting in a queue for an instance.
const QUEUE_SECONDS: u32 = 6 * 3_600;

/// Refuses what can be refused by the ARN alone, before anything is asked about it.
pub fn check_type(arn: &RecoveryPointArn) -> Result<(), Refusal> {
    let what = match arn.kind() {
        RecoveryPointKind::EbsSnapshot(_) | RecoveryPointKind::Ec2Image(_) => return Ok(()),
        RecoveryPointKind::RdsSnapshot(_) => "an RDS snapshot".to_owned(),
        RecoveryPointKind::RdsClusterSnapshot(_) => "an Aurora, DocumentDB or Neptune cluster snapshot".to_owned(),
        RecoveryPointKind::DynamoDbBackup { .. } => "a DynamoDB backup".to_owned(),
        RecoveryPointKind::Vaulted(_) => {
            "a recovery point in AWS Backup's own form (EFS, S3, DynamoDB and others)".to_owned()
        }
        RecoveryPointKind::Continuous(_) => "a continuous (point-in-time) recovery point".to_owned(),
        RecoveryPointKind::Unknown { service, .. } => {
            format!("a recovery point of the service {service:?}")
        }
    };
    refuse(
        Kind::UnsupportedResourceType,
        format!(
            "{arn} is {what}, which this version cannot export: it exports EBS snapshots and EC2 images; exclude the \
             resource type from the rule that starts exports"
        ),
    )
}

/// Makes the plan of `execution` for the recovery point of `request`.
pub fn plan(
    request: &ExportRequest,
    facts: &Facts,
    settings: &Settings,
    execution: &ExecutionArn,
    now: Timestamp,
) -> Result<Plan, Refusal> {
    let arn = &request.recovery_point;
    check_type(arn)?;
    check_usable(request, facts)?;
    check_deletion(arn, settings)?;
    let disks = disks(arn, facts)?;
    let recovery_point = describe(arn, facts, &disks);
    let export_id = ExportId::derive(arn, request.generation);
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
    let limit = settings.export_timeout_hours.saturating_mul(3_600);
    let names = job_name_prefix(&export_id, execution);
    let volumes = disks
        .volumes
        .iter()
        .map(|disk| {
            let mib = disk.snapshot.size_gib.saturating_mul(1_024);
            let attempt = |rate: u32| (BASE_SECONDS + mib / rate).min(limit);
            let task = |attempt: u32| attempt.saturating_mul(2).saturating_add(QUEUE_SECONDS);
            let export_timeout_seconds = attempt(EXPORT_MIB_PER_SECOND);
            let verify_timeout_seconds = attempt(VERIFY_MIB_PER_SECOND);
            // An image's volumes lie in folders even when there is only one, so that the layout tells the type.
            let folder = disks.is_image.then_some(disk.key.as_str());
            PlannedVolume {
                key: disk.key.clone(),
                snapshot_id: disk.snapshot.id.clone(),
                size_gib: disk.snapshot.size_gib,
                device_name: disk.device_name.clone(),
                kms_key_id: disk.snapshot.kms_key_id.clone(),
                prefix: match folder {
                    Some(folder) => subject.data_prefix().folder(folder),
                    None => subject.data_prefix(),
                },
                index_prefix: subject.index_prefix(folder),
                export_job_name: format!("{names}{}-export", disk.key),
                verify_job_name: format!("{names}{}-verify", disk.key),
                export_timeout_seconds,
                verify_timeout_seconds,
                export_task_seconds: task(export_timeout_seconds),
                verify_task_seconds: task(verify_timeout_seconds),
            }
        })
        .collect();
    let restore = SignedDuration::from_mins(i64::from(settings.restore_timeout_minutes));
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
        volumes,
        placements: placements(&export_id, settings),
        volume_options: settings.volume.clone(),
        worker_options: settings.worker.clone(),
        export_job_definition: settings.export_job_definition.clone(),
        verify_job_definition: settings.verify_job_definition.clone(),
        verify: settings.verify,
        delete_recovery_point: settings.delete_recovery_point,
        retention: settings.retention.clone(),
        resource_tags: settings.resource_tags.clone(),
        restore_deadline: now.checked_add(restore).unwrap_or(Timestamp::MAX),
        poll_seconds: settings.poll_seconds,
        recovery_point,
        export_id,
    })
}

fn check_usable(request: &ExportRequest, facts: &Facts) -> Result<(), Refusal> {
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
    if !matches!(facts.status.as_str(), "COMPLETED" | "AVAILABLE") {
        let why = facts.status_message.as_deref().unwrap_or("no reason given");
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!(
                "{arn} in vault {} has status {} ({why}): only COMPLETED and AVAILABLE recovery points can be exported; \
                 wait for the backup to finish, or choose another",
                facts.vault_name, facts.status
            ),
        );
    }
    Ok(())
}

fn check_deletion(arn: &RecoveryPointArn, settings: &Settings) -> Result<(), Refusal> {
    if !settings.delete_recovery_point {
        return Ok(());
    }
    if settings.verify == VerifyMode::None {
        return refuse(
            Kind::InvalidSettings,
            format!(
                "deletion of {arn} is on and verification is off: a recovery point is deleted only after its export was \
                 verified; set VERIFY to readback or checksum, or DELETE_RECOVERY_POINT to false"
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

struct Disk<'a> {
    key: String,
    device_name: Option<String>,
    snapshot: &'a SnapshotFacts,
}

struct Disks<'a> {
    is_image: bool,
    volumes: Vec<Disk<'a>>,
    ephemeral: Vec<String>,
}

fn disks<'a>(arn: &RecoveryPointArn, facts: &'a Facts) -> Result<Disks<'a>, Refusal> {
    let snapshot = |id: &SnapshotId| {
        let found = facts.snapshots.iter().find(|snapshot| snapshot.id == *id);
        match found {
            Some(snapshot) => check_snapshot(arn, snapshot).map(|()| snapshot),
            None => refuse(
                Kind::RecoveryPointNotUsable,
                format!("the snapshot {id} of {arn} does not exist any more, or is not shared with this account"),
            ),
        }
    };
    if let RecoveryPointKind::EbsSnapshot(id) = arn.kind() {
        let snapshot = snapshot(id)?;
        return Ok(Disks {
            is_image: false,
            volumes: vec![Disk {
                key: source_volume(snapshot).unwrap_or_else(|| id.to_string()),
                device_name: None,
                snapshot,
            }],
            ephemeral: Vec::new(),
        });
    }
    let Some(image) = &facts.image else {
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!("the image of {arn} does not exist any more: AWS Backup still lists it, but EC2 does not"),
        );
    };
    // A disabled image cannot be launched, but its snapshots are whole.
    if !matches!(image.state.as_str(), "available" | "disabled") {
        return refuse(Kind::RecoveryPointNotUsable, format!("the image of {arn} is {}, not available", image.state));
    }
    let mut volumes = Vec::new();
    let mut ephemeral = Vec::new();
    for device in &image.devices {
        match &device.snapshot_id {
            Some(id) => volumes.push((device, snapshot(id)?)),
            None => ephemeral.push(device.name.clone()),
        }
    }
    if volumes.is_empty() {
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!("the image of {arn} has no EBS volumes, so there is nothing to export"),
        );
    }
    let volumes = volumes
        .iter()
        .map(|(device, snapshot)| Disk {
            key: disk_key(&volumes, device, snapshot),
            device_name: Some(device.name.clone()),
            snapshot,
        })
        .collect();
    Ok(Disks { is_image: true, volumes, ephemeral })
}

/// The source volume, unless it is the placeholder that copied snapshots name.
fn source_volume(snapshot: &SnapshotFacts) -> Option<String> {
    let volume = snapshot.volume_id.as_ref()?;
    (!volume.is_placeholder()).then(|| volume.to_string())
}

/// A key that no other disk of the image has: the source volume, else the snapshot, else snapshot and device.
fn disk_key(disks: &[(&DeviceFacts, &SnapshotFacts)], device: &DeviceFacts, snapshot: &SnapshotFacts) -> String {
    let times = |is_same: &dyn Fn(&SnapshotFacts) -> bool| disks.iter().filter(|(_, other)| is_same(other)).count();
    match source_volume(snapshot) {
        Some(volume) if times(&|other| other.volume_id == snapshot.volume_id) == 1 => volume,
        _ if times(&|other| other.id == snapshot.id) == 1 => snapshot.id.to_string(),
        _ => {
            let device = device.name.rsplit('/').next().unwrap_or_default();
            format!("{}-{}", snapshot.id, segment(device))
        }
    }
}

fn check_snapshot(arn: &RecoveryPointArn, snapshot: &SnapshotFacts) -> Result<(), Refusal> {
    let id = &snapshot.id;
    if snapshot.storage_tier == "archive" {
        return refuse(
            Kind::RecoveryPointArchived,
            format!(
                "the snapshot {id} of {arn} lies in the archive tier: restore it first (aws ec2 restore-snapshot-tier \
                 --snapshot-id {id} --temporary-restore-days 7), wait until its storage tier is standard, then start the \
                 export again"
            ),
        );
    }
    if snapshot.state != "completed" {
        let why = snapshot.state_message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
        return refuse(
            Kind::RecoveryPointNotUsable,
            format!(
                "the snapshot {id} of {arn} is {}{why}, not completed: start the export again when it is",
                snapshot.state
            ),
        );
    }
    Ok(())
}

fn describe(arn: &RecoveryPointArn, facts: &Facts, disks: &Disks<'_>) -> RecoveryPoint {
    let resource_id = resource_name(&facts.resource_arn)
        .filter(|name| *name != "vol-ffffffff")
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
        image: facts
            .image
            .as_ref()
            .map(|facts| Image { ephemeral_devices: disks.ephemeral.clone(), ..facts.image.clone() }),
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
