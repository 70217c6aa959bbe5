//! The plan Lambda: from an event to a claimed plan, or to the reason why there is none.
//!
//! Order matters. What can be refused is refused before the claim; whether the export is finished is looked up after
//! it, because the row is written before its execution releases the claim.

mod database;
mod disk;
mod recovery_point;
mod table;

use aws::bucket::Bucket;
use domain::arn::{RecoveryPointKind, resource_name};
use domain::claim::Claim;
use domain::event::{self, ExportRequest, Input};
use domain::facts::Facts;
use domain::failure::{Error, Kind};
use domain::id::{ExecutionArn, ExportId};
use domain::key::EXPORTS;
use domain::name;
use domain::plan::{Decision, Plan};
use domain::planning;
use domain::settings::Settings;
use domain::tag::EXPORT_ID;
use jiff::Timestamp;
use serde::Deserialize;

use crate::claim::{self, Claimed};
use crate::executions;

/// What the state machine passes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanRequest {
    /// The event, or what a person typed.
    pub input: serde_json::Value,
    pub execution: ExecutionArn,
    /// When it started.
    pub started_at: Timestamp,
}

/// What the decision is made with.
#[derive(Debug, Clone)]
pub struct Planner {
    /// AWS Backup.
    pub backup: aws_sdk_backup::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ec2: aws_sdk_ec2::Client,
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
    pub async fn decide(&self, request: PlanRequest, now: Timestamp) -> Result<Decision, Error> {
        let export = match event::parse(&request.input) {
            Ok(Input::Export(export)) => export,
            Ok(Input::Ignore(reason)) => {
                return Ok(Decision::Skip { reason, export_id: None });
            }
            Err(error) => return Err(Error::new(Kind::MalformedInput, error.to_string())),
        };
        planning::check_type(&export.recovery_point)?;
        self.bucket.check().await.map_err(|error| error.during("check EXPORT_BUCKET and EXPORT_BUCKET_OWNER"))?;
        let Some(facts) = self.facts(&export).await? else {
            return self.without_recovery_point(&export).await;
        };
        if resource_name(&facts.resource_arn).and_then(name::owner).is_some() {
            return Ok(Decision::Skip {
                reason: format!(
                    "{} was restored for an export and is no data of yours: exclude resources tagged {EXPORT_ID} from \
                     the backup plan",
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
        if let Some(row) = rows.iter().find(|row| domain::key::export_id_of(&row.key).as_ref() == Some(&export_id)) {
            return Ok(finished(&export_id, &row.key));
        }
        Err(Error::new(
            Kind::RecoveryPointNotFound,
            format!(
                "there is no recovery point {} in the vault {}: check both names (aws backup \
                 list-recovery-points-by-backup-vault --backup-vault-name {}); it may have expired or been deleted",
                export.recovery_point, export.vault, export.vault
            ),
        ))
    }

    async fn facts(&self, export: &ExportRequest) -> Result<Option<Facts>, Error> {
        let arn = &export.recovery_point;
        let Some(mut facts) = recovery_point::describe(&self.backup, export).await? else {
            return Ok(None);
        };
        match arn.kind() {
            RecoveryPointKind::EbsSnapshot(id) => {
                disk::describe_snapshot(&self.ec2, arn, id, &mut facts).await?;
            }
            RecoveryPointKind::Ec2Image(id) => disk::describe_image(&self.ec2, arn, id, &mut facts).await?,
            RecoveryPointKind::RdsSnapshot(_) | RecoveryPointKind::RdsClusterSnapshot(_) => {
                database::describe(&self.rds, &self.settings.database, arn, &mut facts).await?;
            }
            RecoveryPointKind::DynamoDbBackup { .. } | RecoveryPointKind::Vaulted(_) => {
                table::describe(&self.backup, &self.dynamodb, arn, &mut facts).await?;
            }
            RecoveryPointKind::Continuous(_) | RecoveryPointKind::Unknown { .. } => {}
        }
        Ok(Some(facts))
    }
}

fn finished(export_id: &ExportId, catalog_key: &str) -> Decision {
    Decision::Skip {
        reason: format!(
            "the export is finished: {catalog_key}; start with a higher \"generation\" to export the recovery point \
             anew"
        ),
        export_id: Some(export_id.clone()),
    }
}
