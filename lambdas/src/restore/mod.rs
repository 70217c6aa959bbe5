//! The start-restore and check-restore Lambdas: one unit of an export, made readable for the worker and waited for.
//!
//! A volume, a database server and a table are made; a snapshot or table that AWS itself can export is exported. Each
//! has a module that takes one look; the waiting, the deadline and the commands of the worker are the same for all.

pub mod database;
mod look;
mod progress;
mod snapshot_export;
mod table;
pub mod volume;

use domain::failure::{Error, Kind};
use domain::plan::{Plan, Unit};
use domain::source::Source;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use self::look::Look;
pub use self::progress::{
    DatabaseProgress, DatabaseStage, Progress, Restore, RestoreState, SnapshotExportProgress, TableProgress,
};

/// What both are given; `restore` only to check-restore.
#[derive(Debug, Clone, Deserialize)]
pub struct RestoreRequest {
    pub plan: Plan,
    /// The unit of it.
    pub unit: Unit,
    /// What the last turn said.
    pub restore: Option<Restore>,
}

/// What a restore is made with.
#[derive(Debug, Clone)]
pub struct Restorer {
    /// AWS Backup.
    pub backup: aws_sdk_backup::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub rds: aws_sdk_rds::Client,
    /// Systems Manager, which keeps passwords.
    pub ssm: aws_sdk_ssm::Client,
}

impl Restorer {
    /// With clients of one configuration.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            backup: aws_sdk_backup::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            rds: aws_sdk_rds::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
        }
    }

    /// Begins the restore of a unit.
    pub async fn start(&self, request: RestoreRequest) -> Result<Restore, Error> {
        let RestoreRequest { plan, unit, .. } = request;
        let progress = match &unit.source {
            Source::Volume(source) => volume::start(&self.ec2, &plan, &unit, source).await?,
            // Boxed, because it holds the calls that make a server and its parameter group.
            Source::Database(source) => Box::pin(database::start(&self.rds, &plan, &unit, source)).await?,
            Source::SnapshotExport(_) => Progress::SnapshotExport(SnapshotExportProgress::Waiting),
            Source::Table(source) => table::start(&self.backup, &self.dynamodb, &plan, &unit, source).await?,
        };
        Ok(Restore {
            state: RestoreState::Pending,
            turn: 0,
            job_queue: job_queue(&plan, &progress),
            progress,
            wait_seconds: plan.poll_seconds.min(5),
            deadline: None,
            command: Vec::new(),
            verify_command: Vec::new(),
        })
    }

    /// Looks whether the worker can begin, and does what must be done before.
    pub async fn check(&self, request: RestoreRequest, now: Timestamp) -> Result<Restore, Error> {
        let RestoreRequest { plan, unit, restore } = request;
        let Some(restore) = restore else {
            return Err(Error::new(Kind::Internal, "check a restore that was not started"));
        };
        let turn = restore.turn.saturating_add(1);
        // Boxed, because each holds the calls of several services.
        let found = match (&unit.source, &restore.progress) {
            (Source::Volume(source), Progress::Volume { volume_id, .. }) => {
                Box::pin(volume::check(&self.ec2, source, volume_id, turn)).await?
            }
            (Source::Database(source), Progress::Database(progress)) => {
                Box::pin(database::check(&self.rds, &self.ssm, &plan, &unit, source, progress, turn)).await?
            }
            (Source::SnapshotExport(source), Progress::SnapshotExport(progress)) => {
                Box::pin(snapshot_export::check(&self.rds, &plan, &unit, source, *progress)).await?
            }
            (Source::Table(source), Progress::Table(progress)) => {
                Box::pin(table::check(&self.backup, &self.dynamodb, &plan, &unit, source, progress, turn)).await?
            }
            (Source::Volume(_) | Source::Database(_) | Source::SnapshotExport(_) | Source::Table(_), progress) => {
                let message = format!("check {}: it is not what is being restored: {progress:?}", unit.key);
                return Err(Error::new(Kind::Internal, message));
            }
        };
        let allowed = SignedDuration::from_secs(unit.restore_timeout_seconds.into());
        let deadline = restore.deadline.unwrap_or_else(|| now.checked_add(allowed).unwrap_or(Timestamp::MAX));
        let waiting = Restore {
            turn,
            deadline: Some(deadline),
            wait_seconds: plan.wait_seconds(restore.turn, unit.restore_timeout_seconds),
            ..restore
        };
        let (progress, at) = match found {
            Look::Ready(restored) => {
                return Ok(Restore {
                    state: RestoreState::Ready,
                    wait_seconds: 0,
                    command: plan.export_command(&unit, &restored),
                    verify_command: plan.verify_command(&unit),
                    ..waiting
                });
            }
            Look::Wait { at } => (waiting.progress, at),
            Look::Next { progress, at } => (progress, at),
        };
        if now >= deadline {
            return Err(late(&unit, &at));
        }
        Ok(Restore { job_queue: job_queue(&plan, &progress), progress, ..waiting })
    }
}

fn late(unit: &Unit, at: &str) -> Error {
    let setting = match &unit.source {
        Source::Volume(_) => "RESTORE_TIMEOUT_MINUTES",
        Source::Database(_) => "DATABASE_RESTORE_TIMEOUT_HOURS",
        Source::SnapshotExport(_) | Source::Table(_) => "NATIVE_EXPORT_TIMEOUT_HOURS",
    };
    Error::new(
        Kind::RestoreTimedOut,
        format!(
            "restore {}: {at} at its deadline: start the export again, with a higher {setting} if this happens again",
            unit.key
        ),
    )
}

/// The queue of the zone in which there is something to read; of any zone, where it is in S3.
fn job_queue(plan: &Plan, progress: &Progress) -> String {
    let zone = match progress {
        Progress::Volume { availability_zone, .. } => Some(availability_zone),
        Progress::Database(progress) => Some(&progress.availability_zone),
        Progress::SnapshotExport(_) | Progress::Table(_) => None,
    };
    let in_zone = plan.placements.iter().find(|placement| Some(&placement.availability_zone) == zone);
    in_zone.or(plan.placements.first()).map(|placement| placement.job_queue.clone()).unwrap_or_default()
}
