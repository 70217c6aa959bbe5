//! A body that ends too early.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Frame;
use s3s::Body;

use crate::wire::Cut;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that fails after some bytes.
pub(super) struct CutBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    left: u64,
}

impl CutBody {
    pub(super) fn new(body: Body, after_bytes: u64) -> Self {
        use http_body_util::BodyExt as _;
        Self { inner: body.boxed_unsync(), left: after_bytes }
    }
}

impl hyper::body::Body for CutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err(Cut.into())));
        }
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
                    self.left -= take as u64;
                    Poll::Ready(Some(Ok(Frame::data(data.slice(..take)))))
                }
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            other => other,
        }
    }
}
