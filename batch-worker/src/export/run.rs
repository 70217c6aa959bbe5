//! One run of the worker on one export, and what it adds up to.

use aws_config::SdkConfig;
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Artifact, Native, Skipped};
use jiff::Timestamp;
use store::write::ObjectSink;
use tokio_util::sync::CancellationToken;

use super::assignment::Assignment;
use crate::config::Place;

/// One run of the worker on one export.
pub(crate) struct Run<'a> {
    pub(crate) place: &'a Place,
    pub(super) aws: Option<&'a SdkConfig>,
    pub(crate) sink: &'a dyn ObjectSink,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) assignment: Option<Assignment>,
    pub(super) started: Timestamp,
    pub(super) clock: std::time::Instant,
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
    pub(crate) fn aws(&self) -> Result<&SdkConfig> {
        self.aws.ok_or_else(|| Error::new(Kind::Internal, "a run without AWS that needs it"))
    }
}

/// Waits for `work` unless the worker is asked to stop first. Only for work that leaves nothing behind when it is
/// dropped.
pub(crate) async fn stoppable<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = work => result,
    }
}

/// Runs `work` on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, disk::Error> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal(what, panic))?.map_err(Error::from)
}

pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
