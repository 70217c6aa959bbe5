//! The pipe between an archive writer on a thread and an upload on tokio.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::{Crc64Digest, Crc64Nvme};

/// Bytes of one message through the pipe: large enough that its cost is that of copying.
const CHUNK_BYTES: usize = 512 << 10;
/// Messages that wait for the upload.
const CHUNKS: usize = 16;
/// The most bytes that the pipe holds.
pub const CHANNEL_BYTES: usize = CHUNK_BYTES * (CHUNKS + 2);

/// Proof that a writer handed over its whole stream. Only [`StreamWriter::finish`] makes one.
#[derive(Debug)]
#[must_use = "an object is completed only with the proof of its writer"]
pub struct Finished {
    bytes: u64,
    crc64nvme: Crc64Nvme,
}

impl Finished {
    /// How many bytes were handed over.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Their checksum.
    pub fn crc64nvme(&self) -> Crc64Nvme {
        self.crc64nvme
    }
}

/// The end that a blocking thread writes to. Dropping it without [`finish`](Self::finish) leaves the reader
/// with a stream that nobody vouches for.
#[derive(Debug)]
pub struct StreamWriter {
    chunks: mpsc::Sender<Bytes>,
    pending: BytesMut,
    bytes: u64,
    crc: Crc64Digest,
}

/// The end that the upload reads from. Dropping it makes the writer's next write fail with `BrokenPipe`.
#[derive(Debug)]
pub struct StreamReader {
    chunks: mpsc::Receiver<Bytes>,
}

/// A pipe of bounded size.
pub fn channel() -> (StreamWriter, StreamReader) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let writer = StreamWriter {
        chunks: sender,
        pending: BytesMut::with_capacity(CHUNK_BYTES),
        bytes: 0,
        crc: Crc64Digest::new(),
    };
    (writer, StreamReader { chunks: receiver })
}

impl StreamReader {
    /// The next bytes; `None` when the writer is gone, finished or not.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.chunks.recv().await
    }
}

impl StreamWriter {
    fn send_pending(&mut self) -> io::Result<()> {
        let chunk = self.pending.split().freeze();
        self.pending.reserve(CHUNK_BYTES);
        self.chunks.blocking_send(chunk).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the upload has ended"))
    }

    /// Hands over what is left and vouches for the whole.
    pub fn finish(mut self) -> io::Result<Finished> {
        if !self.pending.is_empty() {
            self.send_pending()?;
        }
        Ok(Finished { bytes: self.bytes, crc64nvme: self.crc.value() })
    }
}

impl io::Write for StreamWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(CHUNK_BYTES - self.pending.len());
        let data = &data[..taken];
        self.pending.extend_from_slice(data);
        self.bytes += data.len() as u64;
        self.crc.update(data);
        if self.pending.len() == CHUNK_BYTES {
            self.send_pending()?;
        }
        Ok(taken)
    }

    /// Nothing: chunks are sent when they are full, and the last by [`StreamWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn everything_written_comes_out_in_order_and_is_vouched_for() {
        let (mut writer, mut reader) = channel();
        let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = data.clone();
        let thread = tokio::task::spawn_blocking(move || {
            writer.write_all(&data).unwrap();
            writer.finish().unwrap()
        });
        let mut read = Vec::new();
        while let Some(chunk) = reader.next().await {
            read.extend_from_slice(&chunk);
        }
        let finished = thread.await.unwrap();
        assert_eq!(read, expected);
        assert_eq!(finished.bytes(), 3_000_000);
        assert_eq!(finished.crc64nvme(), Crc64Nvme::of(&expected));
    }

    #[test]
    fn a_writer_whose_reader_left_fails() {
        let (mut writer, reader) = channel();
        drop(reader);
        let error = writer.write_all(&vec![0; CHUNK_BYTES]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
