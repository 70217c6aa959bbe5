//! The queue between the walk, the readers and the writer. One lock guards it; nothing blocks while holding it but
//! short look-ups.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use archive::{Entry, Extent};

use super::buffer::{CHUNK_BYTES, Pool, lock, read_exact_at};
use super::link::LinkTable;
use super::slot::{Chunk, Pieces, Slot, State};
use crate::error::Error;
use crate::progress::Progress;
use crate::walk::Visit;
use crate::walk::describe::{Described, describe, display};

/// Paths that wait in the queue, in a tree so deep that they are long.
const PATH_BYTES: usize = 16 * 1024 * 1024;

/// How often a waiting writer looks whether it is to stop.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// Visits in order, with what is known of them.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    inner: Mutex<Inner>,
    /// For readers: there is something to do.
    work: Condvar,
    /// For the writer: the head of the queue changed.
    ready: Condvar,
    /// For the walk: the queue is shorter.
    room: Condvar,
    pool: Pool,
    progress: &'a Progress,
    window: usize,
    budget_bytes: usize,
    chunk_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    slots: VecDeque<Slot>,
    /// Number of the first of `slots`.
    first: u64,
    /// The next to be looked at.
    next_look: u64,
    /// The one whose chunks are granted.
    granting: u64,
    held_bytes: usize,
    path_bytes: usize,
    links: LinkTable,
    /// The walk's end, good or bad.
    end: Option<Result<(), Error>>,
    stopped: bool,
    panicked: bool,
}

enum Job {
    Look(u64, Visit),
    Chunk { slot: u64, chunk: u64, file: Arc<OwnedFd>, pieces: Vec<Extent> },
}

/// What comes next in the archive.
#[derive(Debug)]
pub(super) enum Next {
    /// An entry, whose content follows.
    Entry(Box<Entry>),
    /// The path of a socket.
    Socket(Vec<u8>),
}

impl<'a> Queue<'a> {
    pub(super) fn new(window: usize, budget_bytes: usize, progress: &'a Progress) -> Self {
        Self {
            inner: Mutex::default(),
            work: Condvar::new(),
            ready: Condvar::new(),
            room: Condvar::new(),
            pool: Pool::default(),
            progress,
            window,
            budget_bytes,
            // Several chunks must fit, or reads would not be parallel.
            chunk_bytes: (budget_bytes / 8).clamp(64 * 1024, CHUNK_BYTES),
        }
    }

    /// Appends a visit, when there is room; false when the walk is to end.
    pub(super) fn push(&self, visit: Visit) -> bool {
        let mut inner = lock(&self.inner);
        while !inner.stopped
            && (inner.slots.len() >= self.window || (inner.path_bytes > PATH_BYTES && !inner.slots.is_empty()))
        {
            inner = wait(&self.room, inner);
        }
        if inner.stopped {
            return false;
        }
        inner.path_bytes += visit.path.len();
        inner.slots.push_back(Slot::new(visit));
        self.work.notify_one();
        true
    }

    /// Ends the queue, well or with the walk's error.
    pub(super) fn close(&self, end: Result<(), Error>) {
        lock(&self.inner).end = Some(end);
        self.ready.notify_all();
    }

    /// Makes every thread end.
    pub(super) fn stop(&self) {
        lock(&self.inner).stopped = true;
        self.work.notify_all();
        self.room.notify_all();
        self.ready.notify_all();
    }

    /// Reports a panic of the thread that holds it, so that nobody waits for it.
    pub(super) fn alarm(&self) -> Alarm<'_, 'a> {
        Alarm(self)
    }

    /// Looks at visits and reads chunks until there is nothing more; runs on any number of threads.
    pub(super) fn work(&self) {
        let mut inner = lock(&self.inner);
        loop {
            if inner.stopped {
                return;
            }
            let Some(job) = self.claim(&mut inner) else {
                inner = wait(&self.work, inner);
                continue;
            };
            // Whoever finds work wakes the next, as long as there may be more.
            self.work.notify_one();
            drop(inner);
            inner = match job {
                Job::Look(number, visit) => {
                    let looked = describe(&visit);
                    drop(visit);
                    let mut inner = lock(&self.inner);
                    inner.looked(number, looked);
                    if number == inner.first {
                        inner.settle();
                        self.ready.notify_one();
                    }
                    inner
                }
                Job::Chunk { slot, chunk, file, pieces } => {
                    let read = self.read(&file, &pieces);
                    drop(file);
                    let mut inner = lock(&self.inner);
                    inner.chunk_read(slot, chunk, read);
                    if slot == inner.first {
                        self.ready.notify_one();
                    }
                    inner
                }
            };
        }
    }

    /// The next thing to do: content before looking, as the writer needs it first.
    fn claim(&self, inner: &mut Inner) -> Option<Job> {
        inner.settle();
        if let Some(job) = inner.grant(self.budget_bytes, self.chunk_bytes) {
            return Some(job);
        }
        let number = inner.next_look;
        let slot = inner.slot_mut(number)?;
        let State::Waiting(visit) = std::mem::replace(&mut slot.state, State::Busy) else {
            unreachable!("visits are looked at once, in order");
        };
        inner.next_look += 1;
        Some(Job::Look(number, visit))
    }

    fn read(&self, file: &OwnedFd, pieces: &[Extent]) -> io::Result<Vec<u8>> {
        let length = pieces.iter().map(|piece| piece.bytes).sum::<u64>();
        let mut buffer = self.pool.take(usize::try_from(length).expect("a chunk fits in memory"));
        let mut rest = buffer.as_mut_slice();
        for piece in pieces {
            let bytes = usize::try_from(piece.bytes).expect("a chunk fits in memory");
            let (part, after) = rest.split_at_mut(bytes);
            read_exact_at(file, part, piece.offset)?;
            rest = after;
        }
        self.progress.add_bytes_read(length);
        Ok(buffer)
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&self) -> Result<Option<Next>, Error> {
        let mut inner = lock(&self.inner);
        loop {
            self.check(&inner)?;
            inner.settle();
            let Inner { slots, end, .. } = &mut *inner;
            match slots.front_mut() {
                None => match end.take() {
                    Some(Ok(())) => return Ok(None),
                    Some(Err(error)) => return Err(error),
                    None => {}
                },
                Some(slot) if slot.settled => {
                    return match std::mem::replace(&mut slot.state, State::Delivered) {
                        State::Entry(entry) => Ok(Some(Next::Entry(Box::new(entry)))),
                        State::Socket => Ok(Some(Next::Socket(slot.path.clone()))),
                        State::Failed(error) => Err(error),
                        State::Waiting(_) | State::Busy | State::Delivered => {
                            unreachable!("only what was looked at is settled")
                        }
                    };
                }
                Some(_) => {}
            }
            // More may have become possible by settling.
            self.work.notify_one();
            inner = self.wait_ready(inner);
        }
    }

    /// Drops the head of the queue, which was delivered.
    pub(super) fn pop(&self) {
        let mut inner = lock(&self.inner);
        if let Some(slot) = inner.slots.pop_front() {
            inner.path_bytes -= slot.path.len();
            inner.first += 1;
            inner.granting = inner.granting.max(inner.first);
        }
        self.room.notify_one();
    }

    /// The next chunk of the head's content, whose memory the caller gives back; `None` at its end.
    fn next_chunk(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut inner = lock(&self.inner);
        loop {
            self.check(&inner)?;
            let slot = inner.slots.front_mut().expect("the writer reads the head");
            match slot.chunks.front_mut() {
                Some(Chunk::Busy) => {}
                Some(_) => {
                    slot.first_chunk += 1;
                    return match slot.chunks.pop_front() {
                        Some(Chunk::Read(chunk)) => Ok(Some(chunk)),
                        Some(Chunk::Failed(error)) => Err(error),
                        Some(Chunk::Busy) | None => unreachable!("it was looked at above"),
                    };
                }
                None if slot.pieces.is_empty() => return Ok(None),
                None => self.work.notify_one(),
            }
            inner = self.wait_ready(inner);
        }
    }

    fn give_back(&self, chunk: Vec<u8>) {
        lock(&self.inner).held_bytes -= chunk.len();
        self.pool.give(chunk);
        self.work.notify_one();
    }

    fn check(&self, inner: &Inner) -> Result<(), Error> {
        if inner.panicked {
            return Err(Error::system("read ahead", io::Error::other("a reading thread panicked")));
        }
        self.progress.check()
    }

    fn wait_ready<'i>(&self, inner: MutexGuard<'i, Inner>) -> MutexGuard<'i, Inner> {
        self.ready.wait_timeout(inner, CANCEL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Inner {
    fn slot_mut(&mut self, number: u64) -> Option<&mut Slot> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }

    fn looked(&mut self, number: u64, looked: Result<Described, Error>) {
        let slot = self.slot_mut(number).expect("a visit stays until it was looked at");
        slot.state = match looked {
            Ok(Described::Socket) => State::Socket,
            Ok(Described::Entry(thing)) => {
                slot.pieces = Pieces::of(&thing.entry);
                // An empty file need not stay open.
                slot.file = thing.file.filter(|_| !slot.pieces.is_empty()).map(Arc::new);
                slot.links = thing.links;
                State::Entry(thing.entry)
            }
            Err(error) => State::Failed(error),
        };
    }

    fn chunk_read(&mut self, number: u64, chunk: u64, read: io::Result<Vec<u8>>) {
        let slot = self.slot_mut(number).expect("a file stays until all of it was read");
        let index = usize::try_from(chunk - slot.first_chunk).expect("a chunk that is held");
        slot.chunks[index] = match read {
            Ok(bytes) => Chunk::Read(bytes),
            Err(error) => Chunk::Failed(Error::read(display(&slot.path), error)),
        };
        if slot.pieces.is_empty() {
            slot.file = None;
        }
    }

    /// Decides, in order, what is a hard link, as far as everything before was looked at and granted.
    fn settle(&mut self) {
        loop {
            let number = self.granting;
            let index = usize::try_from(number - self.first).expect("the queue is short");
            let Some(slot) = self.slots.get_mut(index) else {
                return;
            };
            if !slot.settled {
                match &mut slot.state {
                    State::Waiting(_) | State::Busy => return,
                    State::Socket | State::Delivered | State::Failed(_) => {}
                    State::Entry(entry) => {
                        if let Some(links) = slot.links {
                            match self.links.settle(entry, links) {
                                Ok(false) => {}
                                Ok(true) => {
                                    slot.pieces.clear();
                                    slot.file = None;
                                }
                                Err(error) => slot.state = State::Failed(error),
                            }
                        }
                    }
                }
                slot.settled = true;
            }
            if matches!(slot.state, State::Failed(_)) || !slot.pieces.is_empty() {
                return;
            }
            self.granting += 1;
        }
    }

    /// The next chunk in order, if the budget allows it.
    fn grant(&mut self, budget_bytes: usize, chunk_bytes: usize) -> Option<Job> {
        let number = self.granting;
        let held = self.held_bytes;
        let slot = self.slot_mut(number)?;
        if !slot.settled || slot.pieces.is_empty() {
            return None;
        }
        let bytes = slot.pieces.next_bytes(chunk_bytes);
        if held > 0 && held + bytes > budget_bytes {
            return None;
        }
        let pieces = slot.pieces.take(chunk_bytes);
        let chunk = slot.first_chunk + slot.chunks.len() as u64;
        slot.chunks.push_back(Chunk::Busy);
        let file = Arc::clone(slot.file.as_ref().expect("a file with content is open"));
        self.held_bytes += bytes;
        self.settle();
        Some(Job::Chunk { slot: number, chunk, file, pieces })
    }
}

/// Tells the writer when a thread panics.
pub(super) struct Alarm<'a, 'b>(&'a Queue<'b>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.inner).panicked = true;
            self.0.stop();
        }
    }
}

/// The content of the head of the queue.
pub(super) struct Content<'a, 'b> {
    queue: &'a Queue<'b>,
    chunk: Vec<u8>,
    position: usize,
    bytes: u64,
    error: Option<Error>,
}

impl<'a, 'b> Content<'a, 'b> {
    pub(super) fn new(queue: &'a Queue<'b>) -> Self {
        Self { queue, chunk: Vec::new(), position: 0, bytes: 0, error: None }
    }

    /// Bytes given so far.
    pub(super) fn bytes_given(&self) -> u64 {
        self.bytes
    }

    /// The error that ended reading: it says more than what the archive writer made of it.
    pub(super) fn into_error(mut self) -> Option<Error> {
        self.error.take()
    }

    fn release(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        if !chunk.is_empty() {
            self.queue.give_back(chunk);
        }
        self.position = 0;
    }
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.position == self.chunk.len() {
            self.release();
            match self.queue.next_chunk() {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => {
                    let shown = io::Error::other(domain::failure::chain(&error));
                    self.error = Some(error);
                    return Err(shown);
                }
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.position);
        buffer[..count].copy_from_slice(&self.chunk[self.position..self.position + count]);
        self.position += count;
        self.bytes += count as u64;
        Ok(count)
    }
}

impl Drop for Content<'_, '_> {
    fn drop(&mut self) {
        self.release();
    }
}

fn wait<'i>(condition: &Condvar, inner: MutexGuard<'i, Inner>) -> MutexGuard<'i, Inner> {
    condition.wait(inner).unwrap_or_else(PoisonError::into_inner)
}
