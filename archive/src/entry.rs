//! One thing in a filesystem, as the walker describes it to the tar writer. Owns what an entry may be; reads no
//! filesystem.

use crate::acl::PosixAcl;
use crate::error::{Error, Result};
use crate::flag::FileFlags;

/// A path relative to the root of the filesystem: any bytes but NUL, no leading or trailing slash, no `.` or `..` in
/// it. The root itself is `.`.
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

/// Segments of sparse files are of whole blocks.
const SEGMENT_BYTES: u64 = 512;

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
    /// `None`: the whole file is data. `Some`: a sparse file with these segments: in order, without overlap, none
    /// empty, within the size, all but the last of whole blocks of 512 bytes. [`Self::sparse`] makes them so.
    pub extents: Option<Vec<Extent>>,
}

impl FileLayout {
    /// A file without holes.
    pub fn dense(size: u64) -> Self {
        Self { size, extents: None }
    }

    /// A file with holes. The extents are widened to whole blocks of 512 bytes and joined where they meet, so the
    /// content must be read by [`Self::extents`] of the result; extents that cover the whole file make a dense one.
    ///
    /// GNU tar begins each segment in a new block when it reads, other tools do not: only segments of whole blocks mean
    /// the same to all.
    pub fn sparse(size: u64, extents: Vec<Extent>) -> Self {
        let mut widened: Vec<Extent> = Vec::with_capacity(extents.len());
        for extent in extents {
            let offset = extent.offset / SEGMENT_BYTES * SEGMENT_BYTES;
            let end = extent.offset.saturating_add(extent.bytes);
            let end = end.checked_next_multiple_of(SEGMENT_BYTES).unwrap_or(end).min(size.max(end));
            match widened.last_mut() {
                Some(last) if offset <= last.offset + last.bytes && offset >= last.offset => {
                    last.bytes = last.bytes.max(end - last.offset);
                }
                _ => widened.push(Extent { offset, bytes: end - offset }),
            }
        }
        let whole = match widened.as_slice() {
            [] => size == 0,
            [only] => only.offset == 0 && only.bytes == size,
            _ => false,
        };
        Self { size, extents: (!whole).then_some(widened) }
    }

    /// Bytes that the content source must give.
    pub fn stored_bytes(&self) -> u64 {
        self.extents.as_ref().map_or(self.size, |extents| extents.iter().map(|extent| extent.bytes).sum())
    }

    pub(crate) fn check(&self, path: &EntryPath) -> Result<()> {
        let mut end = 0;
        let count = self.extents.as_ref().map_or(0, Vec::len);
        for (number, extent) in self.extents.iter().flatten().enumerate() {
            let ordered = extent.offset >= end && extent.bytes > 0;
            let whole_blocks = number + 1 == count || extent.bytes.is_multiple_of(SEGMENT_BYTES);
            match extent.offset.checked_add(extent.bytes) {
                Some(next) if ordered && whole_blocks && next <= self.size => end = next,
                _ => {
                    let Extent { offset, bytes } = extent;
                    let reason = format!(
                        "extent {number} ({bytes} bytes at {offset}) is empty, out of order, not of whole blocks, or outside the {} bytes of the file",
                        self.size
                    );
                    return Err(Error::entry(path.as_bytes(), reason));
                }
            }
        }
        Ok(())
    }
}

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
    Directory,
    /// A symbolic link with its target, any bytes.
    Symlink(Vec<u8>),
    /// Another name of a file that came before under this path.
    HardLink(EntryPath),
    /// A named pipe.
    Fifo,
    CharacterDevice(DeviceNumber),
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
    /// Extended attributes, in the order in which they are written. `system.posix_acl_*` do not belong here but in the
    /// next two.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["", "/", "/etc", "a/", "a//b", "../a", "a/../b", "a/./b", "./a", "a\0b"] {
            assert!(EntryPath::new(path).is_err(), "{path:?}");
        }
        assert!(EntryPath::new(".").unwrap().is_root());
        assert!(EntryPath::new("..a/.b/c..").is_ok());
    }

    #[test]
    fn extents_become_whole_blocks() {
        let extent = |offset, bytes| Extent { offset, bytes };
        let layout =
            FileLayout::sparse(10_000, vec![extent(100, 3), extent(600, 1), extent(5000, 200), extent(9_990, 5)]);
        assert_eq!(layout.extents.as_deref(), Some(&[extent(0, 1024), extent(4608, 1024), extent(9728, 272)][..]));
        assert!(layout.check(&EntryPath::root()).is_ok());
        assert_eq!(FileLayout::sparse(700, vec![extent(0, 300), extent(500, 200)]), FileLayout::dense(700));
    }

    #[test]
    fn extents_that_cannot_be_are_refused() {
        let extent = |offset, bytes| Extent { offset, bytes };
        for extents in [
            vec![extent(0, 0)],
            vec![extent(512, 512), extent(0, 512)],
            vec![extent(0, 100), extent(512, 512)],
            vec![extent(512, 1000)],
            vec![extent(u64::MAX, 2)],
        ] {
            let layout = FileLayout { size: 1024, extents: Some(extents) };
            assert!(layout.check(&EntryPath::root()).is_err(), "{layout:?}");
        }
    }
}
