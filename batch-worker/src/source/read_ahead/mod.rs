//! Reading ahead of the archive writer, by many threads, delivered in order.
//!
//! Three kinds of work run ahead of the writer: directories are read (see [`super::walk`]), what is in them is looked at and opened, and
//! content is read in chunks. Chunks are granted strictly in the order of the archive, so that what lies in memory is always what the
//! writer needs next: no budget can lead to a deadlock. When nothing is held, a chunk is granted whatever its size.

mod block;
mod link;
mod queue;
mod slot;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use archive::Entry;
use rustix::io::Errno;

pub(crate) use self::block::{Block, Stretch, read_blocks};
use self::queue::{Content, Next, Queue};
use super::export::{FilesystemReport, Options};
use super::walk::{Budget, Walk};
use super::{Progress, SourceError};

/// Content is read in pieces of this size at most.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;

/// A stack that is enough for what these threads do, so that a hundred of them cost little.
const STACK_BYTES: usize = 256 * 1024;

/// Takes an entry and its content, in the order of the archive.
pub(crate) type Deliver<'a> = dyn FnMut(&Entry, &mut dyn Read) -> Result<(), archive::Error> + 'a;

/// Reads a tree and delivers everything in it in order. The first failure in that order ends it.
pub(crate) fn read_tree(
    root: impl AsFd + Sync,
    options: &Options,
    progress: &Progress,
    deliver: &mut Deliver<'_>,
) -> Result<FilesystemReport, SourceError> {
    let readers = options.readers.max(1);
    let budget = Budget::claim();
    let walk = Walk::new(budget);
    let queue = Queue::new(budget.window, options.read_ahead_bytes, progress);
    let root = root.as_fd();
    std::thread::scope(|scope| {
        // Whatever way this is left, every thread is told to end before the scope waits for it.
        let _stop = Stop(&queue, &walk);
        for _ in 0..readers.div_ceil(2) {
            spawn(scope, "list", || {
                let _alarm = queue.alarm();
                walk.read_ahead();
            })?;
        }
        spawn(scope, "walk", || {
            let _alarm = queue.alarm();
            let end = walk.run(root, |visit| queue.push(visit));
            queue.close(end);
        })?;
        for _ in 0..readers {
            spawn(scope, "read", || {
                let _alarm = queue.alarm();
                queue.work();
            })?;
        }
        consume(&queue, progress, deliver)
    })
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() + Send + 'scope,
) -> Result<(), SourceError> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    match builder.spawn_scoped(scope, run) {
        Ok(_) => Ok(()),
        Err(error) => Err(SourceError::system(format!("start a {name} thread"), error)),
    }
}

/// Tells every thread to end when the reader leaves.
struct Stop<'a, 'b>(&'a Queue<'b>, &'a Walk);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        self.0.stop();
        self.1.stop();
    }
}

fn consume(queue: &Queue<'_>, progress: &Progress, deliver: &mut Deliver<'_>) -> Result<FilesystemReport, SourceError> {
    let mut report = FilesystemReport::default();
    while let Some(next) = queue.next()? {
        match next {
            Next::Socket(path) => report.sockets.push(path),
            Next::Entry(entry) => {
                let mut content = Content::new(queue);
                let delivered = deliver(&entry, &mut content);
                report.bytes_read += content.bytes_given();
                if let Some(error) = content.into_error() {
                    return Err(error);
                }
                delivered?;
                report.entries += 1;
                progress.add_file();
            }
        }
        queue.pop();
    }
    Ok(report)
}

/// Fills a buffer. A failed read is tried again after a moment, as a device under load may fail once; three failures are final.
fn read_exact_at(file: impl AsFd, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    const TRIES: u32 = 3;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut failures = 0;
    while !buffer.is_empty() {
        match rustix::io::pread(file.as_fd(), &mut *buffer, offset) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("it ended at byte {offset}, {} bytes early", buffer.len()),
                ));
            }
            Ok(count) => {
                offset += count as u64;
                buffer = &mut buffer[count..];
            }
            Err(Errno::INTR) => {}
            Err(error) => {
                failures += 1;
                if failures == TRIES {
                    return Err(error.into());
                }
                std::thread::sleep(PAUSE * failures);
            }
        }
    }
    Ok(())
}

/// Buffers of a whole chunk, used again and again; smaller ones are not worth keeping.
#[derive(Debug, Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    fn take(&self, length: usize) -> Vec<u8> {
        let pooled = (length > CHUNK_BYTES / 2).then(|| lock(&self.0).pop());
        let mut buffer = pooled.flatten().unwrap_or_default();
        buffer.resize(length, 0);
        buffer
    }

    fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() > CHUNK_BYTES / 2 {
            lock(&self.0).push(buffer);
        }
    }
}

/// Locks whatever happened to another holder: its panic is reported by its own thread's alarm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
