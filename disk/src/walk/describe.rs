//! One thing in a filesystem: all that tar can hold of it. Nothing is opened but regular files and directories.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use archive::{DeviceNumber, Entry, EntryKind, EntryPath, Extent, FileFlags, FileLayout, PosixAcl, Timestamp, Xattr};
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags, SeekFrom, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::visit::Visit;
use crate::error::Error;

/// Beyond this many pieces the smallest holes of a file are stored as zeros.
const MAX_EXTENTS: usize = 1 << 20;

/// The kernel's limits of an attribute's value and of the list of names.
const XATTR_BYTES: usize = 64 * 1024;

/// What a visit came to.
#[derive(Debug)]
pub(crate) enum Described {
    /// Something that tar holds.
    Entry(Box<Thing>),
    Socket,
}

/// An entry, and what it takes to read it.
#[derive(Debug)]
pub(crate) struct Thing {
    pub(crate) entry: Entry,
    /// Open when there is content.
    pub(crate) file: Option<OwnedFd>,
    /// Device, inode and number of names, where there is more than one.
    pub(crate) links: Option<Links>,
}

/// The identity of something with several names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) count: u32,
}

/// Looks at what the walk came to.
pub(crate) fn describe(visit: &Visit) -> Result<Described, Error> {
    let failed = |error: io::Error| Error::read(display(&visit.path), error);
    let stat = stat(visit.directory.as_fd(), &visit.name).map_err(|error| failed(error.into()))?;
    let kind = FileType::from_raw_mode(stat.stx_mode.into());
    let mut file = None;
    let entry_kind = match kind {
        FileType::Socket => return Ok(Described::Socket),
        FileType::Directory => EntryKind::Directory,
        FileType::RegularFile => {
            let open = open_file(visit, &stat).map_err(failed)?;
            let layout = layout(&open, &stat).map_err(|error| failed(error.into()))?;
            file = Some(open);
            EntryKind::File(layout)
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&visit.directory, &visit.name, Vec::new())
                .map_err(|error| failed(error.into()))?;
            EntryKind::Symlink(target.into_bytes())
        }
        FileType::Fifo => EntryKind::Fifo,
        FileType::CharacterDevice => EntryKind::CharacterDevice(device_number(&stat)),
        FileType::BlockDevice => EntryKind::BlockDevice(device_number(&stat)),
        FileType::Unknown => {
            return Err(failed(io::Error::other("it is of a kind that is not known")));
        }
    };
    let open: Option<BorrowedFd<'_>> = match (&file, kind) {
        (Some(file), _) => Some(file.as_fd()),
        (None, FileType::Directory) => Some(visit.directory.as_fd()),
        (None, _) => None,
    };
    let mut entry = Entry::new(EntryPath::new(visit.path.as_slice())?, entry_kind);
    entry.mode = u32::from(stat.stx_mode) & 0o7777;
    entry.uid = stat.stx_uid;
    entry.gid = stat.stx_gid;
    entry.mtime = Timestamp { seconds: stat.stx_mtime.tv_sec, nanoseconds: stat.stx_mtime.tv_nsec };
    entry.flags = match open {
        Some(fd) => flags(fd).map_err(|error| failed(error.into()))?,
        None => flags_of_attributes(stat.stx_attributes),
    };
    let attributes = Attributes::new(visit, open);
    add_xattrs(&mut entry, &attributes).map_err(|problem| match problem {
        XattrProblem::System(error) => Error::read(format!("the attributes of {}", display(&visit.path)), error),
        XattrProblem::Acl(error) => Error::Archive(error),
    })?;
    let has_links = stat.stx_nlink > 1 && kind != FileType::Directory;
    Ok(Described::Entry(Box::new(Thing {
        entry,
        file,
        links: has_links.then(|| Links {
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            count: stat.stx_nlink,
        }),
    })))
}

fn stat(directory: BorrowedFd<'_>, name: &CStr) -> Result<Statx, Errno> {
    let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if name.is_empty() {
        flags |= AtFlags::EMPTY_PATH;
    }
    rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS)
}

/// Opens a regular file, and makes sure that it is the one that was looked at.
fn open_file(visit: &Visit, stat: &Statx) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::openat(&visit.directory, &visit.name, flags, Mode::empty());
    let file = match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }?;
    let opened = self::stat(file.as_fd(), c"")?;
    if (opened.stx_ino, opened.stx_mode, opened.stx_size) != (stat.stx_ino, stat.stx_mode, stat.stx_size) {
        return Err(io::Error::other("it changed while it was opened"));
    }
    Ok(file)
}

/// Which parts of a file hold data. Only files with fewer blocks than their size needs are asked.
fn layout(file: &OwnedFd, stat: &Statx) -> Result<FileLayout, Errno> {
    let size = stat.stx_size;
    if size == 0 || stat.stx_blocks.saturating_mul(512) >= size {
        return Ok(FileLayout::dense(size));
    }
    let mut extents: Vec<Extent> = Vec::new();
    let mut least_hole = 0;
    let mut position = 0;
    while position < size {
        let begin = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(data) if data < size => data,
            Ok(_) | Err(Errno::NXIO) => break,
            // The filesystem knows of no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) if position == 0 => {
                return Ok(FileLayout::dense(size));
            }
            Err(error) => return Err(error),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(begin))?.min(size);
        match extents.last_mut() {
            Some(last) if begin - (last.offset + last.bytes) <= least_hole => {
                last.bytes = end - last.offset;
            }
            _ => extents.push(Extent { offset: begin, bytes: end - begin }),
        }
        if extents.len() > MAX_EXTENTS {
            least_hole = (least_hole * 2).max(4096);
            merge(&mut extents, least_hole);
        }
        position = end;
    }
    Ok(FileLayout::sparse(size, extents))
}

/// Joins extents between which there is no more than `least_hole`.
fn merge(extents: &mut Vec<Extent>, least_hole: u64) {
    extents.dedup_by(|next, before| {
        let joined = next.offset - (before.offset + before.bytes) <= least_hole;
        if joined {
            before.bytes = next.offset + next.bytes - before.offset;
        }
        joined
    });
}

fn device_number(stat: &Statx) -> DeviceNumber {
    DeviceNumber { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }
}

fn flags(fd: BorrowedFd<'_>) -> Result<FileFlags, Errno> {
    match rustix::fs::ioctl_getflags(fd) {
        Ok(flags) => Ok(FileFlags::from_bits(flags.bits())),
        // Filesystems without flags.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(FileFlags::default()),
        Err(error) => Err(error),
    }
}

/// The flags that can be had without opening.
fn flags_of_attributes(attributes: StatxAttributes) -> FileFlags {
    let pairs = [
        (StatxAttributes::IMMUTABLE, IFlags::IMMUTABLE),
        (StatxAttributes::APPEND, IFlags::APPEND),
        (StatxAttributes::NODUMP, IFlags::NODUMP),
    ];
    let flags = pairs
        .into_iter()
        .filter(|(attribute, _)| attributes.contains(*attribute))
        .fold(IFlags::empty(), |flags, (_, flag)| flags | flag);
    FileFlags::from_bits(flags.bits())
}

/// Where the attributes of something are asked for: by its descriptor, or, unopened, by name below that of its
/// directory.
enum Attributes<'a> {
    Open(BorrowedFd<'a>),
    Named(CString),
}

enum XattrProblem {
    System(io::Error),
    Acl(archive::Error),
}

impl<'a> Attributes<'a> {
    fn new(visit: &Visit, open: Option<BorrowedFd<'a>>) -> Self {
        if let Some(fd) = open {
            return Self::Open(fd);
        }
        let mut path = format!("/proc/self/fd/{}/", visit.directory.as_raw_fd()).into_bytes();
        path.extend_from_slice(visit.name.to_bytes());
        Self::Named(CString::new(path).expect("a name has no NUL"))
    }

    fn list(&self, names: &mut Vec<u8>) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => rustix::fs::flistxattr(fd, spare_capacity(names)),
            Self::Named(path) => rustix::fs::llistxattr(path.as_c_str(), spare_capacity(names)),
        }
    }

    fn get(&self, name: &CStr, value: &mut Vec<u8>) -> Result<usize, Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fgetxattr(fd, name, spare_capacity(value)),
            Self::Named(path) => rustix::fs::lgetxattr(path.as_c_str(), name, spare_capacity(value)),
        }
    }
}

fn add_xattrs(entry: &mut Entry, attributes: &Attributes<'_>) -> Result<(), XattrProblem> {
    let system = |error: Errno| XattrProblem::System(error.into());
    let names = match growing(256, |buffer| attributes.list(buffer)) {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(system(error)),
    };
    let mut names: Vec<CString> = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| CString::new(name).expect("split at every NUL"))
        .collect();
    names.sort_unstable();
    for name in names {
        let value = growing(256, |buffer| attributes.get(&name, buffer)).map_err(system)?;
        let path = entry.path.as_bytes();
        match name.as_bytes() {
            b"system.posix_acl_access" => {
                entry.acl_access = Some(PosixAcl::from_xattr(path, &value).map_err(XattrProblem::Acl)?);
            }
            b"system.posix_acl_default" => {
                entry.acl_default = Some(PosixAcl::from_xattr(path, &value).map_err(XattrProblem::Acl)?);
            }
            name => entry.xattrs.push(Xattr { name: name.to_vec(), value }),
        }
    }
    Ok(())
}

/// Calls with a small buffer, then with the largest that the kernel fills.
fn growing(least: usize, call: impl Fn(&mut Vec<u8>) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(least);
    match call(&mut buffer) {
        Ok(_) => Ok(buffer),
        Err(Errno::RANGE) => {
            buffer = Vec::with_capacity(XATTR_BYTES);
            call(&mut buffer).map(|_| {
                buffer.shrink_to_fit();
                buffer
            })
        }
        Err(error) => Err(error),
    }
}

/// A path as messages show it.
pub(crate) fn display(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}
