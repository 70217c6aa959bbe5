//! Metrics in CloudWatch's embedded metric format: a line of JSON on standard output, which CloudWatch Logs turns into
//! metrics.
//!
//! No call, no permission and no waiting; a line that is lost costs one data point. Names and units are public: alarms
//! and dashboards are built on them.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "BackupExport";
/// The one dimension: the name of the state machine.
const DIMENSION: &str = "Installation";

/// One value, under its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Metric {
    /// Exports that finished.
    Exports(usize),
    /// Executions that failed.
    FailedExports(usize),
    /// What an export's archives take.
    ArchiveBytes(u64),
    /// What was read for them.
    SourceBytes(u64),
    /// How long an export took.
    ExportSeconds(SignedDuration),
    /// What it cost in US dollars, by list prices.
    EstimatedCostUsd(f64),
    /// Executions that are at work.
    Executions(usize),
    /// How long the oldest of them has been.
    OldestExecutionSeconds(SignedDuration),
    /// Recovery points of the vault that have no finished export.
    UnexportedRecoveryPoints(usize),
    /// Exports that the reconciler started.
    StartedExports(usize),
}

impl Metric {
    const fn name(self) -> &'static str {
        match self {
            Self::Exports(_) => "Exports",
            Self::FailedExports(_) => "FailedExports",
            Self::ArchiveBytes(_) => "ArchiveBytes",
            Self::SourceBytes(_) => "SourceBytes",
            Self::ExportSeconds(_) => "ExportSeconds",
            Self::EstimatedCostUsd(_) => "EstimatedCostUsd",
            Self::Executions(_) => "Executions",
            Self::OldestExecutionSeconds(_) => "OldestExecutionSeconds",
            Self::UnexportedRecoveryPoints(_) => "UnexportedRecoveryPoints",
            Self::StartedExports(_) => "StartedExports",
        }
    }

    /// As CloudWatch names it. It knows no US dollars.
    const fn unit(self) -> &'static str {
        match self {
            Self::Exports(_)
            | Self::FailedExports(_)
            | Self::Executions(_)
            | Self::UnexportedRecoveryPoints(_)
            | Self::StartedExports(_) => "Count",
            Self::ArchiveBytes(_) | Self::SourceBytes(_) => "Bytes",
            Self::ExportSeconds(_) | Self::OldestExecutionSeconds(_) => "Seconds",
            Self::EstimatedCostUsd(_) => "None",
        }
    }

    /// CloudWatch keeps floating point numbers. A time is never negative: clocks of two machines differ.
    fn value(self) -> f64 {
        match self {
            Self::Exports(count)
            | Self::FailedExports(count)
            | Self::Executions(count)
            | Self::UnexportedRecoveryPoints(count)
            | Self::StartedExports(count) => number(u64::try_from(count).unwrap_or(u64::MAX)),
            Self::ArchiveBytes(bytes) | Self::SourceBytes(bytes) => number(bytes),
            Self::ExportSeconds(time) | Self::OldestExecutionSeconds(time) => time.as_secs_f64().max(0.0),
            Self::EstimatedCostUsd(usd) => usd,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double: beyond 8 PiB it is right to 16 digits")]
fn number(value: u64) -> f64 {
    value as f64
}

/// The line that tells `metrics` of the installation whose state machine has this ARN or any execution of it.
fn line(state_machine: &str, at: Timestamp, metrics: &[Metric]) -> String {
    let definitions: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name(), "Unit": metric.unit()})).collect();
    let mut root = Map::new();
    root.insert(
        "_aws".into(),
        json!({
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions}]
        }),
    );
    // arn:partition:states:region:account:stateMachine|execution:name[:run]
    root.insert(DIMENSION.into(), state_machine.split(':').nth(6).unwrap_or("unknown").into());
    root.extend(metrics.iter().map(|metric| (metric.name().to_owned(), json!(metric.value()))));
    Value::Object(root).to_string()
}

/// Where lines go.
#[derive(Clone)]
pub struct Emitter(Arc<dyn Fn(String) + Send + Sync>);

impl Emitter {
    /// Lines go to `write`.
    pub fn new(write: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Lines go to standard output, from where Lambda takes them.
    pub fn stdout() -> Self {
        Self::new(|line| println!("{line}"))
    }

    /// Tells `metrics`.
    pub(crate) fn emit(&self, state_machine: &str, at: Timestamp, metrics: &[Metric]) {
        (self.0)(line(state_machine, at, metrics));
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emitter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let at = "2026-11-21T09:00:00.250Z".parse().unwrap();
        let metrics = [Metric::Exports(1), Metric::ArchiveBytes(8_192), Metric::EstimatedCostUsd(0.25)];
        for arn in [
            "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export",
            "arn:aws-cn:states:cn-north-1:123456789012:execution:backup-export:run-1",
        ] {
            let line = line(arn, at, &metrics);
            assert!(!line.contains('\n'));
            let expected = json!({
                "_aws": {
                    "Timestamp": 1_795_251_600_250_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "BackupExport", "Dimensions": [["Installation"]],
                        "Metrics": [
                            {"Name": "Exports", "Unit": "Count"},
                            {"Name": "ArchiveBytes", "Unit": "Bytes"},
                            {"Name": "EstimatedCostUsd", "Unit": "None"}
                        ]
                    }]
                },
                "Installation": "backup-export", "Exports": 1.0, "ArchiveBytes": 8192.0, "EstimatedCostUsd": 0.25
            });
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        }
    }

    #[test]
    fn a_time_is_never_negative() {
        let minute = SignedDuration::from_mins(1);
        assert!((Metric::ExportSeconds(minute).value() - 60.0).abs() < f64::EPSILON);
        assert!(Metric::ExportSeconds(-minute).value().abs() < f64::EPSILON);
    }

    /// The CDK app makes alarms and the dashboard of these, and of no others: it reads the file. Edit that by hand.
    #[test]
    fn names_and_units_are_those_of_the_golden_file() {
        let time = SignedDuration::ZERO;
        let units: Map<String, Value> = [
            Metric::Exports(0),
            Metric::FailedExports(0),
            Metric::ArchiveBytes(0),
            Metric::SourceBytes(0),
            Metric::ExportSeconds(time),
            Metric::EstimatedCostUsd(0.0),
            Metric::Executions(0),
            Metric::OldestExecutionSeconds(time),
            Metric::UnexportedRecoveryPoints(0),
            Metric::StartedExports(0),
        ]
        .into_iter()
        .map(|metric| (metric.name().to_owned(), metric.unit().into()))
        .collect();
        let written = json!({"namespace": NAMESPACE, "dimension": DIMENSION, "units": units});
        let golden: Value = serde_json::from_str(include_str!("../golden/metrics.json")).unwrap();
        assert_eq!(written, golden, "lambdas/golden/metrics.json");
    }
}
