//! The start-restore and check-restore Lambdas: one unit of an export, made readable for the worker and waited for.
//!
//! A volume, a database server and a table are made; a snapshot or table that AWS itself can export is exported. Each has a module that makes one
//! `Turn`; the waiting, the deadline and the commands of the worker are the same for all.

pub mod database;
pub mod parameter_group;
mod password;
pub(crate) mod snapshot_export;
pub(crate) mod table;
pub mod volume;

use domain::failure::Kind;
use domain::id::{AvailabilityZone, VolumeId};
use domain::plan::{Plan, Restored, Unit};
use domain::source::Source;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What both are given; `restore` only to check-restore.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// The plan.
    pub plan: Plan,
    /// The unit of it.
    pub unit: Unit,
    /// What the last turn said.
    pub restore: Option<Restore>,
}

/// `$.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// Whether there is something that the worker can read.
    pub state: State,
    /// How often it was looked at.
    pub turn: u32,
    /// How far it is.
    pub progress: Progress,
    /// The queue whose instances are in the same zone.
    pub job_queue: String,
    /// How long to wait before the next look.
    pub wait_seconds: u32,
    /// Until when it must be readable. It counts from the first look: the volumes of a large image wait for their turn.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// The worker's arguments; empty until it is ready.
    #[serde(default)]
    pub command: Vec<String>,
    /// The verifier's arguments; empty until it is ready.
    #[serde(default)]
    pub verify_command: Vec<String>,
}

/// Whether there is something that the worker can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Look again.
    Pending,
    /// There is.
    Ready,
}

/// How far a restore is: all that the next turn must know. No secrets: it travels through the state machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Progress {
    /// A volume is being made.
    #[serde(rename_all = "camelCase")]
    Volume {
        /// It.
        volume_id: VolumeId,
        /// Its zone.
        availability_zone: AvailabilityZone,
    },
    /// A database server is being made.
    Database(database::Progress),
    /// RDS exports a snapshot.
    SnapshotExport(snapshot_export::Progress),
    /// A table is being made, and then exported.
    Table(table::Progress),
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing new.
    Wait {
        /// What is waited for, for the case that it takes too long.
        at: String,
    },
    /// The next thing was begun.
    Next {
        /// How far it is now.
        progress: Progress,
        /// What is waited for.
        at: String,
    },
    /// The worker can read it.
    Ready(Restored),
}

/// What a restore is made with.
#[derive(Debug, Clone)]
pub struct Restorer {
    /// AWS Backup.
    pub backup: aws_sdk_backup::Client,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// RDS.
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
    pub async fn start(&self, request: Request) -> Result<Restore, Error> {
        let Request { plan, unit, .. } = request;
        let progress = match &unit.source {
            Source::Volume(source) => volume::start(&self.ec2, &plan, &unit, source).await?,
            Source::Database(source) => database::start(&self.rds, &plan, &unit, source).await?,
            Source::SnapshotExport(_) => Progress::SnapshotExport(snapshot_export::Progress::Waiting),
            Source::Table(source) => table::start(self, &plan, &unit, source).await?,
        };
        Ok(Restore {
            state: State::Pending,
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
    pub async fn check(&self, request: Request, now: Timestamp) -> Result<Restore, Error> {
        let Request { plan, unit, restore } = request;
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
                Box::pin(database::check(self, &plan, &unit, source, progress, turn)).await?
            }
            (Source::SnapshotExport(source), Progress::SnapshotExport(progress)) => {
                Box::pin(snapshot_export::check(&self.rds, &plan, &unit, source, *progress)).await?
            }
            (Source::Table(source), Progress::Table(progress)) => {
                Box::pin(table::check(self, &plan, &unit, source, progress, turn)).await?
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
            Turn::Ready(restored) => {
                return Ok(Restore {
                    state: State::Ready,
                    wait_seconds: 0,
                    command: plan.export_command(&unit, &restored),
                    verify_command: plan.verify_command(&unit),
                    ..waiting
                });
            }
            Turn::Wait { at } => (waiting.progress, at),
            Turn::Next { progress, at } => (progress, at),
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

/// All tags of what is made for a unit: ours, and the operator's where they are not ours.
pub(crate) fn tags(plan: &Plan, unit: &Unit) -> Vec<(String, String)> {
    let name = domain::name::title(&plan.export_id, &unit.key);
    let ours = [
        (domain::tag::EXPORT_ID, plan.export_id.as_str()),
        (domain::tag::EXECUTION, plan.execution.as_str()),
        (domain::tag::VOLUME_KEY, &unit.key),
        ("Name", &name),
    ];
    // A key that comes twice is refused; by ours the resource is found again.
    let theirs = plan.resource_tags.iter().filter(|(key, _)| ours.iter().all(|(our, _)| our != key));
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    ours.into_iter().chain(theirs.map(|(key, value)| (key.as_str(), value.as_str()))).map(owned).collect()
}
