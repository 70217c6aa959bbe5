//! One object as a stream, by ranged reads of which several are under way.
//!
//! Every read names the ETag that was seen first, so that an object that is replaced midway is noticed and never mixed.

use std::io::{self, Read};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use bytes::{Buf as _, Bytes};
use domain::failure::Kind;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::store::Failure;
use crate::aws::{sdk_error, status};
use domain::failure::{Error, Result};

/// Bytes of one read. Eight of them and what the channel holds stay below 100 MiB.
const RANGE_BYTES: u64 = 8 << 20;
const IN_FLIGHT: usize = 8;
const WAITING: usize = 2;
/// The SDK retries requests; a body that breaks off is retried here.
const BODY_ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The object that is read.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) owner: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) bytes: u64,
}

/// The reading end. Dropping it ends the download.
pub(super) struct Download {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
    left: u64,
}

/// Begins to download `object`. A failure is left in `failure`, and the stream then breaks.
pub(super) fn start(object: Object, stop: CancellationToken, failure: Failure) -> Download {
    let (sender, chunks) = mpsc::channel(WAITING);
    let left = object.bytes;
    tokio::spawn(async move {
        let starts = (0..object.bytes).step_by(usize::try_from(RANGE_BYTES).unwrap_or(usize::MAX));
        let mut ranges = stream::iter(starts)
            .map(|start| object.range(start, RANGE_BYTES.min(object.bytes - start)))
            .buffered(IN_FLIGHT);
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
            failure.set(error);
        }
    });
    Download { chunks, current: Bytes::new(), left }
}

impl Object {
    fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    async fn range(&self, start: u64, bytes: u64) -> Result<Bytes> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.try_range(start, bytes).await {
                Err(error) if error.kind() == Kind::Unavailable && attempt < BODY_ATTEMPTS => {
                    tracing::debug!(error = error.chain(), "reading again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                result => return result,
            }
        }
        Err(Error::new(Kind::Internal, "a loop without an end ended"))
    }

    async fn try_range(&self, start: u64, bytes: u64) -> Result<Bytes> {
        let what = || format!("read {} at byte {start}", self.uri());
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .range(format!("bytes={start}-{}", start + bytes - 1))
            .set_if_match(self.etag.clone())
            .set_expected_bucket_owner(self.owner.clone())
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error) if matches!(status(&error), Some(404 | 412)) => {
                let fate = if status(&error) == Some(412) { "replaced" } else { "removed" };
                return Err(Error::new(
                    Kind::VerificationFailed,
                    format!("{} was {fate} while it was read", self.uri()),
                ));
            }
            Err(error) if error.code() == Some("InvalidObjectState") => {
                return Err(Error::new(
                    Kind::SourceNotFound,
                    format!("{} is archived: restore it first (aws s3api restore-object), then verify", self.uri()),
                ));
            }
            Err(error) => return Err(sdk_error(what(), &error)),
        };
        let body = object
            .body
            .collect()
            .await
            .map_err(|error| Error::caused_by(Kind::Unavailable, what(), error))?
            .into_bytes();
        if body.len() as u64 == bytes {
            return Ok(body);
        }
        Err(Error::new(Kind::Unavailable, format!("{}: {} bytes came, {bytes} were asked for", what(), body.len())))
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
