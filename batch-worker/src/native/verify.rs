//! Verifying what AWS wrote by the list that was made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::failure::{Error, Kind, Result};
use domain::manifest::{Native, NativeObject};
use store::read::{Listed, Store};
use tokio_util::sync::CancellationToken;

use super::count::{AT_ONCE, Counted, count};
use super::format::{Content, PARQUET};
use super::reading::{Reading, native_objects};
use super::snapshot;
use crate::cli::Mode;
use crate::progress::Counters;

/// What was found equal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Verified {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) items: u64,
}

/// An export of AWS's own that is verified.
pub(crate) struct NativeExport<'a> {
    pub(crate) store: &'a Store,
    pub(crate) native: &'a Native,
    /// Where the manifest is.
    pub(crate) folder: &'a str,
    pub(crate) mode: Mode,
}

impl NativeExport<'_> {
    /// Compares every object with `listing`, whose own hash was right, and the listing with what is there. Differences
    /// are gathered.
    pub(crate) async fn verify(
        &self,
        listing: &[u8],
        stop: &CancellationToken,
        counters: &Arc<Counters>,
        differences: &mut Vec<String>,
    ) -> Result<Verified> {
        let Self { store, native, folder, mode } = *self;
        let listed = parse(native, listing)?;
        let there = native_objects(store, &native.prefix, folder).await?;
        let known: BTreeMap<&str, &NativeObject> = listed.iter().map(|object| (object.key.as_str(), object)).collect();
        let present: BTreeSet<&str> = there.iter().map(|object| object.key.as_str()).collect();
        for key in present.iter().filter(|key| !known.contains_key(**key)) {
            differences.push(format!("{} is there, and the export does not list it", store.locate(key)));
        }
        for key in known.keys().filter(|key| !present.contains(**key)) {
            differences.push(format!("{} is missing: it was removed after the export", store.locate(key)));
        }
        let mut work: Vec<(&Listed, Content)> = Vec::new();
        for object in &there {
            let Some(expected) = known.get(object.key.as_str()) else { continue };
            if object.held.bytes != expected.bytes {
                differences.push(format!(
                    "{} is {} bytes, the export says {}",
                    store.locate(&object.key),
                    object.held.bytes,
                    expected.bytes
                ));
                continue;
            }
            if mode == Mode::Checksum && object.held.etag.as_deref() != Some(expected.etag.as_str()) {
                let etag = object.held.etag.as_deref().unwrap_or("none");
                differences.push(format!(
                    "{} has the ETag {etag}, the export says {}",
                    store.locate(&object.key),
                    expected.etag
                ));
                continue;
            }
            let content =
                if expected.items.is_some() { Content::of(&native.format, &object.key) } else { Content::Opaque };
            work.push((object, content));
        }
        let mut verified = Verified { objects: work.len() as u64, ..Verified::default() };
        match mode {
            Mode::Checksum => verified.bytes = work.iter().map(|(object, _)| object.held.bytes).sum(),
            Mode::Readback => {
                let reading = Reading { store, counters: Arc::clone(counters), stop: stop.clone() };
                for chunk in work.chunks(AT_ONCE * 64) {
                    for ((object, _), counted) in chunk.iter().zip(read(&reading, chunk, differences).await?) {
                        let (Some(counted), Some(expected)) = (counted, known.get(object.key.as_str())) else {
                            continue;
                        };
                        compare(&store.locate(&object.key), expected, &counted, differences);
                        verified.bytes += counted.bytes;
                        verified.items += counted.items.unwrap_or_default();
                    }
                }
            }
        }
        let is_read = mode == Mode::Readback && differences.is_empty();
        if is_read && verified.items != native.items {
            differences.push(format!("its objects hold {} items, the manifest says {}", verified.items, native.items));
        }
        Ok(verified)
    }
}

/// Every object of a chunk, or `None` where its content is malformed.
async fn read(
    reading: &Reading<'_>,
    chunk: &[(&Listed, Content)],
    differences: &mut Vec<String>,
) -> Result<Vec<Option<Counted>>> {
    use futures_util::{StreamExt as _, stream};
    let results: Vec<Result<Counted>> = stream::iter(chunk.iter().copied())
        .map(|(object, content)| count(reading, object, content))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut counted = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(result) => counted.push(Some(result)),
            Err(error) if matches!(error.kind(), Kind::NativeExportFailed | Kind::VerificationFailed) => {
                differences.push(error.chain());
                counted.push(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(counted)
}

fn compare(location: &str, expected: &NativeObject, counted: &Counted, differences: &mut Vec<String>) {
    if counted.sha256 != expected.sha256 {
        differences.push(format!("{location} has the SHA-256 {}, the export says {}", counted.sha256, expected.sha256));
    } else if counted.items != expected.items {
        differences.push(format!("{location} holds {:?} items, the export says {:?}", counted.items, expected.items));
    }
}

/// The listing, which must agree with the manifest and name only what is the export's own.
fn parse(native: &Native, listing: &[u8]) -> Result<Vec<NativeObject>> {
    let contradiction = |what: String| Error::new(Kind::VerificationFailed, format!("the list of objects: {what}"));
    let mut objects: Vec<NativeObject> = Vec::new();
    for line in listing.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let object: NativeObject =
            serde_json::from_slice(line).map_err(|error| contradiction(format!("it is not readable: {error}")))?;
        if !object.key.starts_with(&native.prefix) {
            return Err(contradiction(format!("{} lies outside {}", object.key, native.prefix)));
        }
        if objects.last().is_some_and(|last| last.key >= object.key) {
            return Err(contradiction(format!("{} is not in order", object.key)));
        }
        objects.push(object);
    }
    let bytes: u64 = objects.iter().map(|object| object.bytes).sum();
    let items: u64 = objects.iter().filter_map(|object| object.items).sum();
    if (objects.len() as u64, bytes, items) != (native.objects, native.bytes, native.items) {
        return Err(contradiction(format!(
            "it has {} objects of {bytes} bytes with {items} items, the manifest says {} of {} with {}",
            objects.len(),
            native.objects,
            native.bytes,
            native.items
        )));
    }
    if native.format == PARQUET {
        let tables = snapshot::rows(&native.prefix, objects.iter().map(|object| (object.key.as_str(), object.items)));
        if tables != native.tables {
            return Err(contradiction("its tables have other rows than the manifest says".to_owned()));
        }
    }
    Ok(objects)
}
