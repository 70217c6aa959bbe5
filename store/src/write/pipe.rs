//! The pipe between an archive writer on threads and an upload on tokio.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archive::{BoxError, Member, MemberSink};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::stored::Stored;

/// The longest message through the pipe. Members are not copied: a message is a piece of one.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages that wait for the upload.
const CHUNKS: usize = 16;
/// The most bytes that the pipe holds, besides the member of which it holds a piece.
pub const CHANNEL_BYTES: usize = CHUNK_BYTES * CHUNKS;

/// Proof that a writer handed over its whole stream, by its own count of it. Only [`StreamWriter::finish`] makes one.
#[derive(Debug)]
#[must_use = "an object is completed only with the proof of its writer"]
pub struct Finished(Stored);

impl Finished {
    /// What the writer says it handed over.
    pub fn stated(&self) -> Stored {
        self.0
    }
}

/// The end that a blocking thread writes to. Dropping it without [`finish`](Self::finish) leaves the reader
/// with a stream that nobody vouches for.
#[derive(Debug)]
pub struct StreamWriter {
    shared: Arc<Mutex<Sending>>,
}

/// `None` once the stream is finished: whatever still holds a [`Members`] can send no more.
#[derive(Debug)]
struct Sending(Option<mpsc::Sender<Bytes>>);

/// Gives the members of an artifact to a [`StreamWriter`], whose owner finishes it after the artifact's writer did.
#[derive(Debug)]
pub struct Members {
    shared: Arc<Mutex<Sending>>,
}

/// The end that the upload reads from. Dropping it makes the writer's next write fail with `BrokenPipe`.
#[derive(Debug)]
pub struct StreamReader {
    chunks: mpsc::Receiver<Bytes>,
}

/// A pipe of bounded size.
pub fn channel() -> (StreamWriter, StreamReader) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let writer = StreamWriter { shared: Arc::new(Mutex::new(Sending(Some(sender)))) };
    (writer, StreamReader { chunks: receiver })
}

impl StreamReader {
    /// The next bytes; `None` when the writer is gone, finished or not.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.chunks.recv().await
    }
}

fn lock(shared: &Mutex<Sending>) -> MutexGuard<'_, Sending> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sending {
    fn send(&mut self, mut data: Bytes) -> io::Result<()> {
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK_BYTES));
            self.0
                .as_ref()
                .and_then(|chunks| chunks.blocking_send(chunk).ok())
                .ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the upload has ended"))?;
        }
        Ok(())
    }
}

impl StreamWriter {
    /// A sink of members that writes here.
    pub fn members(&self) -> Members {
        Members { shared: Arc::clone(&self.shared) }
    }

    /// Hands over `data`. Blocks while the pipe is full.
    pub fn send(&mut self, data: Bytes) -> io::Result<()> {
        lock(&self.shared).send(data)
    }

    /// Vouches for the whole: everything that belongs to the stream was handed over, and it is `stated` by the writer's
    /// own count.
    pub fn finish(self, stated: Stored) -> Finished {
        lock(&self.shared).0 = None;
        Finished(stated)
    }
}

impl Drop for StreamWriter {
    /// The stream ends with its owner, even while a [`Members`] is still about.
    fn drop(&mut self) {
        lock(&self.shared).0 = None;
    }
}

impl MemberSink for Members {
    fn take(&mut self, member: Member) -> Result<(), BoxError> {
        Ok(lock(&self.shared).send(member.data)?)
    }
}

#[cfg(test)]
mod tests {
    use archive::Crc64Nvme;

    use super::*;

    #[tokio::test]
    async fn everything_written_comes_out_in_order_and_is_vouched_for() {
        let (mut writer, mut reader) = channel();
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = data.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let data = Bytes::from(data);
            writer.send(data.slice(..1_000_000)).unwrap();
            writer.send(data.slice(1_000_000..)).unwrap();
            writer.finish(Stored { bytes: 3_000_000, crc64nvme: Crc64Nvme::of(&data) })
        });
        let mut read = Vec::new();
        while let Some(chunk) = reader.next().await {
            assert!(chunk.len() <= CHUNK_BYTES);
            read.extend_from_slice(&chunk);
        }
        let finished = thread.await.unwrap();
        assert_eq!(read, expected);
        assert_eq!(finished.stated(), Stored { bytes: 3_000_000, crc64nvme: Crc64Nvme::of(&expected) });
    }

    #[test]
    fn a_writer_whose_reader_left_fails() {
        let (mut writer, reader) = channel();
        drop(reader);
        let error = writer.send(Bytes::from_static(b"x")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
