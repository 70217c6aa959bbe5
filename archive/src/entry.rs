//! One thing in a filesystem, as the walker describes it to the tar writer. Owns what an entry may be; reads no filesystem.

use crate::acl::PosixAcl;
use crate::error::{Error, Result};
use crate::flag::FileFlags;

/// A path relative to the root of the filesystem: any bytes but NUL, no leading or trailing slash, no `.` or `..` in it. The root itself is `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPath(Vec<u8>);

impl EntryPath {
    /// The root directory of the filesystem.
    pub fn root() -> Self {
        Self(b".".to_vec())
    }

    /// Checks a path.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self> {
        let path = path.into();
        if path == b"." {
            return Ok(Self(path));
        }
        if path.contains(&0) {
            return Err(Error::entry(&path, "its name holds a NUL"));
        }
        let refused = |part: &[u8]| part.is_empty() || part == b"." || part == b"..";
        if path.split(|byte| *byte == b'/').any(refused) {
            return Err(Error::entry(&path, "it is not a plain path relative to the root"));
        }
        Ok(Self(path))
    }

    /// The bytes of the path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root directory.
    pub fn is_root(&self) -> bool {
        self.0 == b"."
    }

    /// For messages: what is not UTF-8 is replaced.
    pub fn to_lossy(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// A segment of a file that holds data; what lies between is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The size of a regular file and which of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayout {
    /// Logical size in bytes.
    pub size: u64,
    /// `None`: the whole file is data. `Some`: a sparse file with these segments: in order, without overlap, none empty, within the size.
    pub extents: Option<Vec<Extent>>,
}

impl FileLayout {
    /// A file without holes.
    pub fn dense(size: u64) -> Self {
        Self { size, extents: None }
    }

    /// A file with holes. Extents that cover the whole file make a dense one.
    pub fn sparse(size: u64, extents: Vec<Extent>) -> Self {
        let whole = match extents.as_slice() {
            [] => size == 0,
            [only] => only.offset == 0 && only.bytes == size,
            _ => false,
        };
        Self { size, extents: (!whole).then_some(extents) }
    }

    /// Bytes that the content source must give.
    pub fn stored_bytes(&self) -> u64 {
        self.extents.as_ref().map_or(self.size, |extents| extents.iter().map(|extent| extent.bytes).sum())
    }

    pub(crate) fn check(&self, path: &EntryPath) -> Result<()> {
        let mut end = 0;
        for (number, extent) in self.extents.iter().flatten().enumerate() {
            let ordered = extent.offset >= end && extent.bytes > 0;
            match extent.offset.checked_add(extent.bytes) {
                Some(next) if ordered && next <= self.size => end = next,
                _ => {
                    return Err(Error::entry(
                        path.as_bytes(),
                        format!(
                            "extent {number} ({} bytes at {}) is empty, out of order, or lies outside its {} bytes",
                            extent.bytes, extent.offset, self.size
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A device number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file; its content comes beside the entry.
    File(FileLayout),
    /// A directory.
    Directory,
    /// A symbolic link with its target, any bytes.
    Symlink(Vec<u8>),
    /// Another name of a file that came before under this path.
    HardLink(EntryPath),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
}

/// Seconds since 1970, which may be negative, and the nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999, counted forward from `seconds`.
    pub nanoseconds: u32,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// Its full name: `user.comment`, `security.capability`.
    pub name: Vec<u8>,
    /// Its value, any bytes.
    pub value: Vec<u8>,
}

/// One thing in a filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky (`0o7777`); the bits of the file type are ignored.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes, in the order in which they are written. `system.posix_acl_*` do not belong here but in the next two.
    pub xattrs: Vec<Xattr>,
    /// The access ACL, when there is more than the mode says.
    pub acl_access: Option<PosixAcl>,
    /// The default ACL of a directory.
    pub acl_default: Option<PosixAcl>,
    /// Flags of `chattr`, as `FS_IOC_GETFLAGS` gives them.
    pub flags: FileFlags,
}

impl Entry {
    /// An entry of root's with mode 0644 (directories 0755), from 1970, without attributes.
    pub fn new(path: EntryPath, kind: EntryKind) -> Self {
        let mode = match kind {
            EntryKind::Directory => 0o755,
            EntryKind::Symlink(_) => 0o777,
            EntryKind::File(_)
            | EntryKind::HardLink(_)
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_) => 0o644,
        };
        Self {
            path,
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            xattrs: Vec::new(),
            acl_access: None,
            acl_default: None,
            flags: FileFlags::default(),
        }
    }

    /// Bytes that the content source must give.
    pub fn stored_bytes(&self) -> u64 {
        match &self.kind {
            EntryKind::File(layout) => layout.stored_bytes(),
            EntryKind::Directory
            | EntryKind::Symlink(_)
            | EntryKind::HardLink(_)
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_) => 0,
        }
    }

    /// Refuses what tar cannot hold.
    pub(crate) fn check(&self) -> Result<()> {
        let path = self.path.as_bytes();
        if self.path.is_root() && self.kind != EntryKind::Directory {
            return Err(Error::entry(path, "the root is not a directory"));
        }
        if self.mtime.nanoseconds > 999_999_999 {
            return Err(Error::entry(path, "its time has more than a second of nanoseconds"));
        }
        if self.xattrs.iter().any(|xattr| xattr.name.is_empty() || xattr.name.contains(&0)) {
            return Err(Error::entry(path, "an extended attribute has no name, or a NUL in it"));
        }
        match &self.kind {
            EntryKind::File(layout) => layout.check(&self.path),
            EntryKind::Symlink(target) if target.is_empty() || target.contains(&0) => {
                Err(Error::entry(path, "its link target is empty or holds a NUL"))
            }
            EntryKind::HardLink(target) if target.is_root() || *target == self.path => {
                Err(Error::entry(path, "it is a hard link to itself or the root"))
            }
            EntryKind::Directory
            | EntryKind::Symlink(_)
            | EntryKind::HardLink(_)
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_) => Ok(()),
        }
    }
}
