//! Bodies that do not arrive as they were sent, and nobody on the way tells.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, SizeHint};
use s3s::Body;

use crate::wire::Cut;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body whose first byte has a wrong bit.
pub(super) struct DamagedBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    damaged: bool,
}

impl DamagedBody {
    pub(super) fn new(body: Body) -> Self {
        Self { inner: body.boxed_unsync(), damaged: false }
    }

    /// The same bytes, but for a bit of the first.
    pub(super) fn damage(bytes: Bytes) -> Bytes {
        let mut damaged = BytesMut::from(bytes);
        if let Some(first) = damaged.first_mut() {
            *first ^= 1;
        }
        damaged.freeze()
    }
}

impl hyper::body::Body for DamagedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if self.damaged {
            return polled;
        }
        polled.map_ok(|frame| {
            self.damaged |= frame.data_ref().is_some_and(|data| !data.is_empty());
            frame.map_data(Self::damage)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The same response with half of its body, which says that this is all.
pub(super) async fn halve(response: Response<Body>) -> Result<Response<Body>, Cut> {
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(body.slice(..body.len() / 2))))
}
