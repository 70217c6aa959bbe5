//! One object as a stream, by ranged reads of which several are under way.
//!
//! Every read names the ETag that was seen first, so that an object that is replaced midway is noticed and never mixed.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws::Bucket;
use bytes::{Buf as _, Bytes};
use domain::failure::{Error, Kind, Result};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes of one read. Eight of them and what the channel holds stay below 100 MiB.
const RANGE_BYTES: u64 = 8 << 20;
const IN_FLIGHT: usize = 8;
const WAITING: usize = 2;
/// The SDK retries requests; a body that breaks off is retried here.
const BODY_ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Where a download leaves the reason why its stream broke.
#[derive(Debug, Clone, Default)]
pub struct Breakage(Arc<Mutex<Option<Error>>>);

impl Breakage {
    pub(super) fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The reason, once.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What is read of an object.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) bucket: Bucket,
    pub(super) key: String,
    pub(super) etag: Option<String>,
    pub(super) range: Range<u64>,
}

/// The reading end. Dropping it ends the download.
pub(super) struct Download {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
    left: u64,
}

/// Begins to download `source`. A failure is left in `breakage`, and the stream then breaks.
pub(super) fn start(source: Source, stop: CancellationToken, breakage: Breakage) -> Download {
    let (sender, chunks) = mpsc::channel(WAITING);
    let Range { start, end } = source.range.clone();
    tokio::spawn(async move {
        let starts = (start..end).step_by(usize::try_from(RANGE_BYTES).unwrap_or(usize::MAX));
        let mut ranges =
            stream::iter(starts).map(|start| source.read(start..end.min(start + RANGE_BYTES))).buffered(IN_FLIGHT);
        let send = async {
            while let Some(range) = ranges.next().await {
                // The reader may leave early: it has its reasons.
                if sender.send(range?).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let result: Result<()> = tokio::select! {
            () = stop.cancelled() => Err(Error::interrupted()),
            result = send => result,
        };
        if let Err(error) = result {
            breakage.set(error);
        }
    });
    Download { chunks, current: Bytes::new(), left: end.saturating_sub(start) }
}

impl Source {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..BODY_ATTEMPTS {
            match self.bucket.range(&self.key, range.clone(), self.etag.as_deref()).await {
                Err(error) if error.kind() == Kind::Unavailable => {
                    tracing::debug!(error = error.chain(), "reading again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        self.bucket.range(&self.key, range, self.etag.as_deref()).await
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None if self.left == 0 => return Ok(0),
                None => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the download broke off")),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}
