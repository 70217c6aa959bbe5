//! One part of an upload: in memory while it is small, in an unlinked temporary file when it is not.

use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use archive::{Crc64Nvme, Crc64NvmeStream};
use aws_sdk_s3::primitives::{ByteStream, Length};
use bytes::{Bytes, BytesMut};

/// Memory for all parts of an upload, those in flight and the one that fills.
pub const PARTS_MEMORY_BYTES: u64 = 192 << 20;
/// Parts in flight. Four of 16 MiB saturate a connection to S3.
const MOST_IN_FLIGHT: u64 = 4;
/// With fewer parts in flight than this the upload would wait for each answer.
const LEAST_IN_FLIGHT: u64 = 2;
/// Larger parts go to a temporary file: three of this size fill the memory.
const LARGEST_IN_MEMORY: u64 = PARTS_MEMORY_BYTES / (LEAST_IN_FLIGHT + 1);
const READ_BUFFER_BYTES: usize = 256 << 10;

/// How many parts of `part_bytes` are sent at once while another fills.
pub fn in_flight(part_bytes: u64) -> usize {
    let parts = if part_bytes > LARGEST_IN_MEMORY {
        MOST_IN_FLIGHT
    } else {
        (PARTS_MEMORY_BYTES / part_bytes.max(1)).saturating_sub(1).clamp(LEAST_IN_FLIGHT, MOST_IN_FLIGHT)
    };
    usize::try_from(parts).unwrap_or(1)
}

/// A part that fills.
#[derive(Debug)]
pub(crate) struct PartBuffer {
    held: Held,
    capacity: u64,
    bytes: u64,
    crc: Crc64NvmeStream,
}

#[derive(Debug)]
enum Held {
    Memory(BytesMut),
    File(std::fs::File),
}

/// A full part. It can be sent again as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    content: Content,
    pub(crate) bytes: u64,
    pub(crate) crc64nvme: Crc64Nvme,
}

#[derive(Debug, Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<std::fs::File>),
}

impl PartBuffer {
    /// A part of up to `capacity` bytes.
    pub(crate) fn new(capacity: u64) -> io::Result<Self> {
        let held = match usize::try_from(capacity) {
            Ok(bytes) if capacity <= LARGEST_IN_MEMORY => Held::Memory(BytesMut::with_capacity(bytes)),
            _ => Held::File(tempfile::tempfile()?),
        };
        Ok(Self { held, capacity, bytes: 0, crc: Crc64NvmeStream::default() })
    }

    /// Takes what fits of `chunk`, from its front.
    pub(crate) fn fill(&mut self, chunk: &mut Bytes) -> io::Result<()> {
        let room = usize::try_from(self.capacity - self.bytes).unwrap_or(usize::MAX);
        let taken = chunk.split_to(chunk.len().min(room));
        match &mut self.held {
            Held::Memory(memory) => memory.extend_from_slice(&taken),
            // Into the page cache: half a MiB blocks the caller no longer than a copy does, until the kernel throttles
            // writers, and then waiting is right.
            Held::File(file) => file.write_all(&taken)?,
        }
        self.crc.update(&taken);
        self.bytes += taken.len() as u64;
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes == self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn freeze(self) -> Part {
        Part {
            bytes: self.bytes,
            crc64nvme: self.crc.value(),
            content: match self.held {
                Held::Memory(memory) => Content::Memory(memory.freeze()),
                Held::File(file) => Content::File(Arc::new(file)),
            },
        }
    }
}

impl Part {
    /// A request body that the SDK can begin again for each retry.
    pub(crate) async fn body(&self) -> io::Result<ByteStream> {
        match &self.content {
            Content::Memory(bytes) => Ok(ByteStream::from(bytes.clone())),
            // The file has no name; its descriptor has, and opening that begins at the start. The part outlives the
            // body.
            Content::File(file) => ByteStream::read_from()
                .path(format!("/proc/self/fd/{}", file.as_raw_fd()))
                .length(Length::Exact(self.bytes))
                .buffer_size(READ_BUFFER_BYTES)
                .build()
                .await
                .map_err(io::Error::other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::part::{DEFAULT_PART_BYTES, MAX_PART_BYTES, MIN_PART_BYTES};

    #[test]
    fn parts_in_memory_stay_within_their_budget() {
        for part_bytes in [MIN_PART_BYTES, DEFAULT_PART_BYTES, 32 << 20, 48 << 20, LARGEST_IN_MEMORY] {
            let parts = in_flight(part_bytes) as u64 + 1;
            assert!(parts * part_bytes <= PARTS_MEMORY_BYTES, "{part_bytes}");
        }
        assert_eq!(in_flight(DEFAULT_PART_BYTES), 4);
        assert_eq!(in_flight(MAX_PART_BYTES), 4);
    }

    async fn round_trip(capacity: u64) {
        let mut buffer = PartBuffer::new(capacity).unwrap();
        let mut chunk = Bytes::from_static(b"0123456789");
        buffer.fill(&mut chunk).unwrap();
        assert!(chunk.is_empty() && !buffer.is_full());
        let part = buffer.freeze();
        assert_eq!(part.crc64nvme, Crc64Nvme::of(b"0123456789"));
        for _ in 0..2 {
            let sent = part.body().await.unwrap().collect().await.unwrap().into_bytes();
            assert_eq!(&sent[..], b"0123456789");
        }
    }

    #[tokio::test]
    async fn a_part_can_be_sent_twice_from_memory_and_from_a_file() {
        round_trip(16).await;
        round_trip(LARGEST_IN_MEMORY + 1).await;
    }

    #[test]
    fn a_full_part_leaves_the_rest_of_the_chunk() {
        let mut buffer = PartBuffer::new(4).unwrap();
        let mut chunk = Bytes::from_static(b"012345");
        buffer.fill(&mut chunk).unwrap();
        assert!(buffer.is_full());
        assert_eq!(&chunk[..], b"45");
    }
}
