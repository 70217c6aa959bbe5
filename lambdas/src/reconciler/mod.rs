//! The reconciler: starts the exports whose events were missed.
//!
//! Called every day. Events are best effort, rules can be off, and a vault may be older than the installation: what the
//! vault holds and the bucket lacks is started, newest first and a few at a time. It starts executions and does nothing
//! else; whether there is something to export is still decided by [`crate::plan`].

pub mod decision;
mod settings;

use std::collections::BTreeSet;

use aws::CallError;
use aws::bucket::{Bucket, Listed};
use aws_smithy_types::DateTime;
use domain::failure::Error;
use domain::id::ExportId;
use domain::key::{CLAIMS, EXPORTS};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use self::decision::{Candidate, Findings, Known, ListedPoint};
pub use self::settings::ReconcilerSettings;
use crate::metric::{Emitter, Metric};

/// What the reconciler works with.
#[derive(Debug, Clone)]
pub struct Reconciler {
    /// AWS Backup.
    pub backup: aws_sdk_backup::Client,
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    pub settings: ReconcilerSettings,
    /// Where its metrics go.
    pub metrics: Emitter,
}

/// What it found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcilerReport {
    /// Recovery points in the vault, within the look-back.
    pub recovery_points: usize,
    /// Those with a finished export.
    pub exported: usize,
    /// Those with a claim.
    pub running: usize,
    /// Those that cannot be exported as they are.
    pub not_usable: usize,
    /// Those of types that are not asked for or not supported, by type.
    pub other_types: std::collections::BTreeMap<String, usize>,
    /// The exports that were started.
    pub started: Vec<Started>,
    /// The exports that would have been, were it not a dry run. Some of them may have been tried before.
    pub would_start: Vec<Started>,
    /// How many were started under the same name before: they ended without a finished export.
    pub tried_before: usize,
    /// How many are left for the next run.
    pub left: usize,
}

/// An export that is or would be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The recovery point.
    pub recovery_point_arn: String,
    /// The name of the execution.
    pub execution_name: String,
}

/// Starts that are under way at the same time: what is tried before costs a call as well, and there may be thousands.
const CONCURRENT_STARTS: usize = 4;

/// What came of a start.
enum Outcome {
    Started,
    TriedBefore,
}

impl Reconciler {
    /// Starts what is missing.
    pub async fn run(&self, now: Timestamp) -> Result<ReconcilerReport, Error> {
        let settings = &self.settings;
        let bucket = Bucket::new(&self.s3, &settings.bucket, Some(&settings.bucket_owner));
        let points = self.points(now).await?;
        // In this order: the row of an export is there before its claim goes, so one that ends meanwhile is in one of
        // the lists.
        let claimed = export_ids(&bucket.list(CLAIMS).await?);
        let exported = export_ids(&bucket.list(EXPORTS).await?);
        let findings = decision::sort_out(points, &settings.resource_types, &Known { claimed, exported }, now);
        let (mut report, candidates) = ReconcilerReport::new(findings);
        let unexported = candidates.len();
        let result = if settings.dry_run {
            report.would_start = candidates.iter().take(self.room(&report)).map(Started::of).collect();
            Ok(())
        } else {
            self.start_all(candidates, &mut report).await
        };
        report.left = unexported - report.started.len() - report.would_start.len() - report.tried_before;
        let metrics = [Metric::UnexportedRecoveryPoints(unexported), Metric::StartedExports(report.started.len())];
        self.metrics.emit(&settings.state_machine, now, &metrics);
        result.map(|()| report)
    }

    /// How many more may be started: what an earlier run, or an event, started and is still at work counts as well.
    fn room(&self, report: &ReconcilerReport) -> usize {
        self.settings.max_starts.saturating_sub(report.running + report.started.len())
    }

    async fn points(&self, now: Timestamp) -> Result<Vec<ListedPoint>, Error> {
        let vault = &self.settings.vault;
        let since = self.settings.look_back_days.map(|days| {
            let back = SignedDuration::from_hours(i64::from(days) * 24);
            DateTime::from_secs(now.checked_sub(back).unwrap_or(Timestamp::UNIX_EPOCH).as_second())
        });
        let mut pages = self
            .backup
            .list_recovery_points_by_backup_vault()
            .backup_vault_name(vault.as_str())
            .set_by_created_after(since)
            .into_paginator()
            .items()
            .send();
        let mut points = Vec::new();
        while let Some(point) = pages.next().await {
            let point = point.map_err(|error| {
                CallError::of(&error).during(format!("list the recovery points of the vault {vault}"))
            })?;
            points.push(ListedPoint {
                arn: point.recovery_point_arn.unwrap_or_default(),
                status: point.status.map_or_else(String::new, |status| status.as_str().to_owned()),
                resource_type: point.resource_type.unwrap_or_default(),
                created_at: point.creation_date.and_then(|date| Timestamp::from_second(date.secs()).ok()),
            });
        }
        Ok(points)
    }

    /// An error ends the run: what fails once mostly fails for every other, and another run is safe.
    async fn start_all(&self, candidates: Vec<Candidate>, report: &mut ReconcilerReport) -> Result<(), Error> {
        let mut waiting = candidates.into_iter();
        loop {
            let room = self.room(report).min(CONCURRENT_STARTS);
            let calls: Vec<_> = waiting
                .by_ref()
                .take(room)
                .map(|candidate| {
                    let started = Started::of(&candidate);
                    (started, tokio::spawn(self.clone().start(candidate)))
                })
                .collect();
            if calls.is_empty() {
                return Ok(());
            }
            let mut failed = None;
            for (started, call) in calls {
                match call.await.expect("a start is neither cancelled nor does it panic") {
                    Ok(Outcome::Started) => report.started.push(started),
                    Ok(Outcome::TriedBefore) => report.tried_before += 1,
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                let number = report.started.len();
                let message = format!("{}; {number} exports were started before", error.chain());
                return Err(Error::new(error.kind(), message));
            }
        }
    }

    async fn start(self, candidate: Candidate) -> Result<Outcome, Error> {
        let Candidate { arn, execution_name, .. } = candidate;
        let input = json!({"recoveryPointArn": arn, "backupVaultName": self.settings.vault});
        let result = self
            .sfn
            .start_execution()
            .state_machine_arn(&self.settings.state_machine)
            .name(&execution_name)
            .input(input.to_string())
            .send()
            .await;
        match result.map_err(|error| CallError::of(&error)) {
            Ok(_) => {
                let execution = execution_name.as_str();
                tracing::info!(recovery_point = %arn, execution, "started the export of a recovery point");
                Ok(Outcome::Started)
            }
            Err(failure) if failure.is(&["ExecutionAlreadyExists"]) => Ok(Outcome::TriedBefore),
            Err(failure) => Err(failure.during(format!("start the export of {arn} as {execution_name}"))),
        }
    }
}

impl ReconcilerReport {
    fn new(findings: Findings) -> (Self, Vec<Candidate>) {
        let Findings { recovery_points, exported, running, not_usable, other_types, candidates } = findings;
        let report = Self { recovery_points, exported, running, not_usable, other_types, ..Self::default() };
        (report, candidates)
    }
}

impl Started {
    fn of(candidate: &Candidate) -> Self {
        Self { recovery_point_arn: candidate.arn.to_string(), execution_name: candidate.execution_name.clone() }
    }
}

fn export_ids(objects: &[Listed]) -> BTreeSet<ExportId> {
    objects.iter().filter_map(|object| domain::key::export_id_of(&object.key)).collect()
}
