//! What every export does, whatever is exported: nothing twice, the manifest last, a word for whoever waits.

use aws::Bucket;
use aws::config::Patience;
use aws_config::SdkConfig;
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::key;
use domain::manifest::{InvalidManifest, Manifest};
use jiff::Timestamp;
use store::Folder;
use store::write::{DirectorySink, ObjectSink, S3Sink};
use tokio_util::sync::CancellationToken;

use super::assignment::Assignment;
use super::run::{Run, milliseconds, stoppable};
use super::word::leave_word;
use crate::config::Place;

/// What an export did, printed as one line of JSON.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
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
    let aws = if needs_aws { Some(aws::config::load(Patience::Worker).await) } else { None };
    let sink = open_sink(place, aws.as_ref())?;
    let result = unless_finished(place, aws.as_ref(), sink.as_ref(), stop, work).await;
    if let Err(error) = &result
        && (place.plan.is_some() || place.in_batch)
    {
        leave_word(sink.as_ref(), &place.destination, error).await;
    }
    result
}

fn open_sink(place: &Place, aws: Option<&SdkConfig>) -> Result<Box<dyn ObjectSink>> {
    match (&place.destination, aws) {
        (Folder::Directory(path), _) => Ok(Box::new(DirectorySink::new(path))),
        (Folder::S3 { bucket, .. }, Some(aws)) => {
            Ok(Box::new(S3Sink::new(Bucket::new(&aws::config::s3(aws), bucket, place.bucket_owner.as_ref()))))
        }
        (Folder::S3 { .. }, None) => Err(Error::new(Kind::Internal, "an S3 destination without AWS")),
    }
}

async fn unless_finished(
    place: &Place,
    aws: Option<&SdkConfig>,
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
