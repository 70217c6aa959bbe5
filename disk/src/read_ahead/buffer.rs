//! Buffers, how they are filled, and what all reading threads share.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

/// Content is read in pieces of this size at most.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// A stack that is enough for what these threads do, so that a hundred of them cost little.
pub(super) const STACK_BYTES: usize = 256 * 1024;

/// Fills a buffer. A failed read is tried again after a moment, as a device under load may fail once; three failures
/// are final.
pub(super) fn read_exact_at(file: impl AsFd, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
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
pub(super) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        let pooled = (length > CHUNK_BYTES / 2).then(|| lock(&self.0).pop());
        let mut buffer = pooled.flatten().unwrap_or_default();
        buffer.resize(length, 0);
        buffer
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() > CHUNK_BYTES / 2 {
            lock(&self.0).push(buffer);
        }
    }
}

/// Locks whatever happened to another holder: its panic is reported by its own thread's alarm.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
