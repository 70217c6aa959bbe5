//! Which recovery points lack an export: a pure function of what the vault and the bucket list.

use std::collections::{BTreeMap, BTreeSet};

use domain::arn::RecoveryPointArn;
use domain::facts::is_usable;
use domain::id::ExportId;
use domain::name;
use domain::planning::check_type;
use jiff::Timestamp;

/// A recovery point as the vault lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPoint {
    /// Its ARN, not parsed yet.
    pub arn: String,
    /// `COMPLETED`, `AVAILABLE`, `PARTIAL` …
    pub status: String,
    /// AWS Backup's name of the resource's type.
    pub resource_type: String,
    /// When the backup was made.
    pub created_at: Option<Timestamp>,
}

/// What the bucket knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Exports that an execution works on, or died on.
    pub claimed: BTreeSet<ExportId>,
    /// Finished exports.
    pub exported: BTreeSet<ExportId>,
}

/// A recovery point whose export is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The recovery point.
    pub arn: RecoveryPointArn,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// The name of the execution.
    pub execution_name: String,
}

/// All recovery points, sorted out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many were listed.
    pub recovery_points: usize,
    /// How many have a finished export.
    pub exported: usize,
    /// How many have a claim.
    pub running: usize,
    /// How many cannot be exported as they are: not completed, continuous, without a readable ARN or a date.
    pub not_usable: usize,
    /// How many are of a type that is not asked for, or that this version cannot export, by type.
    pub other_types: BTreeMap<String, usize>,
    /// The rest, newest first: a missed event matters most.
    pub candidates: Vec<Candidate>,
}

/// Sorts the recovery points of a vault out.
pub fn sort_out(points: Vec<ListedPoint>, resource_types: &[String], known: &Known, now: Timestamp) -> Findings {
    let mut findings = Findings { recovery_points: points.len(), ..Findings::default() };
    for point in points {
        if !resource_types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&point.resource_type)) {
            *findings.other_types.entry(point.resource_type).or_default() += 1;
            continue;
        }
        let arn = point.arn.parse::<RecoveryPointArn>().ok().filter(|arn| !arn.is_continuous());
        let is_usable = is_usable(&point.status);
        let (Some(arn), Some(created_at), true) = (arn, point.created_at, is_usable) else {
            findings.not_usable += 1;
            continue;
        };
        if check_type(&arn).is_err() {
            *findings.other_types.entry(point.resource_type).or_default() += 1;
            continue;
        }
        let export_id = name::export_id(&arn, 0);
        if known.exported.contains(&export_id) {
            findings.exported += 1;
        } else if known.claimed.contains(&export_id) {
            findings.running += 1;
        } else {
            let execution_name = execution_name(&export_id, created_at, now);
            findings.candidates.push(Candidate { arn, created_at, execution_name });
        }
    }
    findings
        .candidates
        .sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.arn.as_str().cmp(b.arn.as_str())));
    findings
}

/// The same for every run of a while, so that an export that always fails is tried ever more seldom: until a week by
/// the doublings of the recovery point's age in days, then once a week. Step Functions refuses a name for ninety days
/// after its execution ended.
fn execution_name(export_id: &ExportId, created_at: Timestamp, now: Timestamp) -> String {
    let days = u64::try_from(now.duration_since(created_at).as_hours()).unwrap_or(0) / 24;
    let period = match days {
        0..7 => u64::from(days.checked_ilog2().map_or(0, |log| log + 1)),
        _ => DOUBLINGS_OF_A_WEEK + days / 7,
    };
    name::reconciling_execution(export_id, period)
}

/// Ages of 0, 1, 2 and 4 days begin a while each.
const DOUBLINGS_OF_A_WEEK: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn now() -> Timestamp {
        "2026-11-21T09:00:00Z".parse().unwrap()
    }

    fn arn(number: u32) -> String {
        format!("arn:aws:ec2:us-east-1::snapshot/snap-{number:017x}")
    }

    fn point(number: u32, age_hours: i64) -> ListedPoint {
        ListedPoint {
            arn: arn(number),
            status: "COMPLETED".into(),
            resource_type: "EBS".into(),
            created_at: Some(now() - SignedDuration::from_hours(age_hours)),
        }
    }

    fn id(number: u32) -> ExportId {
        name::export_id(&arn(number).parse().unwrap(), 0)
    }

    fn types() -> Vec<String> {
        vec!["EBS".into(), "EC2".into(), "Timestream".into()]
    }

    #[test]
    fn only_usable_points_without_an_export_and_without_a_claim_are_started_newest_first() {
        let known = Known { claimed: [id(3)].into(), exported: [id(2)].into() };
        let points = vec![
            point(1, 50),
            point(2, 1),
            point(3, 1),
            point(4, 2),
            ListedPoint { status: "PARTIAL".into(), ..point(5, 1) },
            ListedPoint {
                arn: "arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:ec2-1".into(),
                ..point(6, 1)
            },
            ListedPoint { created_at: None, ..point(7, 1) },
            ListedPoint { arn: "not an ARN".into(), ..point(8, 1) },
            ListedPoint { resource_type: "S3".into(), ..point(9, 1) },
            ListedPoint {
                arn: "arn:aws:timestream:us-east-1:123456789012:database/x".into(),
                resource_type: "Timestream".into(),
                ..point(10, 1)
            },
            ListedPoint { status: "AVAILABLE".into(), resource_type: "ebs".into(), ..point(11, 49) },
        ];
        let found = sort_out(points, &types(), &known, now());
        assert_eq!(found.recovery_points, 11);
        assert_eq!((found.exported, found.running, found.not_usable), (1, 1, 4));
        assert_eq!(found.other_types, BTreeMap::from([("S3".to_owned(), 1), ("Timestream".to_owned(), 1)]));
        let order: Vec<&str> = found.candidates.iter().map(|candidate| candidate.arn.as_str()).collect();
        assert_eq!(order, [arn(4), arn(11), arn(1)]);
    }

    #[test]
    fn the_name_changes_when_the_age_has_doubled_and_then_every_week() {
        let of = |hours: i64| {
            let name = execution_name(&id(1), now() - SignedDuration::from_hours(hours), now());
            name.rsplit('-').next().unwrap().parse::<u32>().unwrap()
        };
        let days = |days: i64| of(days * 24);
        assert_eq!([of(-5), of(0), of(23)], [0, 0, 0]);
        assert_eq!([days(1), of(47), days(2), days(3), days(4), days(6)], [1, 1, 2, 2, 3, 3]);
        assert_eq!([days(7), days(13), days(14), days(365), days(371)], [4, 4, 5, 55, 56]);
    }

    #[test]
    fn a_point_is_tried_seldom_and_by_names_that_step_functions_takes() {
        let names = |days: i64| -> BTreeSet<String> {
            let ages = (0..days).map(|days| now() - SignedDuration::from_hours(days * 24));
            ages.map(|created| execution_name(&id(1), created, now())).collect()
        };
        assert_eq!(names(1).len(), 1);
        assert_eq!(names(7).len(), 4);
        assert_eq!(names(14).len(), 5);
        // A hundred years of daily runs.
        assert_eq!(names(36_500).len(), 4 + 5_214);
        assert!(names(36_500).iter().all(|name| name.len() <= 80 && name.is_ascii()));
    }
}
