//! Reads directories ahead of the walk, nearest first, so that the walk seldom waits for a cold disk.
//!
//! It cannot deadlock: a directory that nobody has begun to read when the walk arrives there is read by the walk
//! itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::directory::{Listing, Names, list};
use crate::error::Error;

/// Directories deeper than this are read when the walk is there: keys stay short.
const MAX_DEPTH: usize = 64;

/// Names held ahead of the walk; one directory more is always allowed.
const HELD_BYTES: usize = 8 * 1024 * 1024;

/// The position of a directory in the walk: which subdirectory of each directory on the way down. Their order is the
/// order of the walk.
pub(super) type Key = Vec<u32>;

/// Limits that keep the number of open files within bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Directories read and not yet walked.
    pub(super) ready: usize,
    /// Directories whose subdirectories are being read.
    pub(super) cursors: usize,
}

/// Shared by the walk and the threads that read ahead.
#[derive(Debug)]
pub(super) struct Prefetch {
    state: Mutex<State>,
    changed: Condvar,
    limits: Limits,
}

#[derive(Debug, Default)]
struct State {
    cursors: BTreeMap<Key, Cursor>,
    ready: HashMap<Key, Result<Listing, Error>>,
    busy: HashSet<Key>,
    held_bytes: usize,
    stopped: bool,
}

#[derive(Debug)]
struct Cursor {
    fd: Arc<OwnedFd>,
    names: Arc<Names>,
    /// Position in `names.directories()` of the next one to read.
    next: usize,
    path: Arc<[u8]>,
}

impl Prefetch {
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limits }
    }

    /// Lets the subdirectories of a directory be read ahead.
    pub(super) fn enter(&self, key: &Key, listing: &Listing, path: &[u8]) {
        self.add(&mut self.lock(), key, &listing.fd, &listing.names, 0, path);
    }

    fn add(&self, state: &mut State, key: &Key, fd: &Arc<OwnedFd>, names: &Arc<Names>, next: usize, path: &[u8]) {
        if key.len() >= MAX_DEPTH || next >= names.directories().len() {
            return;
        }
        state.cursors.entry(key.clone()).or_insert_with(|| Cursor {
            fd: Arc::clone(fd),
            names: Arc::clone(names),
            next,
            path: path.into(),
        });
        if state.cursors.len() > self.limits.cursors {
            state.cursors.pop_last();
        }
        self.changed.notify_all();
    }

    /// The listing of subdirectory number `ordinal` of a directory; reads it here and now if nobody has begun to.
    pub(super) fn take(
        &self,
        key: &Key,
        ordinal: usize,
        fd: &Arc<OwnedFd>,
        names: &Arc<Names>,
        path: &[u8],
    ) -> Result<Listing, Error> {
        let index = names.directories()[ordinal];
        let name = names.name(index);
        if key.len() >= MAX_DEPTH {
            return list(fd, name, || display(path, name));
        }
        let child = child_key(key, ordinal);
        let mut state = self.lock();
        loop {
            if let Some(listing) = state.ready.remove(&child) {
                state.held_bytes -= listing.as_ref().map_or(0, |listing| listing.names.bytes());
                self.changed.notify_all();
                return listing;
            }
            if state.stopped {
                return Err(Error::Cancelled);
            }
            if !state.busy.contains(&child) {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(cursor) = state.cursors.get_mut(key) {
            cursor.next = cursor.next.max(ordinal + 1);
        } else {
            self.add(&mut state, key, fd, names, ordinal + 1, path);
        }
        drop(state);
        let listing = list(fd, name, || display(path, name))?;
        self.enter(&child, &listing, &join(path, name));
        Ok(listing)
    }

    /// Reads ahead until stopped; runs on any number of threads.
    pub(super) fn run(&self) {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return;
            }
            let room = state.held_bytes < HELD_BYTES && state.ready.len() + state.busy.len() < self.limits.ready;
            let job = if room { claim(&mut state) } else { None };
            let Some((child, cursor_fd, names, index, path)) = job else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let name = names.name(index);
            let listing = list(&cursor_fd, name, || display(&path, name));
            state = self.lock();
            state.busy.remove(&child);
            if let Ok(listing) = &listing {
                state.held_bytes += listing.names.bytes();
                self.add(&mut state, &child, &listing.fd, &listing.names, 0, &join(&path, name));
            }
            state.ready.insert(child, listing);
            self.changed.notify_all();
        }
    }

    /// Ends every [`Prefetch::run`].
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.cursors.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Job = (Key, Arc<OwnedFd>, Arc<Names>, usize, Arc<[u8]>);

/// The nearest directory that nobody reads yet.
fn claim(state: &mut State) -> Option<Job> {
    while let Some(mut entry) = state.cursors.first_entry() {
        let cursor = entry.get_mut();
        let ordinal = cursor.next;
        let Some(index) = cursor.names.directories().get(ordinal).copied() else {
            entry.remove();
            continue;
        };
        cursor.next += 1;
        let child = child_key(entry.key(), ordinal);
        if state.busy.contains(&child) || state.ready.contains_key(&child) {
            continue;
        }
        let cursor = entry.get();
        let job = (child.clone(), Arc::clone(&cursor.fd), Arc::clone(&cursor.names), index, Arc::clone(&cursor.path));
        state.busy.insert(child);
        return Some(job);
    }
    None
}

pub(super) fn child_key(key: &Key, ordinal: usize) -> Key {
    let mut child = Vec::with_capacity(key.len() + 1);
    child.extend_from_slice(key);
    child.push(u32::try_from(ordinal).unwrap_or(u32::MAX));
    child
}

/// The path of a name in a directory; the root is empty.
pub(super) fn join(path: &[u8], name: &CStr) -> Vec<u8> {
    if path.is_empty() {
        return name.to_bytes().to_vec();
    }
    [path, name.to_bytes()].join(&b'/')
}

fn display(path: &[u8], name: &CStr) -> String {
    String::from_utf8_lossy(&join(path, name)).into_owned()
}
