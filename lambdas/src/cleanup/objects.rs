//! What a failed export left in the bucket: unfinished uploads, objects without a manifest, last words.
//!
//! Two rules keep a finished or a newer export whole. Nothing is touched where a manifest is. And only what was listed
//! *before* the claim was seen to be this execution's is removed, each object under the condition that it is still the
//! one listed: a newer execution under the same prefix can only begin after the claim has gone.

use std::collections::BTreeMap;

use aws::bucket::{Bucket, Listed, UnfinishedUpload};
use domain::failure::{Error, Failure, Kind};
use domain::key::{ERROR, NATIVE_LISTING};
use domain::manifest::Manifest;
use domain::plan::{Plan, Unit};
use domain::source::Source;

use super::turn::{Scope, Turn};
use crate::claim;

/// The workers' last words, by unit key. They only explain: one that cannot be read is as good as none.
pub(super) async fn last_words(bucket: &Bucket, plan: &Plan) -> BTreeMap<String, Failure> {
    let mut words = BTreeMap::new();
    for unit in &plan.units {
        if let Ok(Some(object)) = bucket.get(&unit.prefix.key(ERROR)).await
            && let Ok(word) = serde_json::from_slice(&object.bytes)
        {
            words.insert(unit.key.clone(), word);
        }
    }
    words
}

#[derive(Default)]
struct Found {
    uploads: Vec<UnfinishedUpload>,
    objects: Vec<Listed>,
}

pub(super) async fn remove(bucket: &Bucket, plan: &Plan, scope: Scope, turn: &mut Turn) {
    let mut found = Found::default();
    for unit in &plan.units {
        let result = find(bucket, unit, scope, &mut found).await;
        turn.note(result);
    }
    if found.uploads.is_empty() && found.objects.is_empty() {
        return;
    }
    match claim::is_held(bucket, &plan.claim_key, &plan.execution).await {
        Ok(true) => {}
        // Somebody finished this cleanup, and what is there now may belong to a newer execution.
        Ok(false) => return,
        Err(error) => {
            turn.errors.push(error);
            return;
        }
    }
    for upload in &found.uploads {
        match bucket.abort(upload).await {
            Ok(()) => turn.removed.push(format!("upload {}", upload.key)),
            Err(error) => turn.errors.push(error),
        }
    }
    for object in &found.objects {
        let Some(etag) = &object.held.etag else {
            let what = format!("list {}: it has no ETag, without which nothing is deleted", bucket.uri(&object.key));
            turn.errors.push(Error::new(Kind::Internal, what));
            continue;
        };
        match bucket.delete(&object.key, etag).await {
            Ok(true) => turn.removed.push(format!("object {}", object.key)),
            Ok(false) => {}
            Err(error) => turn.errors.push(error),
        }
    }
}

/// Where the objects are that a manifest vouches for.
async fn native_prefix(bucket: &Bucket, manifest: &str) -> Result<Option<String>, Error> {
    let Some(object) = bucket.get(manifest).await? else {
        return Ok(None);
    };
    // One that cannot be read vouches for nothing, and nothing is removed by it.
    let manifest = Manifest::parse(&object.bytes, "").ok();
    Ok(manifest.and_then(|manifest| manifest.native).map(|native| native.prefix))
}

async fn find(bucket: &Bucket, unit: &Unit, scope: Scope, found: &mut Found) -> Result<(), Error> {
    for prefix in [&unit.prefix, &unit.index_prefix] {
        found.uploads.extend(bucket.list_uploads(prefix.as_str()).await?);
    }
    let objects = bucket.list(unit.prefix.as_str()).await?;
    let manifest = unit.manifest_key();
    let last_word = unit.prefix.key(ERROR);
    let is_finished = objects.iter().any(|object| object.key == manifest);
    let goes = |object: &Listed| {
        if object.key == last_word { scope.last_words } else { scope.half_objects && !is_finished }
    };
    let written_by_aws = match &unit.source {
        Source::SnapshotExport(_) | Source::Table(_) if is_finished => native_prefix(bucket, &manifest).await?,
        Source::Volume(_) | Source::Database(_) | Source::SnapshotExport(_) | Source::Table(_) => None,
    };
    let listing = unit.prefix.key(NATIVE_LISTING);
    // AWS wrote it all again for an execution that found the export finished by an earlier one.
    let is_second = |object: &Listed| {
        let is_ours = [&manifest, &last_word, &listing].contains(&&object.key);
        written_by_aws.as_ref().is_some_and(|prefix| !is_ours && !object.key.starts_with(prefix.as_str()))
    };
    found.objects.extend(objects.into_iter().filter(|object| goes(object) || is_second(object)));
    if scope.half_objects && !is_finished {
        found.objects.extend(bucket.list(unit.index_prefix.as_str()).await?);
    }
    Ok(())
}
