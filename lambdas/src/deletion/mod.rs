//! The delete-recovery-point Lambda: the only place from which a backup is destroyed.
//!
//! The state machine comes here after every unit was verified. Nothing of that is taken on trust: the plan must ask for
//! it, name a verification, every manifest must be there, and the export is in the catalog before its source goes. What
//! the settings keep is kept, which is no failure.

mod retention;

use aws::CallError;
use aws::bucket::Bucket;
use aws_sdk_backup::types::RecoveryPointStatus;
use domain::conclusion::Fate;
use domain::failure::{Error, Kind};
use domain::plan::{Plan, VerifyMode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog;

/// What the state machine passes.
#[derive(Debug, Clone, Deserialize)]
pub struct DeletionRequest {
    pub plan: Plan,
    /// What the last turn said.
    pub deletion: Deletion,
}

/// `$.deletion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// How often was looked.
    pub turn: u32,
    /// Whether the recovery point is gone.
    #[serde(default = "DeletionState::pending")]
    pub state: DeletionState,
    /// How long to wait before the next look.
    #[serde(default)]
    pub wait_seconds: u32,
    /// Why it is kept.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether the recovery point is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionState {
    /// Look again.
    Pending,
    /// It is.
    Deleted,
    /// It is not, and stays.
    Kept,
}

impl Deletion {
    /// What became of the recovery point.
    pub fn fate(self) -> Fate {
        match self.state {
            DeletionState::Pending => Fate::Untouched,
            DeletionState::Deleted => Fate::Deleted,
            DeletionState::Kept => Fate::Kept(self.reason.unwrap_or_default()),
        }
    }
}

impl DeletionState {
    fn pending() -> Self {
        Self::Pending
    }
}

/// What to do about a recovery point in a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask AWS Backup to delete it.
    Delete,
    /// It is being deleted: look again.
    Wait,
    /// It is gone.
    Done,
    /// It will not go.
    GiveUp(Kind, &'static str),
}

/// Looks at a deletion that was accepted before it counts as not confirmed. Waits grow to a minute.
const MAX_TURNS: u32 = 20;
/// Looks at a recovery point that AWS Backup shows as EXPIRED before it counts as left there.
const EXPIRED_TURNS: u32 = 6;

/// Decides by the status that AWS Backup shows: `None` when it does not know the recovery point any more.
pub fn next_step(status: Option<&RecoveryPointStatus>, turn: u32) -> Step {
    match status {
        None => Step::Done,
        // AWS Backup answers 200 and leaves it so when it may not delete the snapshot.
        // It may also be on its way out, so it gets some looks.
        Some(RecoveryPointStatus::Expired) if turn >= EXPIRED_TURNS => Step::GiveUp(
            Kind::DeletionNotConfirmed,
            "AWS Backup left it EXPIRED, which means that it could not delete what the recovery point is made of: \
             check the permissions of the role with which the backup was made, then delete it again",
        ),
        _ if turn >= MAX_TURNS => Step::GiveUp(
            Kind::DeletionNotConfirmed,
            "AWS Backup accepted the deletion, but still lists it: look at it in the vault, and delete it by hand if \
             need be",
        ),
        Some(RecoveryPointStatus::Deleting) => Step::Wait,
        Some(_) if turn == 0 => Step::Delete,
        Some(_) => Step::Wait,
    }
}

/// Deletes the recovery point, or looks whether it is gone.
pub async fn run(
    backup: &aws_sdk_backup::Client,
    s3: &aws_sdk_s3::Client,
    request: DeletionRequest,
    now: Timestamp,
) -> Result<Deletion, Error> {
    let DeletionRequest { plan, deletion } = request;
    let turn = deletion.turn;
    let bucket = Bucket::of(s3, &plan);
    check(&bucket, &plan).await?;
    if turn == 0 {
        // An execution that dies after the deletion leaves more than archives that nobody finds.
        catalog::enter(&bucket, &plan, &Fate::Untouched, now).await?;
    }
    let mut step = next_step(status(backup, &plan).await?.as_ref(), turn);
    if step == Step::Delete {
        if let Some(reason) = retention::reason(backup, &bucket, &plan).await? {
            let turn = turn.saturating_add(1);
            return Ok(Deletion { turn, state: DeletionState::Kept, wait_seconds: 0, reason: Some(reason) });
        }
        delete(backup, &plan).await?;
        // Once it was accepted, this turn must be told as done: made again, it would ask anew whether the point is to
        // be kept.
        step = match status(backup, &plan).await.map(|status| next_step(status.as_ref(), turn)) {
            Ok(Step::Done) => Step::Done,
            Ok(Step::Delete | Step::Wait) => Step::Wait,
            Ok(given_up @ Step::GiveUp(..)) => given_up,
            Err(error) if error.kind().is_transient() => Step::Wait,
            Err(error) => return Err(error),
        };
    }
    let state = match step {
        Step::Done => DeletionState::Deleted,
        Step::Delete | Step::Wait => DeletionState::Pending,
        Step::GiveUp(kind, why) => {
            return Err(Error::new(kind, format!("{}: {why}", action(&plan))));
        }
    };
    Ok(Deletion { turn: turn.saturating_add(1), state, wait_seconds: plan.wait_seconds(turn, 0), reason: None })
}

fn action(plan: &Plan) -> String {
    let point = &plan.recovery_point;
    format!("delete {} from the vault {}", point.arn, point.vault_name)
}

async fn check(bucket: &Bucket, plan: &Plan) -> Result<(), Error> {
    let refuse = |kind, why: String| Err(Error::new(kind, format!("{}: {why}", action(plan))));
    if !plan.delete_recovery_point {
        return refuse(Kind::DeletionRefused, "the plan does not ask for it".into());
    }
    if plan.recovery_point.arn.is_continuous() {
        return refuse(
            Kind::DeletionRefused,
            "it is continuous, and deleting it would stop point-in-time recovery".into(),
        );
    }
    if plan.units.iter().any(|unit| unit.source.is_live()) {
        return refuse(Kind::DeletionRefused, "what was exported is the live table, and not the backup".into());
    }
    if plan.verify == VerifyMode::None {
        return refuse(Kind::DeletionRefused, "its export was not verified".into());
    }
    for unit in &plan.units {
        let key = unit.manifest_key();
        if !bucket.has(&key).await? {
            return refuse(Kind::VerificationFailed, format!("the manifest {key} is not there, so it is not deleted"));
        }
    }
    Ok(())
}

async fn status(backup: &aws_sdk_backup::Client, plan: &Plan) -> Result<Option<RecoveryPointStatus>, Error> {
    let point = &plan.recovery_point;
    let result = backup
        .describe_recovery_point()
        .backup_vault_name(point.vault_name.as_str())
        .recovery_point_arn(point.arn.as_str())
        .send()
        .await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) => Ok(Some(output.status().cloned().unwrap_or(RecoveryPointStatus::Available))),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure.during(format!("describe the recovery point {}", point.arn))),
    }
}

async fn delete(backup: &aws_sdk_backup::Client, plan: &Plan) -> Result<(), Error> {
    let point = &plan.recovery_point;
    let result = backup
        .delete_recovery_point()
        .backup_vault_name(point.vault_name.as_str())
        .recovery_point_arn(point.arn.as_str())
        .send()
        .await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_not_found() => Ok(()),
        // A vault lock, a legal hold, an image in use.
        Err(failure)
            if failure.is(&[
                "InvalidRequestException",
                "InvalidParameterValueException",
                "InvalidResourceStateException",
            ]) =>
        {
            Err(failure.as_kind(Kind::DeletionRefused, action(plan)))
        }
        Err(failure) => Err(failure.during(action(plan))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recovery_point_that_is_not_found_counts_as_deleted() {
        use RecoveryPointStatus as Status;
        assert_eq!(next_step(None, 0), Step::Done);
        assert_eq!(next_step(None, MAX_TURNS), Step::Done);
        assert_eq!(next_step(Some(&Status::Completed), 0), Step::Delete);
        assert_eq!(next_step(Some(&Status::Completed), 1), Step::Wait);
        assert_eq!(next_step(Some(&Status::Deleting), 0), Step::Wait);
        assert_eq!(next_step(Some(&Status::Expired), 1), Step::Wait);
        assert!(matches!(
            next_step(Some(&Status::Expired), EXPIRED_TURNS),
            Step::GiveUp(Kind::DeletionNotConfirmed, _)
        ));
        assert!(matches!(next_step(Some(&Status::Deleting), MAX_TURNS), Step::GiveUp(Kind::DeletionNotConfirmed, _)));
    }
}
