//! The walk: everything in a filesystem, depth first, names in bytewise order, the same order each time.
//!
//! It goes by directory descriptors, so that no path is too long, no symbolic link is followed, and no other mount is
//! entered. Of a directory only the names are held, and only while the walk is below it.

pub(crate) mod describe;
mod directory;
mod prefetch;
mod visit;

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use self::directory::{Listing, Names};
use self::prefetch::{Key, Limits, Prefetch, child_key};
pub(crate) use self::visit::Visit;
use crate::error::Error;

/// Something that the walk came to, not yet looked at.
/// Open files that a walk may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    prefetch: Limits,
    open_ancestors: usize,
    /// Visits that may wait between the walk and the writer.
    pub(crate) window: usize,
}

/// A walk and the threads that read directories ahead of it.
#[derive(Debug)]
pub(crate) struct Walk {
    prefetch: Prefetch,
    budget: Budget,
}

/// A directory on the way from the root to where the walk is.
struct Level {
    fd: Option<Arc<OwnedFd>>,
    names: Arc<Names>,
    key: Key,
    next: usize,
    next_directory: usize,
    path_bytes: usize,
    id: (u64, u64),
}

impl Budget {
    /// Raises the limit of open files as far as allowed, and divides what there is.
    pub(crate) fn claim() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        const WANTED: u64 = 65_536;
        let limit = getrlimit(Resource::Nofile);
        let maximum = limit.maximum.unwrap_or(WANTED);
        let mut current = limit.current.unwrap_or(WANTED);
        if current < WANTED.min(maximum) {
            let raised = Rlimit { current: Some(WANTED.min(maximum)), maximum: limit.maximum };
            if setrlimit(Resource::Nofile, raised).is_ok() {
                current = WANTED.min(maximum);
            }
        }
        // At the usual hard limit of 4,096 everything has its full share.
        let share = |full: usize| {
            let scaled = full * usize::try_from(current.min(4096)).unwrap_or(4096) / 4096;
            scaled.max(8)
        };
        Self {
            prefetch: Limits { ready: share(128), cursors: share(256) },
            open_ancestors: share(512),
            window: share(1024),
        }
    }
}

impl Walk {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { prefetch: Prefetch::new(budget.prefetch), budget }
    }

    /// Reads directories ahead until [`Walk::stop`]; runs on any number of threads.
    pub(crate) fn read_ahead(&self) {
        self.prefetch.run();
    }

    /// Ends [`Walk::read_ahead`].
    pub(crate) fn stop(&self) {
        self.prefetch.stop();
    }

    /// Walks from a root; `visit` returns whether to go on.
    pub(crate) fn run(&self, root: impl AsFd, mut visit: impl FnMut(Visit) -> bool) -> Result<(), Error> {
        let listing = directory::list(root, c".", || "/".to_owned())?;
        let mut path = Vec::new();
        let first = Visit { directory: Arc::clone(&listing.fd), name: CString::default(), path: b".".to_vec() };
        if !visit(first) {
            return Ok(());
        }
        self.prefetch.enter(&Key::new(), &listing, &path);
        let mut levels = vec![Level::new(listing, Key::new(), 0, &path)?];
        while let Some(level) = levels.last_mut() {
            if level.next == level.names.len() {
                let finished = levels.pop().expect("there is a last level");
                path.truncate(finished.path_bytes);
                if let Some(parent) = levels.last_mut() {
                    parent.reopen(&finished, &path)?;
                }
                continue;
            }
            let index = level.next;
            level.next += 1;
            let names = Arc::clone(&level.names);
            let fd = Arc::clone(level.fd.as_ref().expect("the deepest level is open"));
            let name = names.name(index);
            if !names.is_directory(index) {
                let going_on = visit(Visit { directory: fd, name: name.to_owned(), path: prefetch::join(&path, name) });
                if !going_on {
                    return Ok(());
                }
                continue;
            }
            let ordinal = level.next_directory;
            level.next_directory += 1;
            let key = level.key.clone();
            let parent_bytes = path.len();
            let listing = self.prefetch.take(&key, ordinal, &fd, &names, &path)?;
            push(&mut path, name);
            let going_on =
                visit(Visit { directory: Arc::clone(&listing.fd), name: CString::default(), path: path.clone() });
            if !going_on {
                return Ok(());
            }
            levels.push(Level::new(listing, child_key(&key, ordinal), parent_bytes, &path)?);
            if let Some(far) = levels.len().checked_sub(self.budget.open_ancestors + 1) {
                levels[far].fd = None;
            }
        }
        Ok(())
    }
}

impl Level {
    fn new(listing: Listing, key: Key, path_bytes: usize, path: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            id: identity(&listing.fd, path)?,
            fd: Some(listing.fd),
            names: listing.names,
            key,
            next: 0,
            next_directory: 0,
            path_bytes,
        })
    }

    /// Opens the directory again from a subdirectory, if it was closed because the tree is deep.
    fn reopen(&mut self, child: &Self, path: &[u8]) -> Result<(), Error> {
        if self.fd.is_some() {
            return Ok(());
        }
        let child = child.fd.as_ref().expect("a level that was walked is open");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(child, c"..", flags, Mode::empty())
            .map_err(|error| Error::read(format!("the directory {}", String::from_utf8_lossy(path)), error))?;
        if identity(&fd, path)? != self.id {
            return Err(Error::read(
                format!("the directory {}", String::from_utf8_lossy(path)),
                std::io::Error::other("it was moved while it was read"),
            ));
        }
        self.fd = Some(Arc::new(fd));
        Ok(())
    }
}

fn identity(fd: &OwnedFd, path: &[u8]) -> Result<(u64, u64), Error> {
    let stat = rustix::fs::fstat(fd)
        .map_err(|error| Error::read(format!("the directory {}", String::from_utf8_lossy(path)), error))?;
    Ok((stat.st_dev, stat.st_ino))
}

fn push(path: &mut Vec<u8>, name: &CStr) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
}
