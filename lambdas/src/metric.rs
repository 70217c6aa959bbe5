//! Metrics in CloudWatch's embedded metric format: a line of JSON on standard output, which CloudWatch Logs turns into
//! metrics.
//!
//! No call, no permission and no waiting; a line that is lost costs one data point. Names and units are public: alarms
//! and dashboards are built on them.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "BackupExport";
/// The one dimension: the name of the state machine.
pub const DIMENSION: &str = "Installation";

/// A unit, as CloudWatch names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// How many.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// None that CloudWatch knows: US dollars.
    None,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Seconds => "Seconds",
            Self::None => "None",
        }
    }
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The value. CloudWatch keeps floating point numbers, too.
    pub value: f64,
}

impl Metric {
    /// A number of things.
    pub fn count(name: &'static str, count: usize) -> Self {
        Self { name, unit: Unit::Count, value: number(u64::try_from(count).unwrap_or(u64::MAX)) }
    }

    /// A size.
    pub fn bytes(name: &'static str, bytes: u64) -> Self {
        Self { name, unit: Unit::Bytes, value: number(bytes) }
    }

    /// The time from `start` to `end`; never negative.
    pub fn seconds(name: &'static str, start: Timestamp, end: Timestamp) -> Self {
        Self { name, unit: Unit::Seconds, value: end.duration_since(start).as_secs_f64().max(0.0) }
    }

    /// An amount of US dollars.
    pub fn usd(name: &'static str, usd: f64) -> Self {
        Self { name, unit: Unit::None, value: usd }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a double: beyond 8 PiB it is right to 16 digits")]
fn number(value: u64) -> f64 {
    value as f64
}

/// The line that tells `metrics` of the installation whose state machine has this ARN or any execution of it.
pub fn line(state_machine: &str, at: Timestamp, metrics: &[Metric]) -> String {
    let definitions: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit.name()})).collect();
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
    root.extend(metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value))));
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
    pub fn emit(&self, state_machine: &str, at: Timestamp, metrics: &[Metric]) {
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
        let metrics = [Metric::count("Exports", 1), Metric::bytes("ArchiveBytes", 8_192), Metric::usd("Cost", 0.25)];
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
                            {"Name": "Cost", "Unit": "None"}
                        ]
                    }]
                },
                "Installation": "backup-export", "Exports": 1.0, "ArchiveBytes": 8192.0, "Cost": 0.25
            });
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
        }
    }

    #[test]
    fn a_time_is_never_negative() {
        let (early, late) = ("2026-11-21T09:00:00Z".parse().unwrap(), "2026-11-21T09:01:00Z".parse().unwrap());
        assert!((Metric::seconds("s", early, late).value - 60.0).abs() < f64::EPSILON);
        assert!(Metric::seconds("s", late, early).value.abs() < f64::EPSILON);
    }
}
