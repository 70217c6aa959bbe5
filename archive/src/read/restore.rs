//! Putting entries back into a directory, without ever leaving it.
//!
//! Every path is walked from the destination, one directory after the other, following no symbolic link; nothing that
//! is there is overwritten.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Gid, IFlags, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fsetxattr, futimens,
    ioctl_setflags, linkat, lsetxattr, makedev, mkdirat, mknodat, openat, symlinkat, utimensat,
};

use super::archive::ArchiveReader;
use crate::entry::{Entry, EntryKind, EntryPath, FileLayout, Timestamp};
use crate::error::{Error, Result};
use crate::flag::FileFlags;

/// How much of an entry besides its content is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMetadata {
    /// Permission bits and time: what an ordinary user can set.
    Basic,
    /// Also owner, set-id bits, ACLs, extended attributes and flags. Needs root.
    Full,
}

/// Restores entries into one directory.
pub struct Restorer {
    root: OwnedFd,
    metadata: RestoreMetadata,
    /// What would hinder the entries after it: times and modes of directories, flags.
    deferred: Vec<Deferred>,
}

struct Deferred {
    path: EntryPath,
    directory: Option<(u32, Timestamp)>,
    flags: FileFlags,
}

impl Restorer {
    /// Restores into an existing directory.
    pub fn new(destination: &Path, metadata: RestoreMetadata) -> Result<Self> {
        let root = File::open(destination).map_err(|source| Error::Restore {
            path: destination.display().to_string(),
            tried: "open the destination",
            source,
        })?;
        Ok(Self { root: root.into(), metadata, deferred: Vec::new() })
    }

    /// Restores the entry that `reader` has just given, with its content.
    pub fn restore(&mut self, entry: &Entry, reader: &mut ArchiveReader) -> Result<()> {
        let at = Attempt(&entry.path);
        if entry.path.is_root() {
            let root = self.root.try_clone().map_err(|error| at.io("open", error))?;
            return self.directory(entry, &root);
        }
        let (parent, name) = self.parent_of(&entry.path)?;
        match &entry.kind {
            EntryKind::File(layout) => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file =
                    openat(&parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(|error| at.os("create", error))?;
                let file = File::from(file);
                write_content(&at, &file, layout, reader)?;
                self.file(entry, &file)
            }
            EntryKind::Directory => {
                let directory = open_or_make_directory(&at, &parent, name, Mode::RWXU)?;
                self.directory(entry, &directory)
            }
            EntryKind::Symlink(target) => {
                symlinkat(target.as_slice(), &parent, name).map_err(|error| at.os("make the link", error))?;
                self.special(entry, &parent, name)
            }
            EntryKind::HardLink(target) => {
                let (target_parent, target_name) = self.parent_of(target)?;
                linkat(&target_parent, target_name, &parent, name, AtFlags::empty())
                    .map_err(|error| at.os("link to the file that it is another name of", error))
            }
            EntryKind::Fifo => {
                make_node(&at, &parent, name, FileType::Fifo, 0)?;
                self.special(entry, &parent, name)
            }
            EntryKind::CharacterDevice(device) => {
                make_node(&at, &parent, name, FileType::CharacterDevice, makedev(device.major, device.minor))?;
                self.special(entry, &parent, name)
            }
            EntryKind::BlockDevice(device) => {
                make_node(&at, &parent, name, FileType::BlockDevice, makedev(device.major, device.minor))?;
                self.special(entry, &parent, name)
            }
        }
    }

    /// Sets what had to wait: times and modes of directories, flags that forbid changes. Call it after the last entry.
    pub fn finish(mut self) -> Result<()> {
        for Deferred { path, directory, flags } in std::mem::take(&mut self.deferred).into_iter().rev() {
            let at = Attempt(&path);
            let file = if path.is_root() {
                self.root.try_clone().map_err(|error| at.io("open", error))?
            } else {
                let (parent, name) = self.parent_of(&path)?;
                let mode = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                openat(&parent, name, mode, Mode::empty()).map_err(|error| at.os("open", error))?
            };
            if let Some((mode, mtime)) = directory {
                set_mode(&at, &file, mode)?;
                futimens(&file, &times(mtime)).map_err(|error| at.os("set its time", error))?;
            }
            if !flags.is_empty() {
                ioctl_setflags(&file, IFlags::from_bits_retain(flags.bits()))
                    .map_err(|error| at.os("set its flags", error))?;
            }
        }
        Ok(())
    }

    /// Opens (or makes) the directory in which a path is, without following links.
    fn parent_of<'a>(&self, path: &'a EntryPath) -> Result<(OwnedFd, &'a [u8])> {
        let at = Attempt(path);
        let mut directory = self.root.try_clone().map_err(|error| at.io("open the destination", error))?;
        let mut parts = path.as_bytes().split(|byte| *byte == b'/').peekable();
        loop {
            // `split` gives at least one part, and `EntryPath` holds no empty one.
            let part = parts.next().unwrap_or_default();
            if parts.peek().is_none() {
                return Ok((directory, part));
            }
            directory = open_or_make_directory(&at, &directory, part, Mode::from_raw_mode(0o755))?;
        }
    }

    fn file(&mut self, entry: &Entry, file: &File) -> Result<()> {
        let at = Attempt(&entry.path);
        if self.metadata == RestoreMetadata::Full {
            set_owner(&at, file, b"", entry, AtFlags::EMPTY_PATH)?;
        }
        set_mode(&at, file, self.mode(entry))?;
        if self.metadata == RestoreMetadata::Full {
            set_attributes(&at, file, entry)?;
        }
        futimens(file, &times(entry.mtime)).map_err(|error| at.os("set its time", error))?;
        self.defer(entry, None);
        Ok(())
    }

    fn directory(&mut self, entry: &Entry, directory: &OwnedFd) -> Result<()> {
        let at = Attempt(&entry.path);
        let mode = self.mode(entry);
        if self.metadata == RestoreMetadata::Full {
            set_owner(&at, directory, b"", entry, AtFlags::EMPTY_PATH)?;
            set_attributes(&at, directory, entry)?;
        }
        self.defer(entry, Some((mode, entry.mtime)));
        Ok(())
    }

    /// Links, pipes and devices cannot be opened to change them: their names are used, in a directory that is held
    /// open.
    fn special(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<()> {
        let at = Attempt(&entry.path);
        if self.metadata == RestoreMetadata::Full {
            set_owner(&at, parent, name, entry, AtFlags::SYMLINK_NOFOLLOW)?;
            let prefix = format!("/proc/self/fd/{}/", parent.as_raw_fd());
            let path = [prefix.as_bytes(), name].concat();
            for (attribute, value) in attributes(entry) {
                lsetxattr(path.as_slice(), attribute.as_slice(), &value, XattrFlags::empty())
                    .map_err(|error| at.os("set an extended attribute", error))?;
            }
        }
        if !matches!(entry.kind, EntryKind::Symlink(_)) {
            let prefix = format!("/proc/self/fd/{}/", parent.as_raw_fd());
            let path = [prefix.as_bytes(), name].concat();
            std::fs::set_permissions(OsStr::from_bytes(&path), Permissions::from_mode(self.mode(entry)))
                .map_err(|error| at.io("set its mode", error))?;
        }
        utimensat(parent, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| at.os("set its time", error))
    }

    fn mode(&self, entry: &Entry) -> u32 {
        match self.metadata {
            RestoreMetadata::Basic => entry.mode & 0o777,
            RestoreMetadata::Full => entry.mode & 0o7777,
        }
    }

    fn defer(&mut self, entry: &Entry, directory: Option<(u32, Timestamp)>) {
        let flags = match self.metadata {
            RestoreMetadata::Basic => FileFlags::default(),
            RestoreMetadata::Full => entry.flags,
        };
        if directory.is_some() || !flags.is_empty() {
            self.deferred.push(Deferred { path: entry.path.clone(), directory, flags });
        }
    }
}

/// For messages.
struct Attempt<'a>(&'a EntryPath);

impl Attempt<'_> {
    fn io(&self, tried: &'static str, source: io::Error) -> Error {
        Error::Restore { path: self.0.to_lossy(), tried, source }
    }

    fn os(&self, tried: &'static str, error: rustix::io::Errno) -> Error {
        self.io(tried, error.into())
    }
}

fn open_or_make_directory(at: &Attempt<'_>, parent: &OwnedFd, name: &[u8], mode: Mode) -> Result<OwnedFd> {
    match mkdirat(parent, name, mode) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(at.os("make a directory", error)),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => Error::Unsafe {
            path: at.0.to_lossy(),
            reason: format!("{:?} on its way is no directory: it may lead elsewhere", String::from_utf8_lossy(name)),
        },
        error => at.os("open a directory", error),
    })
}

fn write_content(at: &Attempt<'_>, file: &File, layout: &FileLayout, reader: &mut ArchiveReader) -> Result<()> {
    file.set_len(layout.size).map_err(|error| at.io("set its size", error))?;
    let whole = [crate::entry::Extent { offset: 0, bytes: layout.size }];
    let mut extents = layout.extents.as_deref().unwrap_or(&whole).iter();
    let (mut position, mut left) = (0, 0);
    while let Some(mut piece) = reader.read_content()? {
        while !piece.is_empty() {
            if left == 0 {
                let Some(extent) = extents.next() else { return Ok(()) };
                (position, left) = (extent.offset, extent.bytes);
            }
            let now = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.write_all_at(&piece[..now], position).map_err(|error| at.io("write", error))?;
            position += now as u64;
            left -= now as u64;
            piece = &piece[now..];
        }
    }
    Ok(())
}

fn make_node(at: &Attempt<'_>, parent: &OwnedFd, name: &[u8], kind: FileType, device: u64) -> Result<()> {
    mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device).map_err(|error| at.os("make the node", error))
}

fn set_owner(at: &Attempt<'_>, directory: &impl AsFd, name: &[u8], entry: &Entry, flags: AtFlags) -> Result<()> {
    let (owner, group) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    chownat(directory, name, Some(owner), Some(group), flags).map_err(|error| at.os("set its owner", error))
}

fn set_mode(at: &Attempt<'_>, file: &impl AsFd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).map_err(|error| at.os("set its mode", error))
}

fn set_attributes(at: &Attempt<'_>, file: &impl AsFd, entry: &Entry) -> Result<()> {
    for (name, value) in attributes(entry) {
        fsetxattr(file, name.as_slice(), &value, XattrFlags::empty())
            .map_err(|error| at.os("set an extended attribute", error))?;
    }
    Ok(())
}

/// Extended attributes, ACLs among them.
fn attributes(entry: &Entry) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    let acl = |name: &str, acl: &Option<crate::acl::PosixAcl>| {
        acl.as_ref().map(|acl| (name.as_bytes().to_vec(), acl.to_xattr()))
    };
    let acls = acl("system.posix_acl_access", &entry.acl_access)
        .into_iter()
        .chain(acl("system.posix_acl_default", &entry.acl_default));
    let xattrs = entry.xattrs.iter().map(|xattr| (xattr.name.clone(), xattr.value.clone()));
    acls.chain(xattrs)
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
