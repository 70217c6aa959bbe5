//! The cleanup Lambda: whatever an execution made and does not need goes away, on every path.
//!
//! It needs the plan alone. What is to be removed is found by tags (volumes) and derived names (all else), so that a
//! lost answer or a lost Lambda hides nothing. One call is one turn: it removes what can be removed now and says what
//! is left. An error of one thing does not keep the others from being tried. The reaper makes the same turns for
//! executions that died.

mod databases;
mod jobs;
mod objects;
mod tables;
mod turn;
mod volumes;

use aws::bucket::Bucket;
use domain::failure::{CaughtError, Error, Failure, Kind};
use domain::id::ExecutionArn;
use domain::plan::Plan;
use domain::source::Source;
use serde::{Deserialize, Serialize};

pub use self::turn::{Scope, Turn};
use crate::resource::parameter_group::GroupKind;
use crate::{cause, claim};

/// The clients that a turn needs.
#[derive(Debug, Clone)]
pub struct Cleaner {
    /// AWS Batch.
    pub batch: aws_sdk_batch::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub rds: aws_sdk_rds::Client,
    /// Systems Manager.
    pub ssm: aws_sdk_ssm::Client,
    pub s3: aws_sdk_s3::Client,
}

/// What the state machine passes.
#[derive(Debug, Clone, Deserialize)]
pub struct CleanupRequest {
    /// The plan of the execution that is cleaned up after.
    pub plan: Plan,
    /// What was caught, if anything.
    pub failure: Option<CaughtError>,
    /// What the last turn said.
    pub cleanup: Option<Cleanup>,
    /// Whether the claim goes too: when a later execution cleans up after a dead one.
    #[serde(default)]
    pub release: bool,
}

/// `$.cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleanup {
    /// How it stands.
    #[serde(default)]
    pub state: CleanupState,
    /// How many turns there were.
    pub turn: u32,
    /// How long to wait before the next.
    #[serde(default)]
    pub wait_seconds: u32,
    /// What was removed, over all turns.
    #[serde(default)]
    pub removed: Vec<String>,
    /// What is left, and why.
    #[serde(default)]
    pub remaining: Vec<String>,
    /// What was caught, as a person reads it.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// How a cleanup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CleanupState {
    /// Call again.
    #[default]
    Pending,
    /// Nothing is left.
    Done,
    /// Something is left that does not go; the reaper will go on.
    GaveUp,
}

/// About half an hour with the usual waits.
const MAX_TURNS: u32 = 30;
/// Turns after which what is refused for good counts as refused.
const HOPELESS_TURNS: u32 = 4;
/// Turns after which nothing that a dead execution called can be under way: with the usual waits between them, 15, 30
/// and 60 seconds, that is longer than a Lambda may take.
const SETTLED_TURNS: u32 = 3;
/// Turns that a detachment gets before it is forced.
const PATIENT_TURNS: u32 = 4;
/// More names than this make the state machine's data large without telling more.
const MAX_NAMES: usize = 100;
/// How much is told of each thing that could not be removed: the encoded part of an EC2 refusal alone may have
/// thousands of characters.
const MAX_LEFTOVER_CHARS: usize = 200;

impl Cleaner {
    /// With clients of one configuration.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            batch: aws_sdk_batch::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            rds: aws_sdk_rds::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            s3: aws::config::s3(config),
        }
    }

    /// One turn of the cleanup of `request.plan`.
    pub async fn run(&self, request: CleanupRequest) -> Result<Cleanup, Error> {
        let CleanupRequest { plan, failure: caught, cleanup, release } = request;
        let turn = cleanup.as_ref().map_or(0, |cleanup| cleanup.turn);
        let before = cleanup.as_ref().and_then(|cleanup| cleanup.failure.clone());
        let is_explained = before.is_some() || caught.is_none();
        let failure = match (&caught, before) {
            (None, _) => None,
            (Some(_), Some(failure)) => Some(failure),
            (Some(caught), None) => {
                let words = objects::last_words(&Bucket::of(&self.s3, &plan), &plan).await;
                Some(cause::explain(Some(&plan), caught, &words))
            }
        };
        let scope =
            Scope { half_objects: caught.is_some(), last_words: is_explained, force_detach: turn >= PATIENT_TURNS };
        let done = self.turn(&plan, scope).await;
        // Its own execution has waited for whatever it called.
        let may_end = is_explained && (!release || turn >= SETTLED_TURNS);
        let state = next_state(&done, turn, may_end);
        if state == CleanupState::Done && release {
            claim::release(&Bucket::of(&self.s3, &plan), &plan.claim_key, &plan.execution).await?;
        }
        if state == CleanupState::GaveUp && release {
            return Err(Error::new(Kind::CleanupIncomplete, incomplete(&plan.execution, &done.leftovers())));
        }
        let mut removed = cleanup.map(|cleanup| cleanup.removed).unwrap_or_default();
        for name in &done.removed {
            if removed.len() < MAX_NAMES && !removed.contains(name) {
                removed.push(name.clone());
            }
        }
        let mut remaining = done.leftovers();
        remaining.truncate(MAX_NAMES);
        // All of it travels through the state machine, and ends in a cause: both have limits.
        for what in &mut remaining {
            *what = what.chars().take(MAX_LEFTOVER_CHARS).collect();
        }
        Ok(Cleanup {
            state,
            turn: turn.saturating_add(1),
            wait_seconds: plan.wait_seconds(turn, 0),
            removed,
            remaining,
            failure,
        })
    }

    /// Looks for everything and removes what can be removed now.
    pub async fn turn(&self, plan: &Plan, scope: Scope) -> Turn {
        let mut turn = Turn::default();
        // A worker that still runs would make again what is removed, and it aborts its uploads itself when it is
        // stopped.
        let jobs_ended = jobs::end(&self.batch, plan, &mut turn).await;
        if plan.units.iter().any(|unit| matches!(unit.source, Source::Volume(_))) {
            self.volumes_of(&plan.execution, jobs_ended, scope.force_detach, &mut turn).await;
        }
        if jobs_ended {
            for unit in &plan.units {
                match &unit.source {
                    Source::Volume(_) => {}
                    Source::Database(source) => databases::remove(&self.rds, &self.ssm, source, &mut turn).await,
                    Source::SnapshotExport(source) => self.export_task(&source.task_id, &mut turn).await,
                    Source::Table(source) => {
                        tables::remove(&self.dynamodb, unit, source, scope.half_objects, &mut turn).await;
                    }
                }
            }
            objects::remove(&Bucket::of(&self.s3, plan), plan, scope, &mut turn).await;
        }
        turn
    }

    /// The part of a turn that needs no plan: volumes that carry the execution's tag.
    pub(crate) async fn volumes_of(
        &self,
        execution: &ExecutionArn,
        may_detach: bool,
        force_detach: bool,
        turn: &mut Turn,
    ) {
        volumes::remove(&self.ec2, execution, may_detach, force_detach, turn).await;
    }

    /// The part of a turn that removes a database instance.
    pub(crate) async fn instance(&self, id: &str, turn: &mut Turn) {
        databases::remove_instance(&self.rds, id, turn).await;
    }

    /// The part of a turn that removes a cluster. One with an instance is refused, and goes in a later turn.
    pub(crate) async fn cluster(&self, id: &str, turn: &mut Turn) {
        databases::remove_cluster(&self.rds, id, turn).await;
    }

    /// The part of a turn that removes a parameter group. One that something uses goes in a later turn.
    pub(crate) async fn parameter_group(&self, kind: GroupKind, name: &str, turn: &mut Turn) {
        databases::remove_group(&self.rds, kind, name, turn).await;
    }

    /// The part of a turn that removes a password.
    pub(crate) async fn password(&self, name: &str, turn: &mut Turn) {
        databases::remove_password(&self.ssm, name, turn).await;
    }

    /// The part of a turn that ends an export task.
    pub(crate) async fn export_task(&self, id: &str, turn: &mut Turn) {
        databases::cancel_export(&self.rds, id, turn).await;
    }

    /// The part of a turn that removes a table.
    pub(crate) async fn table(&self, name: &str, turn: &mut Turn) {
        tables::remove_table(&self.dynamodb, name, turn).await;
    }
}

/// A failed execution gets a second look: describing is eventually consistent, and a call that was under way when the
/// failure was caught may have made a volume since. It is also what lets the last words be read before they go.
fn next_state(turn: &Turn, number: u32, may_end: bool) -> CleanupState {
    if turn.is_clean() {
        return if may_end { CleanupState::Done } else { CleanupState::Pending };
    }
    if number >= MAX_TURNS || (number >= HOPELESS_TURNS && turn.is_hopeless()) {
        return CleanupState::GaveUp;
    }
    CleanupState::Pending
}

/// What is said when something is left.
pub fn incomplete(execution: &ExecutionArn, remaining: &[String]) -> String {
    format!(
        "clean up after {execution}: {}; the reaper tries again every hour",
        if remaining.is_empty() { "something is left".to_owned() } else { remaining.join("; ") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(remaining: usize, errors: &[Kind]) -> Turn {
        Turn {
            removed: Vec::new(),
            remaining: vec!["volume".into(); remaining],
            errors: errors.iter().map(|kind| Error::new(*kind, "x")).collect(),
        }
    }

    #[test]
    fn turns_end_when_nothing_is_left_or_nothing_helps() {
        let clean = turn(0, &[]);
        assert_eq!(next_state(&clean, 0, true), CleanupState::Done);
        assert_eq!(next_state(&clean, 0, false), CleanupState::Pending);
        assert_eq!(next_state(&turn(1, &[]), 0, true), CleanupState::Pending);
        assert_eq!(next_state(&turn(1, &[]), MAX_TURNS, true), CleanupState::GaveUp);
        let denied = turn(0, &[Kind::AccessDenied]);
        assert_eq!(next_state(&denied, 0, true), CleanupState::Pending);
        assert_eq!(next_state(&denied, HOPELESS_TURNS, true), CleanupState::GaveUp);
        let mixed = turn(0, &[Kind::AccessDenied, Kind::Throttled]);
        assert_eq!(next_state(&mixed, HOPELESS_TURNS, true), CleanupState::Pending);
    }
}
