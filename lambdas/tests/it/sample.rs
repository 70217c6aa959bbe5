//! Plans, claims and executions that the tests share.

use domain::claim::Claim;
use domain::id::ExecutionArn;
use domain::plan::{Plan, Unit};
use jiff::Timestamp;

pub(crate) const SNAPSHOT: &str = "snap-0123456789abcdef0";
pub(crate) const ARN: &str = "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0";

pub(crate) fn claim() -> Claim {
    Claim::parse(include_bytes!("../../../domain/golden/claim.json")).unwrap()
}

/// A plan of one EBS volume, by the execution `run-1`.
pub(crate) fn plan() -> Plan {
    claim().plan
}

/// A plan of an image of one volume, with deletion.
pub(crate) fn image_plan() -> Plan {
    serde_json::from_str(include_str!("../../../domain/golden/plan-ec2.json")).unwrap()
}

pub(crate) fn execution(name: &str) -> ExecutionArn {
    format!("arn:aws:states:us-east-1:123456789012:execution:backup-export:{name}").parse().unwrap()
}

/// The claim of the same export by another execution.
pub(crate) fn claim_of(name: &str) -> Claim {
    let plan = Plan { execution: execution(name), ..plan() };
    Claim::new(plan, now())
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

/// The manifest that belongs to [`plan`].
pub(crate) fn manifest() -> String {
    let golden = include_str!("../../../domain/golden/manifest.json");
    golden.replace("exp-0123456789abcdef0123", plan().export_id.as_str())
}

/// A manifest of a volume of [`image_plan`].
pub(crate) fn image_manifest(volume: &Unit) -> String {
    let (plan, image) = (plan(), image_plan());
    manifest()
        .replace(plan.export_id.as_str(), image.export_id.as_str())
        .replace(plan.units[0].prefix.as_str(), volume.prefix.as_str())
}
