//! Reading ahead of the archive writer, by many threads, delivered in order.
//!
//! Three kinds of work run ahead of the writer: directories are read (see [`super::walk`]), what is in them is looked
//! at and opened, and content is read in chunks. Chunks are granted strictly in the order of the archive, so that what
//! lies in memory is always what the writer needs next: no budget can lead to a deadlock. When nothing is held, a chunk
//! is granted whatever its size.

mod block;
mod buffer;
mod link;
mod queue;
mod slot;

use std::io::Read;
use std::os::fd::AsFd;
use std::thread::Scope;

use archive::Entry;

pub(crate) use self::block::{Block, Stretch, read_blocks};
use self::buffer::STACK_BYTES;
use self::queue::{Content, Next, Queue};
use crate::error::Error;
use crate::options::{FilesystemReport, Options};
use crate::progress::Progress;
use crate::walk::{Budget, Walk};

/// Takes an entry and its content, in the order of the archive.
pub(crate) type Deliver<'a> = dyn FnMut(&Entry, &mut dyn Read) -> Result<(), archive::Error> + 'a;

/// Reads a tree and delivers everything in it in order. The first failure in that order ends it.
pub(crate) fn read_tree(
    root: impl AsFd + Sync,
    options: &Options,
    progress: &Progress,
    deliver: &mut Deliver<'_>,
) -> Result<FilesystemReport, Error> {
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
) -> Result<(), Error> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    match builder.spawn_scoped(scope, run) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::system(format!("start a {name} thread"), error)),
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

fn consume(queue: &Queue<'_>, progress: &Progress, deliver: &mut Deliver<'_>) -> Result<FilesystemReport, Error> {
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
