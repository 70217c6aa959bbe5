//! Bodies of S3 requests: aws-chunked decoding, and writing to a file while the checksums are computed.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use s3s::Body;
use s3s::dto::StreamingBlob;
use tokio::sync::mpsc;

use super::checksum::{Algorithm, Checksums, Hasher};

/// The trailers of a request, once its body has been read to the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(crate) fn get(&self) -> HeaderMap {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request's body that is lent to the handler: what the handler leaves is read and thrown away, because a client
/// that still sends when the connection closes may never see the answer.
#[derive(Clone)]
pub(super) struct Lent(Arc<Mutex<Body>>);

impl Lent {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    pub(super) async fn drain(mut self) {
        while let Some(Ok(_)) = self.frame().await {}
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        hyper::body::Body::size_hint(&*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What went wrong with a body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("read the request's body")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("decode the aws-chunked body: {0}")]
    Chunked(&'static str),
    #[error("write the body to {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the body ended after {got} of {expected} bytes")]
    Incomplete { got: u64, expected: u64 },
}

/// Decodes `Content-Encoding: aws-chunked`, signed (whose signatures are not checked) or not.
pub(crate) struct Chunked<S> {
    inner: S,
    buffer: BytesMut,
    state: ChunkState,
    trailers: Trailers,
}

enum ChunkState {
    Header,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

impl<S> Chunked<S> {
    pub(crate) fn new(inner: S, trailers: Trailers) -> Self {
        Self { inner, buffer: BytesMut::new(), state: ChunkState::Header, trailers }
    }

    /// A line without its end, if there is a whole one.
    fn line(&mut self) -> Option<BytesMut> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\r\n")?;
        let line = self.buffer.split_to(end);
        self.buffer.advance(2);
        Some(line)
    }

    /// One step over what is buffered: some data, an end, or the wish for more.
    fn step(&mut self) -> Result<Step, BodyError> {
        loop {
            match self.state {
                ChunkState::Header => {
                    let Some(line) = self.line() else { return Ok(Step::More) };
                    let text =
                        std::str::from_utf8(&line).map_err(|_| BodyError::Chunked("a chunk size is not text"))?;
                    let digits = text.split(';').next().unwrap_or_default().trim();
                    let size = u64::from_str_radix(digits, 16)
                        .map_err(|_| BodyError::Chunked("a chunk size is not a number"))?;
                    self.state = if size == 0 { ChunkState::Trailer } else { ChunkState::Data(size) };
                }
                ChunkState::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(Step::More);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let data = self.buffer.split_to(take).freeze();
                    let left = left - take as u64;
                    self.state = if left == 0 { ChunkState::DataEnd } else { ChunkState::Data(left) };
                    return Ok(Step::Data(data));
                }
                ChunkState::DataEnd => {
                    if self.buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    if &self.buffer[..2] != b"\r\n" {
                        return Err(BodyError::Chunked("a chunk is longer than it says"));
                    }
                    self.buffer.advance(2);
                    self.state = ChunkState::Header;
                }
                ChunkState::Trailer => {
                    let Some(line) = self.line() else { return Ok(Step::More) };
                    let text = String::from_utf8_lossy(&line).into_owned();
                    let Some((name, value)) = text.split_once(':') else {
                        self.state = ChunkState::Done;
                        continue;
                    };
                    let parsed = (http::HeaderName::try_from(name.trim()), value.trim().parse());
                    if let (Ok(name), Ok(value)) = parsed {
                        self.trailers.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
                    }
                }
                ChunkState::Done => return Ok(Step::End),
            }
        }
    }
}

enum Step {
    Data(Bytes),
    More,
    End,
}

impl<S, E> Stream for Chunked<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.step() {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::More) => match ready!(Pin::new(&mut self.inner).poll_next(context)) {
                    Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                    Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Read(error.into())))),
                    // Some clients end the trailer section without its empty line.
                    None if matches!(self.state, ChunkState::Trailer) && self.buffer.is_empty() => {
                        return Poll::Ready(None);
                    }
                    None if matches!(self.state, ChunkState::Trailer) => self.buffer.extend_from_slice(b"\r\n\r\n"),
                    None => return Poll::Ready(Some(Err(BodyError::Chunked("it ended within a chunk")))),
                },
            }
        }
    }
}

/// A body that was written to a file.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) size: u64,
    pub(crate) checksums: Checksums,
}

/// Writes a body to a new file, and computes its checksums. Holds a few chunks at most; on error the file is removed.
pub(crate) async fn receive(
    body: Option<StreamingBlob>,
    path: PathBuf,
    wanted: Vec<Algorithm>,
    expected: Option<u64>,
) -> Result<Received, BodyError> {
    let (sender, mut chunks) = mpsc::channel::<Bytes>(16);
    let target = path.clone();
    let writer = tokio::task::spawn_blocking(move || -> Result<Received, BodyError> {
        let failed = |source| BodyError::Write { path: target.clone(), source };
        let mut file = File::create(&target).map_err(failed)?;
        let mut hasher = Hasher::new(&wanted);
        let mut size = 0;
        while let Some(bytes) = chunks.blocking_recv() {
            hasher.update(&bytes);
            file.write_all(&bytes).map_err(failed)?;
            size += bytes.len() as u64;
        }
        Ok(Received { size, checksums: hasher.finish() })
    });
    let mut failure = None;
    if let Some(mut body) = body {
        while let Some(item) = body.next().await {
            match item {
                // A writer that has ended has failed; its error is what counts.
                Ok(bytes) => {
                    if sender.send(bytes).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    failure = Some(BodyError::Read(error));
                    break;
                }
            }
        }
    }
    drop(sender);
    let written = writer
        .await
        .unwrap_or_else(|error| Err(BodyError::Write { path: path.clone(), source: std::io::Error::other(error) }));
    let result = match (failure, written) {
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(received)) => match expected {
            Some(expected) if expected != received.size => Err(BodyError::Incomplete { got: received.size, expected }),
            _ => Ok(received),
        },
    };
    if result.is_err() {
        // What is left of a failed body is of no use; that it cannot be removed would not help the caller.
        std::fs::remove_file(&path).ok();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn decode(wire: &[u8], step: usize) -> (Result<Vec<u8>, BodyError>, HeaderMap) {
        let trailers = Trailers::default();
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            wire.chunks(step).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut stream = Chunked::new(futures_util::stream::iter(pieces), trailers.clone());
        let mut out = Vec::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(bytes) => out.extend_from_slice(&bytes),
                Err(error) => return (Err(error), trailers.get()),
            }
        }
        (Ok(out), trailers.get())
    }

    #[tokio::test]
    async fn chunks_and_trailers_come_apart_at_any_split() {
        let wire = b"5\r\nhello\r\n6;chunk-signature=ab\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for step in [1, 2, 3, 7, 100] {
            let (body, trailers) = decode(wire, step).await;
            assert_eq!(body.unwrap(), b"hello world", "step {step}");
            assert_eq!(trailers["x-amz-checksum-crc32"], "AAAAAA==");
        }
    }

    #[tokio::test]
    async fn a_cut_body_is_an_error() {
        assert!(decode(b"5\r\nhel", 100).await.0.is_err());
        assert!(decode(b"5\r\nhello\r\n", 100).await.0.is_err());
        assert!(decode(b"5\r\nhellooo\r\n0\r\n\r\n", 100).await.0.is_err());
    }
}
