//! One directory: its names, sorted bytewise, in as little memory as they take.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::error::Error;

/// A directory that was opened and read.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) names: Arc<Names>,
}

/// The names in one directory. Two bytes and an offset beside each name: millions of files fit.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// For each name: 1 for a directory or 0, the name, NUL.
    arena: Vec<u8>,
    offsets: Vec<usize>,
    /// Which of the names are directories, as positions in `offsets`.
    directories: Vec<usize>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn name(&self, index: usize) -> &CStr {
        CStr::from_bytes_until_nul(&self.arena[self.offsets[index] + 1..]).expect("every name is followed by a NUL")
    }

    pub(super) fn is_directory(&self, index: usize) -> bool {
        self.arena[self.offsets[index]] == 1
    }

    /// Positions of the directories among the names.
    pub(super) fn directories(&self) -> &[usize] {
        &self.directories
    }

    pub(super) fn bytes(&self) -> usize {
        self.arena.len() + (self.offsets.len() + self.directories.len()) * size_of::<usize>()
    }

    fn push(&mut self, name: &CStr, is_directory: bool) {
        self.offsets.push(self.arena.len());
        self.arena.push(u8::from(is_directory));
        self.arena.extend_from_slice(name.to_bytes_with_nul());
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        let key = |offset: &usize| {
            CStr::from_bytes_until_nul(&arena[*offset + 1..]).expect("every name is followed by a NUL").to_bytes()
        };
        self.offsets.sort_unstable_by(|left, right| key(left).cmp(key(right)));
        self.directories = (0..self.offsets.len()).filter(|index| arena[self.offsets[*index]] == 1).collect();
        self.arena.shrink_to_fit();
        self.offsets.shrink_to_fit();
    }
}

/// Opens a directory below another one and reads it. Symbolic links are not followed.
pub(super) fn list(parent: impl AsFd, name: &CStr, path: impl FnOnce() -> String) -> Result<Listing, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let listing = rustix::fs::openat(parent, name, flags, Mode::empty());
    let listing = listing.and_then(|fd| {
        // What is mounted on a directory is not part of this filesystem; the root itself is a mount, too.
        let other = name != c"." && is_mount_root(&fd)?;
        read(fd, other)
    });
    listing.map_err(|error| Error::read(format!("the directory {}", path()), error))
}

fn is_mount_root(fd: &OwnedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn read(fd: OwnedFd, as_empty: bool) -> Result<Listing, Errno> {
    let mut names = Names::default();
    if as_empty {
        return Ok(Listing { fd: Arc::new(fd), names: Arc::new(names) });
    }
    let mut buffer: Vec<MaybeUninit<u8>> = vec![MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(fd.as_fd(), &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => {
                let stat = rustix::fs::statat(fd.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            }
            _ => false,
        };
        names.push(name, is_directory);
    }
    names.sort();
    Ok(Listing { fd: Arc::new(fd), names: Arc::new(names) })
}
