//! Where an export goes, and whose it is.

use domain::id::AccountId;
use store::Folder;

use super::problem::Problems;
use crate::cli::PlaceArgs;

/// Where an export goes, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it goes.
    pub destination: Folder,
    /// Where the claim is.
    pub plan: Option<(Folder, String)>,
    /// Which of the plan's units it is.
    pub unit_key: Option<String>,
    /// The account that the bucket must belong to.
    pub bucket_owner: Option<AccountId>,
    /// Whether Batch runs this: a failure is then left in the bucket for whoever asks.
    pub in_batch: bool,
}

impl Place {
    pub(super) fn new(
        arguments: PlaceArgs,
        variable: &dyn Fn(&str) -> Option<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let destination = problems.take(arguments.dest.parse::<Folder>());
        let plan = arguments.plan.as_deref().and_then(|url| problems.take(Folder::of_object(url)));
        if let (Some(plan), Some(destination)) = (&plan, &destination) {
            problems.require(same_bucket(&plan.0, destination), || {
                format!("--plan is in {}, and --dest in {destination}: both belong in one bucket", plan.0)
            });
        }
        problems.require(plan.is_some() || arguments.unit_key.is_none(), || {
            "--unit-key names a unit of a plan: give --plan, too".to_owned()
        });
        Some(Self {
            destination: destination?,
            plan,
            unit_key: arguments.unit_key,
            bucket_owner: arguments.bucket_owner,
            in_batch: in_batch(variable),
        })
    }
}

pub(super) fn same_bucket(one: &Folder, other: &Folder) -> bool {
    match (one, other) {
        (Folder::S3 { bucket: one, .. }, Folder::S3 { bucket: other, .. }) => one == other,
        _ => false,
    }
}

pub(super) fn in_batch(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    variable("AWS_BATCH_JOB_ATTEMPT").is_some()
}
