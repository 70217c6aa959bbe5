//! The frame of every export, whatever is exported: read `export` first, then [`disk`].
//!
//! Memory, of 512 MiB in all: parts of the upload 192 ([`PARTS_MEMORY_BYTES`](crate::sink::PARTS_MEMORY_BYTES)), read-ahead 32 (at most 128, a setting),
//! members that are compressed 64, the pipe between the two worlds 8 and one member. What is left is for the walk's bookkeeping, row groups of the index,
//! and the stacks of the threads. Artifacts of a disk are written one after the other, so none of this is needed twice; those of a database that are
//! written at once share it.

pub(crate) mod artifact;
pub mod disk;
mod finish;
mod plan;

use bytes::Bytes;
use domain::failure::{Failure, Kind};
use domain::key;
use domain::manifest::{Artifact, InvalidManifest, Manifest, Native, Skipped};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::config::Place;
use crate::destination::Destination;
use crate::sink::{DirectorySink, Existing, ObjectSink, Put, S3Sink};
use domain::failure::{Error, Result};

pub(crate) use self::plan::Assignment;

/// Bytes of members that may be under way between the archive writer and its compressors.
const COMPRESS_BUDGET_BYTES: usize = 64 << 20;

/// What an export did, printed as one line of JSON.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The manifest.
    pub manifest: String,
    /// Whether it was there already.
    pub already_done: bool,
    /// Archives, images and dumps.
    pub artifacts: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes within them.
    pub uncompressed_bytes: u64,
    /// How long the worker ran, in milliseconds.
    pub duration_ms: u64,
}

/// Runs `work` unless the export is finished already, and says how it ended.
///
/// A failure is also left as `error.json` beside the artifacts when a state machine waits for it.
pub(crate) async fn export(
    place: &Place,
    needs_aws: bool,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Run<'_>) -> Result<Manifest>,
) -> Result<Report> {
    let aws = if needs_aws { Some(Aws::load().await) } else { None };
    let sink = open_sink(place, aws.as_ref())?;
    let result = unless_finished(place, aws.as_ref(), sink.as_ref(), stop, work).await;
    if let Err(error) = &result
        && (place.plan.is_some() || place.in_batch)
    {
        leave_word(sink.as_ref(), &place.destination, error).await;
    }
    result
}

fn open_sink(place: &Place, aws: Option<&Aws>) -> Result<Box<dyn ObjectSink>> {
    match (&place.destination, aws) {
        (Destination::Directory(path), _) => Ok(Box::new(DirectorySink::new(path))),
        (Destination::S3 { bucket, .. }, Some(aws)) => {
            Ok(Box::new(S3Sink::new(aws.s3(), bucket.clone(), place.bucket_owner.clone())))
        }
        (Destination::S3 { .. }, None) => Err(Error::new(Kind::Internal, "an S3 destination without AWS")),
    }
}

/// The last word of a failing worker, which Cleanup reads. A worker that was only stopped is tried again and says nothing.
pub(crate) async fn leave_word(sink: &dyn ObjectSink, destination: &Destination, error: &Error) {
    let Destination::S3 { prefix, .. } = destination else {
        return;
    };
    if matches!(error.kind(), Kind::Interrupted | Kind::BucketNotFound | Kind::BucketNotOwned) {
        return;
    }
    let key = format!("{prefix}{}", key::ERROR);
    let word = serde_json::to_vec(&Failure::new(error.kind(), error.chain())).expect("two strings are always JSON");
    if let Err(consequence) = sink.put(&key, word.into(), Existing::Replace).await {
        tracing::warn!(error = consequence.chain(), "the failure could not be left in the bucket");
    }
}

async fn unless_finished(
    place: &Place,
    aws: Option<&Aws>,
    sink: &dyn ObjectSink,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Run<'_>) -> Result<Manifest>,
) -> Result<Report> {
    let started = Timestamp::now();
    let clock = std::time::Instant::now();
    stoppable(stop, sink.preflight()).await?;
    let assignment = stoppable(stop, Assignment::read(place, sink)).await?;
    let manifest_key = format!("{}{}", place.destination.prefix(), key::MANIFEST);
    let found = stoppable(stop, sink.read(&manifest_key)).await?;
    if let Some(found) = found {
        let manifest = same_export(&found, place, assignment.as_ref(), &sink.locate(&manifest_key))?;
        tracing::info!(manifest = sink.locate(&manifest_key), "this export is finished: nothing to do");
        return Ok(report(sink.locate(&manifest_key), &manifest, true, clock));
    }
    let manifest = work(&Run { place, aws, sink, stop, assignment, started, clock }).await?;
    Ok(report(sink.locate(&manifest_key), &manifest, false, clock))
}

fn report(manifest: String, content: &Manifest, already_done: bool, clock: std::time::Instant) -> Report {
    Report {
        manifest,
        already_done,
        artifacts: content.artifacts.len(),
        bytes: content.artifacts.iter().map(|artifact| artifact.bytes).sum::<u64>()
            + content.native.as_ref().map_or(0, |native| native.bytes),
        uncompressed_bytes: content.artifacts.iter().map(|artifact| artifact.uncompressed_bytes).sum(),
        duration_ms: milliseconds(clock.elapsed()),
    }
}

/// Waits for `work` unless the worker is asked to stop first. Only for work that leaves nothing behind when it is dropped.
pub(crate) async fn stoppable<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = work => result,
    }
}

/// A manifest that is there already is either this very export's, or a reason to refuse.
fn same_export(found: &Bytes, place: &Place, assignment: Option<&Assignment>, location: &str) -> Result<Manifest> {
    let refuse = |why: String| {
        Error::new(
            Kind::InvalidSettings,
            format!("{location} is there already and {why}: it is never replaced, choose another --dest"),
        )
    };
    let manifest = Manifest::parse(found, place.destination.prefix()).map_err(|error| match error {
        InvalidManifest::UnknownSchema(version) => refuse(format!("has schema version {version}")),
        other => refuse(format!("cannot be believed ({other})")),
    })?;
    let ours = assignment.map(|assignment| &assignment.plan.export_id);
    match (&manifest.export_id, ours) {
        (Some(theirs), Some(ours)) if theirs == ours => Ok(manifest),
        (Some(theirs), _) => Err(refuse(format!("belongs to {theirs}"))),
        (None, _) => Err(refuse("belongs to an export by hand".to_owned())),
    }
}

/// One run of the worker on one export.
pub(crate) struct Run<'a> {
    pub(crate) place: &'a Place,
    aws: Option<&'a Aws>,
    pub(crate) sink: &'a dyn ObjectSink,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) assignment: Option<Assignment>,
    started: Timestamp,
    clock: std::time::Instant,
}

/// What an export adds up to.
#[derive(Debug, Default)]
pub(crate) struct Harvest {
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) native: Option<Native>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) notes: Vec<String>,
}

impl Run<'_> {
    /// AWS, for what needs it.
    pub(crate) fn aws(&self) -> Result<&Aws> {
        self.aws.ok_or_else(|| Error::new(Kind::Internal, "a run without AWS that needs it"))
    }
}

/// Runs `work` on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, ::disk::Error> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal(what, panic))?.map_err(Error::from)
}

pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A manifest is written once: what is there already is compared, not replaced.
async fn put_manifest(sink: &dyn ObjectSink, key: &str, manifest: &Manifest) -> Result<()> {
    match sink.put(key, manifest.to_json().into(), Existing::Keep).await? {
        Put::Written => Ok(()),
        Put::AlreadyThere => Err(Error::new(
            Kind::InvalidSettings,
            format!(
                "{} appeared while this export ran, and is never replaced: two workers wrote to one prefix",
                sink.locate(key)
            ),
        )),
    }
}
