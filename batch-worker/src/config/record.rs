//! The record of what AWS itself wrote: where it lies, under the place that the plan says.

use domain::failure::Result;
use store::Folder;

use super::place::{Place, same_bucket};
use super::problem::Problems;
use crate::cli::RecordArgs;

/// How an export of AWS's own is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// What its keys begin with.
    pub objects: Folder,
    /// Where the manifest goes.
    pub place: Place,
}

impl RecordConfig {
    pub(super) fn new(arguments: RecordArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut problems = Problems::default();
        let objects = problems.take(arguments.objects.parse::<Folder>());
        problems.require(arguments.place.plan.is_some(), || {
            "record needs --plan: it says what AWS was asked to export".to_owned()
        });
        let place = Place::new(arguments.place, variable, &mut problems);
        if let (Some(objects), Some(place)) = (&objects, &place) {
            problems.require(
                same_bucket(objects, &place.destination) && objects.prefix().starts_with(place.destination.prefix()),
                || format!("--objects {objects} does not lie under --dest {}", place.destination),
            );
        }
        problems.finish(objects.zip(place).map(|(objects, place)| Self { objects, place }))
    }
}
