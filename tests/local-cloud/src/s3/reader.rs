//! Reading an object's bytes as a stream.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::store::Object;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// A range of an object's bytes, read by a thread of its own a few chunks ahead.
pub(super) struct ObjectStream(mpsc::Receiver<std::io::Result<Bytes>>);

impl ObjectStream {
    pub(super) fn new(object: Arc<Object>, range: Range<u64>) -> Self {
        let (sender, receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&object, range, &sender) {
                // Nobody listens any more: then nobody needs the error either.
                sender.blocking_send(Err(error)).ok();
            }
        });
        Self(receiver)
    }
}

fn read(object: &Object, range: Range<u64>, sender: &mpsc::Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
    let mut start = 0;
    for piece in &object.pieces {
        let end = start + piece.size;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            let mut file = File::open(&piece.path)?;
            file.seek(SeekFrom::Start(from - start))?;
            let mut left = to - from;
            while left > 0 {
                let want = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                let mut buffer = vec![0; want];
                file.read_exact(&mut buffer)?;
                if sender.blocking_send(Ok(buffer.into())).is_err() {
                    return Ok(());
                }
                left -= want as u64;
            }
        }
        start = end;
    }
    Ok(())
}

impl Stream for ObjectStream {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
