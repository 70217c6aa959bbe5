//! Cutting a stream in members and compressing them on several threads.
//!
//! Three kinds of threads, joined by bounded channels: the caller fills members, compressors take them from one queue,
//! and a collector takes the results in the order of the stream, hashes them and feeds the sink. Each member has a
//! reply channel of its own; the collector waits on them in order, so the output cannot depend on which compressor is
//! faster. When the collector ends early, its queue closes and the caller fetches the reason by joining it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::compress::Compressor;
use super::{Member, MemberOptions, MemberSink, StreamSummary, is_zero};
use crate::digest::{ObjectDigest, Sha256, Sha256Stream};
use crate::error::{Error, Result};

/// Cuts a stream in members and compresses them on several threads. See the module for how.
pub struct MemberWriter<S> {
    options: MemberOptions,
    current: Vec<u8>,
    number: u64,
    uncompressed_bytes: u64,
    /// `None` once the writer failed.
    queues: Option<Queues>,
    collector: Option<JoinHandle<Result<(StreamSummary, S)>>>,
    recycled: Receiver<Vec<u8>>,
    abandoned: Arc<AtomicBool>,
}

struct Queues {
    work: Sender<Job>,
    order: Sender<Receiver<Result<Compressed>>>,
}

struct Job {
    number: u64,
    content: Content,
    reply: Sender<Result<Compressed>>,
}

enum Content {
    Data(Vec<u8>),
    /// A full member of zeros that nobody had to fill.
    Zeros,
}

struct Compressed {
    data: Bytes,
    content: Content,
    zero: bool,
    sha256: Option<Sha256>,
}

/// The one full member of zeros, made by whoever meets it first.
type ZeroMember = OnceLock<(Bytes, Option<Sha256>)>;

impl<S: MemberSink + 'static> MemberWriter<S> {
    /// Starts the threads.
    pub fn new(options: MemberOptions, sink: S) -> Result<Self> {
        let threads = options.threads.max(1);
        let member_bytes = options.compression.member_bytes() as usize;
        // A member under way is its content and, later, its compressed form. Two more are in the hands of caller and
        // collector.
        let depth = (options.budget_bytes / (2 * member_bytes)).saturating_sub(2).clamp(4, 4 * threads + 4);
        let (work, jobs) = bounded::<Job>(depth + 2);
        let (order, replies) = bounded(depth);
        let (recycle, recycled) = bounded(depth + 2);
        let zero_member = Arc::new(ZeroMember::new());
        for _ in 0..threads {
            let (jobs, zero_member) = (jobs.clone(), Arc::clone(&zero_member));
            let compressor = Compressor::new(options.compression).map_err(Error::Setting)?;
            thread::spawn(move || compress_jobs(&jobs, compressor, options, &zero_member));
        }
        let abandoned = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&abandoned);
        let collector = thread::spawn(move || collect(&replies, sink, member_bytes, &recycle, &stop));
        Ok(Self {
            options,
            current: Vec::with_capacity(member_bytes),
            number: 0,
            uncompressed_bytes: 0,
            queues: Some(Queues { work, order }),
            collector: Some(collector),
            recycled,
            abandoned,
        })
    }

    /// Uncompressed bytes so far.
    pub fn uncompressed_bytes(&self) -> u64 {
        self.uncompressed_bytes
    }

    /// Appends bytes. An error is final.
    pub fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(self.room()));
            self.current.extend_from_slice(now);
            self.filled(now.len())?;
            data = later;
        }
        Ok(())
    }

    /// Appends zeros. Whole members of them take no memory and are compressed once.
    pub fn write_zeros(&mut self, mut bytes: u64) -> Result<()> {
        let member_bytes = u64::from(self.options.compression.member_bytes());
        while bytes > 0 {
            if self.current.is_empty() && bytes >= member_bytes {
                self.uncompressed_bytes += member_bytes;
                bytes -= member_bytes;
                self.submit(Content::Zeros)?;
            } else {
                let step = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.room());
                self.current.resize(self.current.len() + step, 0);
                self.filled(step)?;
                bytes -= step as u64;
            }
        }
        Ok(())
    }

    /// Completes the last member, waits until the sink has taken all, and gives the sink back. Dropping a writer
    /// instead abandons the stream.
    pub fn finish(mut self) -> Result<(StreamSummary, S)> {
        if !self.current.is_empty() || self.number == 0 {
            let last = std::mem::take(&mut self.current);
            self.submit(Content::Data(last))?;
        }
        self.queues = None;
        self.join()
    }

    fn room(&self) -> usize {
        self.options.compression.member_bytes() as usize - self.current.len()
    }

    fn filled(&mut self, bytes: usize) -> Result<()> {
        self.uncompressed_bytes += bytes as u64;
        if self.room() > 0 {
            return Ok(());
        }
        let member_bytes = self.options.compression.member_bytes() as usize;
        let next = self.recycled.try_recv().unwrap_or_else(|_| Vec::with_capacity(member_bytes));
        let full = std::mem::replace(&mut self.current, next);
        self.submit(Content::Data(full))
    }

    fn submit(&mut self, content: Content) -> Result<()> {
        let (reply, result) = bounded(1);
        let job = Job { number: self.number, content, reply };
        self.number += 1;
        let accepted = match &self.queues {
            Some(queues) => queues.order.send(result).is_ok() && queues.work.send(job).is_ok(),
            None => false,
        };
        if accepted {
            return Ok(());
        }
        self.queues = None;
        match self.join() {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Panicked("compressor")),
        }
    }

    /// What the collector ended with. A second failure after the first has nothing to add.
    fn join(&mut self) -> Result<(StreamSummary, S)> {
        match self.collector.take() {
            Some(collector) => collector.join().unwrap_or(Err(Error::Panicked("sink"))),
            None => Err(Error::Setting("the writer failed before".into())),
        }
    }
}

impl<S> Drop for MemberWriter<S> {
    fn drop(&mut self) {
        // Not joined: the sink may be waiting for whoever drops this.
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

fn compress_jobs(jobs: &Receiver<Job>, mut compressor: Compressor, options: MemberOptions, zero: &ZeroMember) {
    for job in jobs {
        let result = compress(&mut compressor, job.content, options, zero)
            .map_err(|reason| Error::Compress { member: job.number, reason });
        // The collector is gone after a failure; what it had left is of no use.
        let _ = job.reply.send(result);
    }
}

fn compress(
    compressor: &mut Compressor,
    content: Content,
    options: MemberOptions,
    zero_member: &ZeroMember,
) -> Result<Compressed, String> {
    let member_bytes = options.compression.member_bytes() as usize;
    let hash = |data: &[u8]| options.hash_members.then(|| Sha256::of(data));
    let zero = match &content {
        Content::Zeros => true,
        Content::Data(data) => is_zero(data),
    };
    match &content {
        Content::Data(data) if !zero || data.len() < member_bytes => {
            let (compressed, sha256) = (compressor.compress(data)?, hash(data));
            Ok(Compressed { data: compressed, content, zero, sha256 })
        }
        Content::Data(_) | Content::Zeros => {
            if zero_member.get().is_none() {
                let zeros = vec![0; member_bytes];
                // Two threads may both make it: the bytes are the same.
                let _ = zero_member.set((compressor.compress(&zeros)?, hash(&zeros)));
            }
            let (data, sha256) = zero_member.get().cloned().expect("it was set just now");
            Ok(Compressed { data, content, zero, sha256 })
        }
    }
}

fn collect<S: MemberSink>(
    replies: &Receiver<Receiver<Result<Compressed>>>,
    mut sink: S,
    member_bytes: usize,
    recycle: &Sender<Vec<u8>>,
    abandoned: &AtomicBool,
) -> Result<(StreamSummary, S)> {
    let mut object = ObjectDigest::default();
    let mut stream = Sha256Stream::default();
    let (mut number, mut zero_members, mut compressed_offset, mut uncompressed_offset) = (0, 0, 0, 0);
    for reply in replies {
        let compressed = reply.recv().map_err(|_| Error::Panicked("compressor"))??;
        if abandoned.load(Ordering::Relaxed) {
            return Err(Error::Setting("the writer was dropped".into()));
        }
        let Compressed { data, content, zero, sha256 } = compressed;
        object.update(&data);
        let bytes = match content {
            Content::Data(mut content) => {
                stream.update(&content);
                let bytes = content.len();
                content.clear();
                // A full pool only means that this buffer is freed.
                let _ = recycle.try_send(content);
                bytes
            }
            Content::Zeros => {
                stream.update_zeros(member_bytes as u64);
                member_bytes
            }
        };
        let compressed_bytes = data.len() as u64;
        let uncompressed_bytes = u32::try_from(bytes).expect("the size of members is bounded");
        sink.take(Member { number, compressed_offset, uncompressed_offset, uncompressed_bytes, zero, sha256, data })
            .map_err(|source| match source.downcast::<Error>() {
                Ok(own) => *own,
                Err(source) => Error::Sink { member: number, source },
            })?;
        number += 1;
        zero_members += u64::from(zero && bytes == member_bytes);
        compressed_offset += compressed_bytes;
        uncompressed_offset += bytes as u64;
    }
    let (sha256, crc64nvme) = object.finish();
    let summary = StreamSummary {
        compressed_bytes: compressed_offset,
        uncompressed_bytes: uncompressed_offset,
        members: number,
        zero_members,
        sha256,
        crc64nvme,
        uncompressed_sha256: stream.finish(),
    };
    Ok((summary, sink))
}
