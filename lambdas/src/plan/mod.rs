//! The plan Lambda: from an event to a claimed plan, or to the reason why there is none.
//!
//! Order matters. What can be refused is refused before the claim; whether the export is finished is looked up after
//! it, because the row is written before its execution releases the claim.

mod database;
mod table;

use aws_sdk_backup::operation::describe_recovery_point::DescribeRecoveryPointOutput;
use aws_sdk_ec2::types::{Filter, Image as Ec2Image, Snapshot, Tag};
use domain::arn::{RecoveryPointArn, RecoveryPointKind, account_in, resource_name};
use domain::claim::Claim;
use domain::event::{self, ExportRequest, Input};
use domain::facts::{DeviceFacts, Facts, ImageFacts, SnapshotFacts};
use domain::failure::Kind;
use domain::id::{ExecutionArn, ExportId, ImageId, InvalidId, SnapshotId};
use domain::key::EXPORTS;
use domain::name;
use domain::plan::{Decision, Plan};
use domain::planning;
use domain::recovery_point::Image;
use domain::settings::Settings;
use domain::tag::EXPORT_ID;
use jiff::Timestamp;
use serde::Deserialize;

use crate::aws::Failure;
use crate::bucket::Bucket;
use crate::claim::{self, Claimed};
use crate::error::Error;
use crate::executions;

/// What the state machine passes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The event, or what a person typed.
    pub input: serde_json::Value,
    /// The execution.
    pub execution: ExecutionArn,
    /// When it started.
    pub started_at: Timestamp,
}

/// What the decision is made with.
#[derive(Debug, Clone)]
pub struct Planner {
    /// AWS Backup.
    pub backup: aws_sdk_backup::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// RDS.
    pub rds: aws_sdk_rds::Client,
    /// The export bucket.
    pub bucket: Bucket,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// The operator's settings.
    pub settings: Settings,
}

impl Planner {
    /// Decides what to do about `request`.
    pub async fn decide(&self, request: Request, now: Timestamp) -> Result<Decision, Error> {
        let export = match event::parse(&request.input) {
            Ok(Input::Export(export)) => export,
            Ok(Input::Ignore(reason)) => {
                return Ok(Decision::Skip { reason, export_id: None });
            }
            Err(error) => return Err(Error::new(Kind::MalformedInput, error.to_string())),
        };
        planning::check_type(&export.recovery_point)?;
        self.bucket.check_owner().await?;
        let Some(facts) = self.facts(&export).await? else {
            return self.without_recovery_point(&export).await;
        };
        if resource_name(&facts.resource_arn).and_then(name::owner).is_some() {
            return Ok(Decision::Skip {
                reason: format!(
                    "{} was restored for an export and is no data of yours: exclude resources tagged {EXPORT_ID} from the backup plan",
                    facts.resource_arn
                ),
                export_id: None,
            });
        }
        let plan = planning::plan(&export, &facts, &self.settings, &request.execution, now)?;
        let plan = Plan { started_at: request.started_at, ..plan };
        match claim::take(&self.bucket, &Claim::new(plan, now)).await? {
            Claimed::Ours(plan) => self.unless_finished(plan).await,
            Claimed::Theirs(held) => self.unless_running(*held, now).await,
        }
    }

    async fn unless_finished(&self, plan: Box<Plan>) -> Result<Decision, Error> {
        if !self.bucket.has(&plan.catalog_key).await? {
            return Ok(Decision::Export(plan));
        }
        claim::release(&self.bucket, &plan.claim_key, &plan.execution).await?;
        Ok(finished(&plan.export_id, &plan.catalog_key))
    }

    async fn unless_running(&self, held: Claim, now: Timestamp) -> Result<Decision, Error> {
        if executions::is_running(&self.sfn, &held.execution, held.claimed_at, now).await? {
            return Ok(Decision::Skip {
                reason: format!("the execution {} works on it", held.execution),
                export_id: Some(held.plan.export_id),
            });
        }
        Ok(Decision::Clean { previous: Box::new(held.plan) })
    }

    /// A late duplicate of an event may name a recovery point that was exported and then deleted. Only the catalog's
    /// listing can tell, because the row's key holds facts that are gone.
    async fn without_recovery_point(&self, export: &ExportRequest) -> Result<Decision, Error> {
        let export_id = name::export_id(&export.recovery_point, export.generation);
        let rows = self.bucket.list(EXPORTS).await?;
        if let Some(row) = rows.iter().find(|row| row.export_id().as_ref() == Some(&export_id)) {
            return Ok(finished(&export_id, &row.key));
        }
        Err(Error::new(
            Kind::RecoveryPointNotFound,
            format!(
                "there is no recovery point {} in the vault {}: check both names (aws backup list-recovery-points-by-backup-vault \
                 --backup-vault-name {}); it may have expired or been deleted",
                export.recovery_point, export.vault, export.vault
            ),
        ))
    }

    async fn facts(&self, export: &ExportRequest) -> Result<Option<Facts>, Error> {
        let arn = &export.recovery_point;
        let result = self
            .backup
            .describe_recovery_point()
            .backup_vault_name(export.vault.as_str())
            .recovery_point_arn(arn.as_str())
            .send()
            .await;
        let action = || format!("describe the recovery point {arn} in the vault {}", export.vault);
        let point = match result.map_err(|error| Failure::of(&error)) {
            Ok(point) => point,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) if failure.kind == Kind::AccessDenied => {
                return Err(
                    failure.during(format!("{}: AWS Backup answers so for a vault that does not exist, too", action()))
                );
            }
            Err(failure) => return Err(failure.during(action())),
        };
        let mut facts = recovery_point_facts(export, &point)?;
        match arn.kind() {
            RecoveryPointKind::EbsSnapshot(id) => {
                let snapshots = self.snapshots(arn, std::slice::from_ref(id)).await?;
                facts.tags = snapshots.iter().flat_map(|s| tags(s.tags())).collect();
                facts.snapshots = snapshots.iter().filter_map(snapshot_facts).collect();
            }
            RecoveryPointKind::Ec2Image(id) => {
                let Some(image) = self.image(arn, id).await? else {
                    return Ok(Some(facts));
                };
                let image_facts = image_facts(id, &image)?;
                let ids: Vec<SnapshotId> =
                    image_facts.devices.iter().filter_map(|device| device.snapshot_id.clone()).collect();
                if !ids.is_empty() {
                    let snapshots = self.snapshots(arn, &ids).await?;
                    facts.snapshots = snapshots.iter().filter_map(snapshot_facts).collect();
                }
                facts.tags = tags(image.tags()).collect();
                facts.image = Some(image_facts);
            }
            RecoveryPointKind::RdsSnapshot(_) | RecoveryPointKind::RdsClusterSnapshot(_) => {
                self.database(arn, &mut facts).await?;
            }
            RecoveryPointKind::DynamoDbBackup { .. } | RecoveryPointKind::Vaulted(_) => {
                self.table(arn, &mut facts).await?;
            }
            RecoveryPointKind::Continuous(_) | RecoveryPointKind::Unknown { .. } => {}
        }
        Ok(Some(facts))
    }

    /// By filter, so that one that is gone does not hide the others.
    async fn snapshots(&self, arn: &RecoveryPointArn, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, Error> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut pages = self
            .ec2
            .describe_snapshots()
            .filters(Filter::builder().name("snapshot-id").set_values(Some(ids)).build())
            .into_paginator()
            .items()
            .send();
        let mut snapshots = Vec::new();
        while let Some(snapshot) = pages.next().await {
            snapshots.push(
                snapshot.map_err(|error| Failure::of(&error).during(format!("describe the snapshots of {arn}")))?,
            );
        }
        Ok(snapshots)
    }

    async fn image(&self, arn: &RecoveryPointArn, id: &ImageId) -> Result<Option<Ec2Image>, Error> {
        let result = self.ec2.describe_images().image_ids(id.as_str()).include_disabled(true).send().await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(output) => Ok(output.images.and_then(|images| images.into_iter().next())),
            Err(failure) if failure.is(&["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"]) => Ok(None),
            Err(failure) => Err(failure.during(format!("describe the image of {arn}"))),
        }
    }
}

fn finished(export_id: &ExportId, catalog_key: &str) -> Decision {
    Decision::Skip {
        reason: format!(
            "the export is finished: {catalog_key}; start with a higher \"generation\" to export the recovery point anew"
        ),
        export_id: Some(export_id.clone()),
    }
}

fn recovery_point_facts(export: &ExportRequest, point: &DescribeRecoveryPointOutput) -> Result<Facts, Error> {
    let arn = &export.recovery_point;
    let missing = |what: &str| {
        let message = format!("describe the recovery point {arn}: AWS Backup gave no {what}");
        Error::new(Kind::RecoveryPointNotUsable, message)
    };
    let created_at = point
        .creation_date
        .and_then(|date| Timestamp::new(date.secs(), 0).ok())
        .ok_or_else(|| missing("creation date"))?;
    let vault_name = match point.backup_vault_name() {
        Some(name) => name.parse().map_err(|_| missing("readable vault name"))?,
        None => export.vault.clone(),
    };
    let vault_account = point
        .backup_vault_arn()
        .and_then(account_in)
        .or_else(|| point.resource_arn().and_then(account_in))
        .ok_or_else(|| missing("vault ARN"))?;
    Ok(Facts {
        status: point.status().map_or("unknown", |s| s.as_str()).to_owned(),
        status_message: point.status_message().map(str::to_owned),
        vault_name,
        vault_account,
        resource_arn: point.resource_arn().ok_or_else(|| missing("resource ARN"))?.to_owned(),
        resource_type: point.resource_type().ok_or_else(|| missing("resource type"))?.to_owned(),
        created_at,
        encrypted: point.is_encrypted(),
        size_bytes: point.backup_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
        tags: std::collections::BTreeMap::new(),
        image: None,
        snapshots: Vec::new(),
        database: None,
        table: None,
    })
}

fn tags(tags: &[Tag]) -> impl Iterator<Item = (String, String)> {
    tags.iter().filter_map(|tag| {
        let value = tag.value().unwrap_or_default();
        Some((tag.key()?.to_owned(), value.to_owned()))
    })
}

fn snapshot_facts(snapshot: &Snapshot) -> Option<SnapshotFacts> {
    Some(SnapshotFacts {
        id: snapshot.snapshot_id()?.parse().ok()?,
        state: snapshot.state().map_or("unknown", |s| s.as_str()).to_owned(),
        state_message: snapshot.state_message().map(str::to_owned),
        // Absent means that the service does not tell, as everything did before there were tiers.
        storage_tier: snapshot.storage_tier().map_or("standard", |tier| tier.as_str()).to_owned(),
        volume_id: snapshot.volume_id().and_then(|id| id.parse().ok()),
        size_gib: u32::try_from(snapshot.volume_size().unwrap_or_default()).unwrap_or_default(),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
    })
}

fn image_facts(id: &ImageId, image: &Ec2Image) -> Result<ImageFacts, Error> {
    let devices = image.block_device_mappings().iter().map(|mapping| {
        let name = mapping.device_name().unwrap_or_default();
        // Only a device without a snapshot is an ephemeral one: a disk must not go missing for the look of its id.
        let snapshot_id = mapping.ebs().and_then(|ebs| ebs.snapshot_id()).map(str::parse).transpose();
        let snapshot_id = snapshot_id.map_err(|error: InvalidId| {
            Error::new(Kind::RecoveryPointNotUsable, format!("read the device {name} of {id}: {error}"))
        })?;
        Ok(DeviceFacts { name: name.to_owned(), snapshot_id })
    });
    Ok(ImageFacts {
        state: image.state().map_or("unknown", |s| s.as_str()).to_owned(),
        devices: devices.collect::<Result<_, Error>>()?,
        image: Image {
            image_id: id.clone(),
            architecture: image.architecture().map(|a| a.as_str().to_owned()),
            boot_mode: image.boot_mode().map(|m| m.as_str().to_owned()),
            root_device_name: image.root_device_name().map(str::to_owned),
            platform: image.platform().map(|p| p.as_str().to_owned()),
            ena_support: image.ena_support(),
            tpm_support: image.tpm_support().map(|t| t.as_str().to_owned()),
            ephemeral_devices: Vec::new(),
        },
    })
}
