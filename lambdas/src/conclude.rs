//! The conclude Lambda: the last word of an execution.
//!
//! What was exported and verified enters the catalog, whatever came after it. The claim is given back only when nothing
//! is left to clean up, because it is how the reaper finds what is.

use std::collections::BTreeMap;

use aws::bucket::Bucket;
use domain::conclusion::{CatalogRow, Fate};
use domain::cost::{self, PRICES};
use domain::failure::{CaughtError, Error, Failure, Kind};
use domain::id::{ExecutionArn, ExportId};
use domain::plan::{Decision, Plan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::Entry;
use crate::cleanup::{self, Cleanup, CleanupState};
use crate::deletion::Deletion;
use crate::metric::{Emitter, Metric};
use crate::{catalog, cause, claim};

/// What the state machine passes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConclusionRequest {
    pub execution: ExecutionArn,
    /// What was decided; absent when planning failed.
    pub plan: Option<Decision>,
    /// Whether every unit was exported and verified.
    pub exported: bool,
    /// What was caught first.
    pub failure: Option<CaughtError>,
    /// How the cleanup ended; absent when there was nothing to clean up, or it failed at once.
    pub cleanup: Option<Cleanup>,
    /// What the cleanup failed with.
    pub cleanup_failure: Option<CaughtError>,
    /// How the deletion stands.
    pub deletion: Option<Deletion>,
}

/// `$.conclusion`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conclusion {
    /// How it ended.
    pub state: ConclusionState,
    /// The export, where there was a plan.
    pub export_id: Option<ExportId>,
    /// The row in the catalog, where there is one.
    pub catalog_key: Option<String>,
    /// Keys of the manifests, when all are there.
    pub manifests: Vec<String>,
    /// Size of the archives.
    pub bytes: u64,
    /// Whether the recovery point is gone.
    pub recovery_point_deleted: bool,
    /// Why it was kept, where its deletion was asked for.
    pub recovery_point_kept: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConclusionState {
    /// All that was asked for was done.
    Exported,
    /// Something was not.
    Failed,
}

/// Concludes the execution, and tells how it ended to whoever counts.
pub async fn run(
    s3: &aws_sdk_s3::Client,
    emitter: &Emitter,
    request: ConclusionRequest,
    now: Timestamp,
) -> Result<Conclusion, Error> {
    let execution = request.execution.clone();
    let failure = first_failure(&request);
    let (conclusion, metrics) = match request.plan {
        Some(Decision::Export(ref plan)) => {
            let plan = plan.clone();
            let (conclusion, entry) = of_plan(s3, &plan, request, failure, now).await?;
            let metrics = metrics(conclusion.state, entry.as_ref().map(|entry| (&*plan, entry)), now);
            (conclusion, metrics)
        }
        Some(Decision::Skip { .. } | Decision::Clean { .. }) | None => {
            (Conclusion::failed(None, failure), metrics(ConclusionState::Failed, None, now))
        }
    };
    emitter.emit(execution.as_str(), now, &metrics);
    Ok(conclusion)
}

async fn of_plan(
    s3: &aws_sdk_s3::Client,
    plan: &Plan,
    request: ConclusionRequest,
    failure: Option<Failure>,
    now: Timestamp,
) -> Result<(Conclusion, Option<Entry>), Error> {
    let bucket = Bucket::of(s3, plan);
    let fate = request.deletion.map_or(Fate::Untouched, Deletion::fate);
    let entry = if request.exported { Some(catalog::enter(&bucket, plan, &fate, now).await?) } else { None };
    let is_clean = request.cleanup_failure.is_none()
        && request.cleanup.as_ref().is_some_and(|cleanup| cleanup.state == CleanupState::Done);
    if is_clean {
        claim::release(&bucket, &plan.claim_key, &plan.execution).await?;
    }
    let leftovers = (!is_clean).then(|| leftovers(plan, request.cleanup, request.cleanup_failure));
    let row = entry.as_ref().map(|entry| &entry.row);
    Ok((conclusion(plan, row, failure, leftovers, fate), entry))
}

/// Both counts are told each time, so that a day without failures is a zero and not a gap.
fn metrics(state: ConclusionState, entered: Option<(&Plan, &Entry)>, now: Timestamp) -> Vec<Metric> {
    let is = |other| usize::from(state == other);
    let mut metrics =
        vec![Metric::Exports(is(ConclusionState::Exported)), Metric::FailedExports(is(ConclusionState::Failed))];
    if let Some((plan, Entry { row, manifests })) = entered {
        metrics.extend([
            Metric::ArchiveBytes(row.bytes),
            Metric::SourceBytes(manifests.iter().map(|manifest| manifest.bytes_read).sum()),
            Metric::ExportSeconds(now.duration_since(plan.started_at)),
            Metric::EstimatedCostUsd(cost::estimate_usd(manifests, &plan.volume_options, &PRICES)),
        ]);
    }
    metrics
}

fn first_failure(request: &ConclusionRequest) -> Option<Failure> {
    let caught = request.failure.as_ref()?;
    let told = request.cleanup.as_ref().and_then(|cleanup| cleanup.failure.clone());
    Some(told.unwrap_or_else(|| {
        let plan = match &request.plan {
            Some(Decision::Export(plan)) => Some(&**plan),
            Some(Decision::Skip { .. } | Decision::Clean { .. }) | None => None,
        };
        cause::explain(plan, caught, &BTreeMap::new())
    }))
}

fn leftovers(plan: &Plan, cleanup: Option<Cleanup>, caught: Option<CaughtError>) -> String {
    let mut remaining = cleanup.map(|cleanup| cleanup.remaining).unwrap_or_default();
    if let Some(caught) = caught {
        let failure = cause::explain(Some(plan), &caught, &BTreeMap::new());
        remaining.push(format!("{}: {}", failure.error, failure.cause));
    }
    cleanup::incomplete(&plan.execution, &remaining)
}

/// The original failure comes first, whatever the cleanup did; a cleanup that did not end makes a success a failure.
fn conclusion(
    plan: &Plan,
    row: Option<&CatalogRow>,
    failure: Option<Failure>,
    leftovers: Option<String>,
    fate: Fate,
) -> Conclusion {
    let mut failure = match (failure, leftovers) {
        (None, None) => None,
        (None, Some(left)) => Some(Failure::new(Kind::CleanupIncomplete, left)),
        (Some(failure), None) => Some(failure),
        (Some(failure), Some(left)) => {
            Some(Failure { cause: format!("{}; besides, {left}", failure.cause), ..failure })
        }
    };
    if row.is_some()
        && let Some(failure) = &mut failure
    {
        failure.cause = format!("{}; the export itself is complete and verified: {}", failure.cause, plan.catalog_key);
    }
    Conclusion {
        state: if failure.is_none() { ConclusionState::Exported } else { ConclusionState::Failed },
        export_id: Some(plan.export_id.clone()),
        catalog_key: row.map(|_| plan.catalog_key.clone()),
        bytes: row.map_or(0, |row| row.bytes),
        manifests: row.map(|row| row.manifests.clone()).unwrap_or_default(),
        recovery_point_deleted: fate == Fate::Deleted,
        recovery_point_kept: match fate {
            Fate::Kept(why) => Some(why),
            Fate::Untouched | Fate::Deleted => None,
        },
        failure,
    }
}

impl Conclusion {
    fn failed(export_id: Option<ExportId>, failure: Option<Failure>) -> Self {
        Self {
            state: ConclusionState::Failed,
            export_id,
            catalog_key: None,
            manifests: Vec::new(),
            bytes: 0,
            recovery_point_deleted: false,
            recovery_point_kept: None,
            failure: Some(
                failure
                    .unwrap_or_else(|| Failure::new(Kind::Internal, "concluded without a plan and without a failure")),
            ),
        }
    }
}
