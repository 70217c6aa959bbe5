//! The reaper: cleans up after executions that could not do it themselves.
//!
//! Called when an execution was aborted, timed out or failed, and every hour. It finds them by their claims, volumes
//! whose claim is gone by their tags, and databases and tables without a claim by their names. It makes the same turns
//! as the cleanup; what takes longer than one is left to the next call.

mod orphans;
mod settings;
mod sweep;

use std::collections::BTreeMap;

use aws::bucket::Bucket;
use domain::failure::{Error, Kind};
use domain::id::ExecutionArn;
use domain::key::CLAIMS;
use domain::tag;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use self::settings::ReaperSettings;
use self::sweep::Sweep;
use crate::claim;
use crate::cleanup::{Cleaner, Scope, Turn};
use crate::executions::{self, Life};
use crate::metric::{Emitter, Metric};
use crate::resource::volume::{tag_of, tagged};

/// What the reaper works with.
#[derive(Debug, Clone)]
pub struct Reaper {
    /// Does the turns.
    pub cleaner: Cleaner,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    pub settings: ReaperSettings,
    /// Where its metrics go.
    pub metrics: Emitter,
}

/// What it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReaperReport {
    /// One for each execution after which something was to be cleaned up.
    pub executions: Vec<Reaped>,
    /// Databases, parameter groups, tables and passwords that were removed although nobody remembered their execution.
    pub orphans: Vec<String>,
}

/// What it did after one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reaped {
    pub execution: ExecutionArn,
    /// `done` or `pending`.
    pub state: &'static str,
    /// What was removed.
    pub removed: Vec<String>,
    /// What is left.
    pub remaining: Vec<String>,
}

/// The worker's own words explain nothing any more, and a detachment that is still under way was asked for by an
/// earlier call.
const SCOPE: Scope = Scope { half_objects: true, last_words: true, force_detach: true };

impl Reaper {
    /// Cleans up after the execution that `event` names, or after all that are dead.
    pub async fn run(&self, event: &Value, now: Timestamp) -> Result<ReaperReport, Error> {
        let only = subject(event)?;
        let mut sweep = Sweep { only, now, ..Sweep::default() };
        let claims_listed = self.claims(&mut sweep).await;
        // What is told of one execution alone would be taken for all of them.
        if claims_listed && sweep.only.is_none() {
            self.metrics.emit(&self.settings.state_machine, now, &metrics(&sweep.running, now));
        }
        self.volumes(&mut sweep).await;
        // By an execution's event nothing is looked for that has no claim: the schedule does.
        if sweep.only.is_none() {
            orphans::remove(&self.cleaner, &self.settings, &mut sweep).await;
        }
        report(sweep.turns, sweep.orphans, &sweep.errors)
    }

    /// Whether the claims could be listed.
    async fn claims(&self, sweep: &mut Sweep) -> bool {
        let ReaperSettings { bucket, bucket_owner, .. } = &self.settings;
        let bucket = Bucket::new(&self.cleaner.s3, bucket, Some(bucket_owner));
        let claims = match bucket.list(CLAIMS).await {
            Ok(claims) => claims,
            Err(error) => {
                sweep.errors.push(error);
                return false;
            }
        };
        for listed in claims {
            if let Err(error) = self.claim(&bucket, &listed.key, sweep).await {
                sweep.errors.push(error);
            }
        }
        true
    }

    async fn claim(&self, bucket: &Bucket, key: &str, sweep: &mut Sweep) -> Result<(), Error> {
        let Some((claim, _)) = claim::read(bucket, key).await? else {
            return Ok(());
        };
        let execution = claim.execution;
        if sweep.only.as_ref().is_some_and(|only| *only != execution) || !self.is_ours(&execution) {
            return Ok(());
        }
        let ended_at = match executions::life(&self.sfn, &execution, claim.claimed_at, sweep.now).await? {
            Life::Running => {
                sweep.running.insert(execution, claim.plan.started_at);
                return Ok(());
            }
            Life::Ended(at) => at,
        };
        let mut turn = self.cleaner.turn(&claim.plan, SCOPE).await;
        // A task of AWS's own that is begun after this look writes where nobody would look again.
        if turn.is_clean() && ended_at.is_some_and(|at| sweep.now.duration_since(at) < self.settings.settle) {
            turn.remaining.push("what its last calls may have begun".to_owned());
        }
        let is_clean = turn.is_clean();
        sweep.turns.insert(execution.clone(), turn);
        if is_clean {
            claim::release(bucket, key, &execution).await?;
        }
        Ok(())
    }

    /// Volumes that were made after the cleanup had looked, by a call that was under way.
    async fn volumes(&self, sweep: &mut Sweep) {
        // Each execution, and when it made its first volume.
        let mut dead: BTreeMap<ExecutionArn, Timestamp> = BTreeMap::new();
        match tagged(&self.cleaner.ec2, tag::EXPORT_ID, None).await {
            Ok(volumes) => {
                for volume in &volumes {
                    let Some(Ok(execution)) = tag_of(volume, tag::EXECUTION).map(str::parse) else { continue };
                    let made = volume.create_time().and_then(|time| Timestamp::from_second(time.secs()).ok());
                    let made = made.unwrap_or(Timestamp::MIN);
                    dead.entry(execution).and_modify(|first| *first = made.min(*first)).or_insert(made);
                }
            }
            Err(error) => {
                sweep.errors.push(error);
                return;
            }
        }
        dead.retain(|execution, _| {
            self.is_ours(execution)
                && sweep.only.as_ref().is_none_or(|only| only == execution)
                && !sweep.running.contains_key(execution)
                && !sweep.turns.contains_key(execution)
        });
        for (execution, made) in dead {
            match executions::is_running(&self.sfn, &execution, made, sweep.now).await {
                Ok(true) => {}
                Ok(false) => {
                    let mut turn = Turn::default();
                    self.cleaner.volumes_of(&execution, true, true, &mut turn).await;
                    sweep.turns.insert(execution, turn);
                }
                Err(error) => sweep.errors.push(error),
            }
        }
    }

    fn is_ours(&self, execution: &ExecutionArn) -> bool {
        executions::belongs_to(execution, &self.settings.state_machine)
    }
}

/// Zeros are told, too: an alarm on age must see that nothing is old.
fn metrics(running: &BTreeMap<ExecutionArn, Timestamp>, now: Timestamp) -> [Metric; 2] {
    let oldest = running.values().min().copied().unwrap_or(now);
    [Metric::OldestExecutionSeconds(now.duration_since(oldest)), Metric::Executions(running.len())]
}

/// The execution that an execution status event names. A schedule's event, or `{}`, names none.
fn subject(event: &Value) -> Result<Option<ExecutionArn>, Error> {
    let Some(arn) = event.pointer("/detail/executionArn").and_then(Value::as_str) else {
        return Ok(None);
    };
    arn.parse()
        .map(Some)
        .map_err(|error: domain::id::InvalidId| Error::new(Kind::MalformedInput, format!("read the event: {error}")))
}

/// Whatever is left makes the call fail, so that Lambda makes it again.
fn report(turns: BTreeMap<ExecutionArn, Turn>, orphans: Turn, errors: &[Error]) -> Result<ReaperReport, Error> {
    let mut left = Vec::new();
    let mut kinds: Vec<Kind> = errors.iter().map(Error::kind).collect();
    left.extend(errors.iter().map(Error::chain));
    kinds.extend(orphans.errors.iter().map(Error::kind));
    left.extend(orphans.leftovers());
    let mut report = ReaperReport { orphans: orphans.removed, ..ReaperReport::default() };
    for (execution, turn) in turns {
        kinds.extend(turn.errors.iter().map(Error::kind));
        let remaining = turn.leftovers();
        if !remaining.is_empty() {
            left.push(format!("after {execution}: {}", remaining.join(", ")));
        }
        report.executions.push(Reaped {
            execution,
            state: if remaining.is_empty() { "done" } else { "pending" },
            removed: turn.removed,
            remaining,
        });
    }
    if left.is_empty() {
        return Ok(report);
    }
    // What no other try mends is told by its own name, for the alarm that somebody reads.
    let kind = kinds.into_iter().find(|kind| !kind.is_transient()).unwrap_or(Kind::StillCleaning);
    Err(Error::new(kind, format!("clean up: {}", left.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_execution_event_names_one_execution_and_a_schedule_none() {
        let arn = "arn:aws:states:us-east-1:123456789012:execution:export:run-1";
        let event = json!({
            "detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": arn, "status": "ABORTED"}
        });
        assert_eq!(subject(&event).unwrap(), arn.parse().ok());
        assert_eq!(subject(&json!({"detail-type": "Scheduled Event", "detail": {}})).unwrap(), None);
        assert_eq!(subject(&json!({})).unwrap(), None);
        assert!(subject(&json!({"detail": {"executionArn": "x"}})).is_err());
    }

    #[test]
    fn what_is_left_fails_the_call_and_what_cannot_be_mended_names_itself() {
        let execution: ExecutionArn = "arn:aws:states:us-east-1:123456789012:execution:export:run-1".parse().unwrap();
        let turn = Turn { remaining: vec!["volume vol-1 (deleting)".into()], ..Turn::default() };
        let error = report(BTreeMap::from([(execution, turn)]), Turn::default(), &[]).unwrap_err();
        assert_eq!(error.kind(), Kind::StillCleaning);
        assert!(error.chain().contains("vol-1"));
        let denied = vec![Error::new(Kind::Throttled, "a"), Error::new(Kind::AccessDenied, "b")];
        assert_eq!(report(BTreeMap::new(), Turn::default(), &denied).unwrap_err().kind(), Kind::AccessDenied);
        assert!(report(BTreeMap::new(), Turn::default(), &[]).is_ok());
    }
}
