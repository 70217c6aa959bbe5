//! Samples for unit tests.

use domain::claim::Claim;
use domain::plan::Plan;

/// The plan of one EBS volume.
pub(crate) fn sample_plan() -> Plan {
    Claim::parse(include_bytes!("../../domain/golden/claim.json")).unwrap().plan
}
