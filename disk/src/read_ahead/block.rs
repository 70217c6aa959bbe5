//! Blocks of a disk, read in parallel and delivered in order, with those of nothing but zeros marked.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::SeekFrom;

use super::buffer::{CHUNK_BYTES, Pool, STACK_BYTES, lock, read_exact_at};
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;

/// How often a waiting writer looks whether it is to stop.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// What a stretch of a disk holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Block<'a> {
    /// These bytes.
    Data(&'a [u8]),
    /// So many zeros.
    Zeros(u64),
}

/// A stretch of a disk, open for reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) file: &'a File,
    /// What it is called in errors.
    pub(crate) name: &'a str,
    pub(crate) offset_bytes: u64,
    pub(crate) size_bytes: u64,
}

enum State {
    Busy,
    Data(Vec<u8>),
    Zeros(u64),
    Failed(Error),
}

struct Ring {
    /// Blocks under way, in order.
    blocks: VecDeque<State>,
    /// Number of the first of them.
    first: u64,
    stopped: bool,
    panicked: bool,
}

struct Reader<'a> {
    stretch: Stretch<'a>,
    count: u64,
    window: usize,
    knows_holes: bool,
    ring: Mutex<Ring>,
    /// For the writer: the first block may be ready.
    ready: Condvar,
    /// For readers: there is room in the ring.
    room: Condvar,
    pool: Pool,
    progress: &'a Progress,
}

/// Reads a stretch and delivers its blocks in order; gives the bytes that were read, which holes of an image file are
/// not.
pub(crate) fn read_blocks(
    stretch: Stretch<'_>,
    options: &Options,
    progress: &Progress,
    deliver: &mut dyn FnMut(Block<'_>) -> Result<(), archive::Error>,
) -> Result<u64, Error> {
    let reader = Reader {
        stretch,
        count: stretch.size_bytes.div_ceil(CHUNK_BYTES as u64),
        window: (options.read_ahead_bytes / CHUNK_BYTES).max(1),
        knows_holes: stretch.file.metadata().is_ok_and(|metadata| metadata.is_file()),
        ring: Mutex::new(Ring { blocks: VecDeque::new(), first: 0, stopped: false, panicked: false }),
        ready: Condvar::new(),
        room: Condvar::new(),
        pool: Pool::default(),
        progress,
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&reader);
        for _ in 0..options.readers.clamp(1, reader.window) {
            std::thread::Builder::new()
                .name("read".to_owned())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || reader.work())
                .map_err(|error| Error::system("start a read thread", error))?;
        }
        let mut bytes_read = 0;
        for _ in 0..reader.count {
            match reader.next()? {
                State::Data(data) => {
                    bytes_read += data.len() as u64;
                    deliver(Block::Data(&data))?;
                    reader.pool.give(data);
                }
                State::Zeros(bytes) => deliver(Block::Zeros(bytes))?,
                State::Failed(error) => return Err(error),
                State::Busy => unreachable!("only finished blocks are handed out"),
            }
        }
        Ok(bytes_read)
    })
}

impl Reader<'_> {
    fn work(&self) {
        let _alarm = Alarm(self);
        let mut ring = lock(&self.ring);
        loop {
            let number = ring.first + ring.blocks.len() as u64;
            if ring.stopped || number == self.count {
                return;
            }
            if ring.blocks.len() == self.window {
                ring = self.room.wait(ring).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            ring.blocks.push_back(State::Busy);
            drop(ring);
            let state = self.read(number);
            ring = lock(&self.ring);
            let index = usize::try_from(number - ring.first).expect("a block in the ring");
            ring.blocks[index] = state;
            if index == 0 {
                self.ready.notify_one();
            }
        }
    }

    fn read(&self, number: u64) -> State {
        let start = number * CHUNK_BYTES as u64;
        let bytes = (self.stretch.size_bytes - start).min(CHUNK_BYTES as u64);
        let offset = self.stretch.offset_bytes + start;
        if self.knows_holes && is_hole(self.stretch.file, offset, bytes) {
            self.progress.add_bytes_read(bytes);
            return State::Zeros(bytes);
        }
        let mut buffer = self.pool.take(usize::try_from(bytes).expect("a block fits in memory"));
        if let Err(error) = read_exact_at(self.stretch.file, &mut buffer, offset) {
            return State::Failed(Error::read(
                format!("{} at byte {offset} ({bytes} bytes)", self.stretch.name),
                error,
            ));
        }
        self.progress.add_bytes_read(bytes);
        if is_zero(&buffer) {
            self.pool.give(buffer);
            return State::Zeros(bytes);
        }
        State::Data(buffer)
    }

    fn next(&self) -> Result<State, Error> {
        let mut ring = lock(&self.ring);
        loop {
            if ring.panicked {
                return Err(Error::system(
                    format!("read {}", self.stretch.name),
                    io::Error::other("a reading thread panicked"),
                ));
            }
            self.progress.check()?;
            if !matches!(ring.blocks.front(), None | Some(State::Busy)) {
                ring.first += 1;
                self.room.notify_one();
                return Ok(ring.blocks.pop_front().expect("it is there"));
            }
            ring = self.wait(ring);
        }
    }

    fn wait<'r>(&self, ring: MutexGuard<'r, Ring>) -> MutexGuard<'r, Ring> {
        self.ready.wait_timeout(ring, CANCEL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Whether a stretch of an image file lies in a hole.
fn is_hole(file: &File, offset: u64, bytes: u64) -> bool {
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data >= offset + bytes,
        Err(rustix::io::Errno::NXIO) => {
            // Nothing but a hole follows, provided that the file is as long as it was.
            file.metadata().is_ok_and(|metadata| metadata.len() >= offset + bytes)
        }
        Err(_) => false,
    }
}

/// In steps that the compiler turns into wide comparisons.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

struct Stop<'a, 'b>(&'a Reader<'b>);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.ring).stopped = true;
        self.0.room.notify_all();
    }
}

struct Alarm<'a, 'b>(&'a Reader<'b>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.ring).panicked = true;
            self.0.ready.notify_all();
        }
    }
}
