//! One disk to one export: read [`run`] first.
//!
//! Memory, of 512 MiB in all: parts of the upload 192 ([`PARTS_MEMORY_BYTES`](crate::sink::PARTS_MEMORY_BYTES)), read-ahead 32 (at most 128, a setting),
//! members that are compressed 64, the pipe between the two worlds 8 and one member. What is left is for the walk's bookkeeping, row groups of the index,
//! and the stacks of the threads. Artifacts are written one after the other, so none of this is needed twice.

mod artifact;
mod finish;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use domain::failure::{Failure, Kind};
use domain::key;
use domain::manifest::{Artifact, InvalidManifest, Manifest, Skipped};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::attach::identity::Instance;
use crate::attach::{Attachment, Ownership, Request, Timing, attach};
use crate::aws::Aws;
use crate::config::{ExportConfig, Subject};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::progress::{Counters, Reporter};
use crate::sink::{DirectorySink, Existing, ObjectSink, Put, S3Sink};
use crate::source::{Access, Disk, Fate, Layout, Opened};

use self::artifact::Job;
use self::plan::Assignment;

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
    /// Archives and images.
    pub artifacts: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes within them.
    pub uncompressed_bytes: u64,
    /// How long the worker ran, in milliseconds.
    pub duration_ms: u64,
}

/// Exports a volume or device as `config` says.
///
/// Whatever happens, the volume is detached, mounts and loop devices are gone and unfinished uploads aborted when this returns. A failure is
/// also left as `error.json` beside the artifacts when a state machine waits for it.
pub async fn run(config: &ExportConfig, stop: &CancellationToken) -> Result<Report> {
    let aws = match (&config.destination, &config.subject) {
        (Destination::Directory(_), Subject::Device(_)) => None,
        _ => Some(Aws::load().await),
    };
    let sink = open_sink(config, aws.as_ref())?;
    let result = export(config, aws.as_ref(), sink.as_ref(), stop).await;
    if let Err(error) = &result
        && (config.plan.is_some() || config.in_batch)
    {
        leave_word(sink.as_ref(), &config.destination, error).await;
    }
    result
}

fn open_sink(config: &ExportConfig, aws: Option<&Aws>) -> Result<Box<dyn ObjectSink>> {
    match (&config.destination, aws) {
        (Destination::Directory(path), _) => Ok(Box::new(DirectorySink::new(path))),
        (Destination::S3 { bucket, .. }, Some(aws)) => {
            Ok(Box::new(S3Sink::new(aws.s3(), bucket.clone(), config.bucket_owner.clone())))
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

async fn export(
    config: &ExportConfig,
    aws: Option<&Aws>,
    sink: &dyn ObjectSink,
    stop: &CancellationToken,
) -> Result<Report> {
    let started = Timestamp::now();
    let clock = std::time::Instant::now();
    stoppable(stop, sink.preflight()).await?;
    let assignment = stoppable(stop, Assignment::read(config, sink)).await?;
    let manifest_key = format!("{}{}", config.destination.prefix(), key::MANIFEST);
    let found = stoppable(stop, sink.read(&manifest_key)).await?;
    if let Some(found) = found {
        let manifest = same_export(&found, config, assignment.as_ref(), &sink.locate(&manifest_key))?;
        tracing::info!(manifest = sink.locate(&manifest_key), "this export is finished: nothing to do");
        return Ok(report(sink.locate(&manifest_key), &manifest, true, clock));
    }
    let run = Run { config, sink, stop, assignment, started, clock };
    let manifest = match &config.subject {
        Subject::Device(path) => run.disk(path, Access::Untouched, None).await?,
        Subject::Volume(volume) => {
            let aws = aws.ok_or_else(|| Error::new(Kind::Internal, "a volume without AWS"))?;
            let instance = stoppable(stop, Instance::discover(&aws.instance_metadata())).await?;
            let ownership = run.assignment.as_ref().map(|assignment| Ownership {
                export_id: assignment.plan.export_id.clone(),
                execution: assignment.plan.execution.clone(),
            });
            let request = Request {
                ec2: &aws.ec2(),
                volume,
                instance: &instance,
                ownership: ownership.as_ref(),
                devices: &config.devices,
                timing: Timing::default(),
            };
            let attachment = attach(&request, stop).await?;
            let result = run.disk(attachment.path(), Access::ThrowAway, Some(&attachment)).await;
            // The export stands or falls without this: Cleanup detaches what stays, by tag.
            if let Err(error) = attachment.detach().await {
                tracing::warn!(error = error.chain(), "the volume could not be detached");
            }
            result?
        }
    };
    Ok(report(sink.locate(&manifest_key), &manifest, false, clock))
}

fn report(manifest: String, content: &Manifest, already_done: bool, clock: std::time::Instant) -> Report {
    Report {
        manifest,
        already_done,
        artifacts: content.artifacts.len(),
        bytes: content.artifacts.iter().map(|artifact| artifact.bytes).sum(),
        uncompressed_bytes: content.artifacts.iter().map(|artifact| artifact.uncompressed_bytes).sum(),
        duration_ms: milliseconds(clock.elapsed()),
    }
}

/// Waits for `work` unless the worker is asked to stop first. Only for work that leaves nothing behind when it is dropped.
async fn stoppable<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = work => result,
    }
}

/// A manifest that is there already is either this very export's, or a reason to refuse.
fn same_export(
    found: &Bytes,
    config: &ExportConfig,
    assignment: Option<&Assignment>,
    location: &str,
) -> Result<Manifest> {
    let refuse = |why: String| {
        Error::new(
            Kind::InvalidSettings,
            format!("{location} is there already and {why}: it is never replaced, choose another --dest"),
        )
    };
    let manifest = Manifest::parse(found, config.destination.prefix()).map_err(|error| match error {
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

struct Run<'a> {
    config: &'a ExportConfig,
    sink: &'a dyn ObjectSink,
    stop: &'a CancellationToken,
    assignment: Option<Assignment>,
    started: Timestamp,
    clock: std::time::Instant,
}

/// What the artifacts of a disk add up to.
#[derive(Debug, Default)]
struct Harvest {
    artifacts: Vec<Artifact>,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
}

impl Run<'_> {
    /// Exports the disk at `path`, manifest last.
    async fn disk(&self, path: &Path, access: Access, attachment: Option<&Attachment>) -> Result<Manifest> {
        let (disk, mut layout) = self.open(path.to_owned(), access).await?;
        let counters = Arc::new(Counters::default());
        let reporter = Reporter::start(Arc::clone(&counters));
        // The reading threads poll a flag of their own.
        let watch = {
            let (stop, counters) = (self.stop.clone(), Arc::clone(&counters));
            tokio::spawn(async move {
                stop.cancelled().await;
                counters.reading.cancel();
            })
        };
        let result = self.sections(&disk, &mut layout, &counters).await;
        watch.abort();
        let result = match result {
            Ok(harvest) => self.finish(&disk, &layout, harvest, &counters, attachment).await,
            Err(error) => Err(error),
        };
        reporter.finish();
        result
    }

    async fn open(&self, path: PathBuf, access: Access) -> Result<(Arc<Disk>, Layout)> {
        let expect = self.config.expect_bytes;
        blocking("open the disk", move || {
            let disk = Disk::open(&path, access, expect)?;
            let layout = Layout::read(&disk)?;
            Ok((Arc::new(disk), layout))
        })
        .await
    }

    async fn sections(&self, disk: &Arc<Disk>, layout: &mut Layout, counters: &Arc<Counters>) -> Result<Harvest> {
        let mut harvest = Harvest::default();
        for section in std::mem::take(&mut layout.sections) {
            if self.stop.is_cancelled() {
                return Err(Error::interrupted());
            }
            let opened = {
                let (disk, section) = (Arc::clone(disk), section.clone());
                blocking("open a partition", move || section.open(&disk)).await?
            };
            let fate = match opened {
                Opened::Skipped(skipped) => {
                    tracing::info!(section = section.name, reason = skipped.reason, "left out");
                    harvest.skipped.push(Skipped { source: skipped.section.source, reason: skipped.reason.clone() });
                    Fate::Skipped(skipped.reason)
                }
                Opened::Filesystem(mounted) => {
                    let used = mounted.used_bytes().unwrap_or_default();
                    counters.reading.add_total_bytes(used);
                    Fate::Artifact(self.artifact(Job::filesystem(mounted), disk, counters, &mut harvest).await?)
                }
                Opened::Image(image) => {
                    counters.reading.add_total_bytes(image.section.source.size_bytes);
                    Fate::Artifact(self.artifact(Job::image(image), disk, counters, &mut harvest).await?)
                }
            };
            layout.table.set_fate(&section, fate);
        }
        Ok(harvest)
    }
}

/// Runs `work` on a thread of its own.
async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, crate::source::SourceError> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal(what, panic))?.map_err(Error::from)
}

impl From<crate::source::SourceError> for Error {
    fn from(error: crate::source::SourceError) -> Self {
        use crate::source::SourceError;
        match error {
            SourceError::Cancelled => Self::interrupted(),
            error => {
                let source = std::error::Error::source(&error).map(domain::failure::chain);
                match source {
                    Some(source) => Self::caused_by(error.kind(), error.to_string(), source),
                    None => Self::new(error.kind(), error.to_string()),
                }
            }
        }
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
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
