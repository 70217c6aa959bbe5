//! Entering a finished export: its row in the catalog and the pointer to the newest.
//!
//! Done before the recovery point is deleted and again at the conclusion, each time from what the manifests say. A row only ever learns more.

use domain::conclusion::{CatalogRow, Fate, Latest};
use domain::failure::{Kind, chain};
use domain::manifest::Manifest;
use domain::plan::Plan;
use jiff::Timestamp;

use crate::bucket::{Bucket, Condition};
use crate::error::Error;

/// How often an object that others write, too, is tried for.
const TRIES: u32 = 5;

/// What was entered, and from what.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The row.
    pub row: CatalogRow,
    /// The manifests, in the order of the plan's volumes.
    pub manifests: Vec<Manifest>,
}

/// Enters the export of `plan`, whose every volume must have its manifest.
pub async fn enter(bucket: &Bucket, plan: &Plan, fate: &Fate, now: Timestamp) -> Result<Entry, Error> {
    let manifests = manifests(bucket, plan).await?;
    let row = CatalogRow::new(plan, &manifests, fate, now);
    write_row(bucket, &plan.catalog_key, &row).await?;
    move_pointer(bucket, plan, &row.latest(&plan.catalog_key)).await?;
    Ok(Entry { row, manifests })
}

async fn manifests(bucket: &Bucket, plan: &Plan) -> Result<Vec<Manifest>, Error> {
    let mut manifests = Vec::new();
    for volume in &plan.volumes {
        let key = volume.manifest_key();
        let wrong = |why: String| Error::new(Kind::VerificationFailed, format!("read the manifest {key}: {why}"));
        let object = bucket.get(&key).await?.ok_or_else(|| wrong("it is not there".into()))?;
        let manifest = Manifest::parse(&object.bytes, volume.prefix.as_str()).map_err(|error| wrong(chain(&error)))?;
        if manifest.export_id.as_ref() != Some(&plan.export_id) {
            return Err(wrong("it is of another export".into()));
        }
        manifests.push(manifest);
    }
    Ok(manifests)
}

async fn write_row(bucket: &Bucket, key: &str, row: &CatalogRow) -> Result<(), Error> {
    for _ in 0..TRIES {
        let current = bucket.get(key).await?;
        let condition = match &current {
            None => Condition::Absent,
            Some(object) => match serde_json::from_slice::<CatalogRow>(&object.bytes) {
                Ok(other) if !row.tells_more_than(&other) => return Ok(()),
                // One that cannot be read tells nothing.
                Ok(_) | Err(_) => Condition::Unchanged(&object.etag),
            },
        };
        if bucket.put(key, row.to_json_line(), condition).await? {
            return Ok(());
        }
    }
    Err(Error::new(Kind::Unavailable, format!("enter the row {key}: others write it all the time")))
}

async fn move_pointer(bucket: &Bucket, plan: &Plan, latest: &Latest) -> Result<(), Error> {
    for _ in 0..TRIES {
        let current = bucket.get(&plan.latest_key).await?;
        let condition = match &current {
            None => Condition::Absent,
            Some(object) => match serde_json::from_slice::<Latest>(&object.bytes) {
                Ok(other) if !latest.supersedes(&other) => return Ok(()),
                // One that cannot be read points nowhere.
                Ok(_) | Err(_) => Condition::Unchanged(&object.etag),
            },
        };
        if bucket.put(&plan.latest_key, latest.to_json(), condition).await? {
            return Ok(());
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!("move the pointer {}: other exports move it all the time", plan.latest_key),
    ))
}
