//! Entering a finished export: its row in the catalog and the pointer to the newest.
//!
//! Done before the recovery point is deleted and again at the conclusion, each time from what the manifests say. A row
//! only ever learns more.

use aws::bucket::{Bucket, Condition};
use domain::conclusion::{CatalogRow, Fate, Latest};
use domain::failure::{Error, Kind, chain};
use domain::manifest::Manifest;
use domain::plan::Plan;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// How often an object that others write, too, is tried for.
const TRIES: u32 = 5;

/// What was entered, and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub row: CatalogRow,
    /// The manifests, in the order of the plan's volumes.
    pub manifests: Vec<Manifest>,
}

/// Enters the export of `plan`, whose every volume must have its manifest.
pub async fn enter(bucket: &Bucket, plan: &Plan, fate: &Fate, now: Timestamp) -> Result<Entry, Error> {
    let manifests = manifests(bucket, plan).await?;
    let row = CatalogRow::new(plan, &manifests, fate, now);
    advance(bucket, &plan.catalog_key, row.to_json_line(), |other: &CatalogRow| row.tells_more_than(other)).await?;
    let latest = row.latest(&plan.catalog_key);
    advance(bucket, &plan.latest_key, latest.to_json(), |other: &Latest| latest.supersedes(other)).await?;
    Ok(Entry { row, manifests })
}

async fn manifests(bucket: &Bucket, plan: &Plan) -> Result<Vec<Manifest>, Error> {
    let mut manifests = Vec::new();
    for unit in &plan.units {
        let key = unit.manifest_key();
        let wrong = |why: String| Error::new(Kind::VerificationFailed, format!("read the manifest {key}: {why}"));
        let object = bucket.get(&key).await?.ok_or_else(|| wrong("it is not there".into()))?;
        let manifest = Manifest::parse(&object.bytes, unit.prefix.as_str()).map_err(|error| wrong(chain(&error)))?;
        if manifest.export_id.as_ref() != Some(&plan.export_id) {
            return Err(wrong("it is of another export".into()));
        }
        manifests.push(manifest);
    }
    Ok(manifests)
}

/// Writes an object that others write, too, unless what stands there already is as good.
async fn advance<T: DeserializeOwned>(
    bucket: &Bucket,
    key: &str,
    bytes: Vec<u8>,
    is_better_than: impl Fn(&T) -> bool,
) -> Result<(), Error> {
    for _ in 0..TRIES {
        let current = bucket.get(key).await?;
        let condition = match &current {
            None => Condition::Absent,
            Some(object) => match serde_json::from_slice::<T>(&object.bytes) {
                Ok(other) if !is_better_than(&other) => return Ok(()),
                // One that cannot be read tells nothing.
                Ok(_) | Err(_) => Condition::Unchanged(&object.etag),
            },
        };
        if bucket.put(key, bytes.clone().into(), condition).await? {
            return Ok(());
        }
    }
    Err(Error::new(Kind::Unavailable, format!("write {key}: other executions write it all the time")))
}
