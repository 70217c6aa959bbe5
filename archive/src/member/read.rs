//! Reading members back, in order, decompressed on several threads.

use std::io::Read;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::frame::{Decompressor, Frame, FrameReader};
use super::is_zero;
use crate::codec::Codec;
use crate::digest::{Crc64Nvme, ObjectDigest, Sha256};
use crate::error::{Error, Result};

/// A member with its content.
#[derive(Debug)]
pub struct DecodedMember {
    /// From 0.
    pub number: u64,
    /// Where it begins in the compressed stream.
    pub compressed_offset: u64,
    /// Where it ends there.
    pub compressed_end: u64,
    /// Whether its content is nothing but zeros.
    pub zero: bool,
    /// SHA-256 of the content, where that was asked for.
    pub sha256: Option<Sha256>,
    pub content: Vec<u8>,
}

/// What the compressed stream was, once it was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its length.
    pub compressed_bytes: u64,
    /// Its SHA-256.
    pub sha256: Sha256,
    pub crc64nvme: Crc64Nvme,
}

type Reply = Result<DecodedMember>;

/// Splits a compressed stream in members and decompresses them ahead of the caller. Holds at most two members for each
/// thread, and three more.
pub struct MemberReader {
    order: Receiver<Receiver<Reply>>,
    splitter: JoinHandle<Result<ObjectSummary>>,
}

struct Job {
    frame: Frame,
    reply: Sender<Reply>,
}

impl MemberReader {
    /// Starts the threads.
    pub fn new(source: impl Read + Send + 'static, codec: Codec, threads: usize, hash_members: bool) -> Result<Self> {
        let threads = threads.max(1);
        let (work, jobs) = bounded::<Job>(threads + 2);
        let (reserve, order) = bounded(threads + 2);
        for _ in 0..threads {
            let jobs = jobs.clone();
            let decompressor = Decompressor::new(codec)?;
            thread::spawn(move || decompress_jobs(&jobs, decompressor, hash_members));
        }
        let frames = FrameReader::new(source, codec);
        let splitter = thread::spawn(move || split(frames, &work, &reserve));
        Ok(Self { order, splitter })
    }

    /// The next member, or `None` when the stream ended where a member ended.
    pub fn next_member(&mut self) -> Result<Option<DecodedMember>> {
        match self.order.recv() {
            Ok(reply) => reply.recv().map_err(|_| Error::Panicked("decompressor"))?.map(Some),
            // The splitter closes the queue when the stream ended; an error it would have sent before. `finish` sees a
            // panic.
            Err(_) => Ok(None),
        }
    }

    /// What the whole stream was. An error if it was not read to its end.
    pub fn finish(self) -> Result<ObjectSummary> {
        // The splitter may be waiting for room in it.
        drop(self.order);
        self.splitter.join().unwrap_or(Err(Error::Panicked("reader")))
    }
}

fn split<R: Read>(
    mut frames: FrameReader<R>,
    work: &Sender<Job>,
    order: &Sender<Receiver<Reply>>,
) -> Result<ObjectSummary> {
    let mut object = ObjectDigest::default();
    let mut compressed_bytes = 0;
    loop {
        let (reply, result) = bounded(1);
        match frames.next() {
            Ok(Some(frame)) => {
                object.update(&frame.data);
                compressed_bytes += frame.data.len() as u64;
                if order.send(result).is_err() || work.send(Job { frame, reply }).is_err() {
                    return Err(Error::Setting("the reader was dropped".into()));
                }
            }
            Ok(None) => break,
            Err(error) => {
                // The caller meets the error where it stands in the stream, after every whole member before it.
                if order.send(result).is_ok() {
                    let _ = reply.send(Err(error));
                }
                return Err(Error::Setting("the stream was not read to its end".into()));
            }
        }
    }
    let (sha256, crc64nvme) = object.finish();
    Ok(ObjectSummary { compressed_bytes, sha256, crc64nvme })
}

fn decompress_jobs(jobs: &Receiver<Job>, mut decompressor: Decompressor, hash: bool) {
    for Job { frame, reply } in jobs {
        let result = decompressor.decompress(&frame).map(|content| DecodedMember {
            number: frame.number,
            compressed_offset: frame.offset,
            compressed_end: frame.offset + frame.data.len() as u64,
            zero: is_zero(&content),
            sha256: hash.then(|| Sha256::of(&content)),
            content,
        });
        // Nobody listens once the reader was dropped.
        let _ = reply.send(result);
    }
}
