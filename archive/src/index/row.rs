//! A row of the index.

use crate::codec::Compression;
use crate::content::ContentHashes;
use crate::digest::Sha256;
use crate::entry::{DeviceNumber, Entry, EntryKind, Timestamp};
use crate::summary::ArtifactSummary;

/// Version of the schema below.
pub const FORMAT_VERSION: u32 = 1;

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKind {
    /// A regular file.
    File,
    Directory,
    /// A symbolic link, with its target.
    Symlink(Vec<u8>),
    /// A further name of the file at this path.
    HardLink(Vec<u8>),
    /// A named pipe.
    Fifo,
    CharacterDevice(DeviceNumber),
    BlockDevice(DeviceNumber),
    /// A block of an image.
    Block {
        /// Where it begins in the image.
        offset: u64,
        /// Whether it is all zeros.
        zero: bool,
    },
}

/// A tar entry, or a block of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// Path within the filesystem, `.` for its root; empty for a block.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: RowKind,
    /// Logical size in bytes.
    pub size: u64,
    /// Bytes of content in the archive: less than `size` for a sparse file.
    pub stored_bytes: u64,
    /// Permission bits; 0 for a block.
    pub mode: u32,
    /// Numeric owner; 0 for a block.
    pub uid: u32,
    /// Numeric group; 0 for a block.
    pub gid: u32,
    /// Modification time; 1970 for a block.
    pub mtime: Timestamp,
    /// SHA-256 of the logical content of files and blocks. Absent for a sparse file whose holes are larger than its
    /// data plus [`crate::HASHED_HOLE_BYTES`]: hashing a terabyte of zeros proves nothing.
    pub sha256: Option<Sha256>,
    /// For sparse files: SHA-256 of the stored data segments alone, one after the other.
    pub stored_sha256: Option<Sha256>,
    /// Where in the compressed stream the member begins in which the entry begins.
    pub member_offset: u64,
    /// Where in the compressed stream the member ends in which the entry ends.
    pub member_end: u64,
    /// Uncompressed bytes of that first member that come before the entry.
    pub skip_bytes: u64,
    /// Length of the entry in the uncompressed stream: headers, content, padding.
    pub entry_bytes: u64,
}

/// Where an entry or a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Location {
    pub(crate) member_offset: u64,
    pub(crate) member_end: u64,
    pub(crate) skip_bytes: u64,
    pub(crate) entry_bytes: u64,
}

impl IndexRow {
    /// The row of a tar entry; `hashes` only for regular files.
    pub(crate) fn of_entry(entry: &Entry, hashes: Option<ContentHashes>, location: Location) -> Self {
        let mut size = 0;
        let kind = match &entry.kind {
            EntryKind::File(layout) => {
                size = layout.size;
                RowKind::File
            }
            EntryKind::Directory => RowKind::Directory,
            EntryKind::Symlink(target) => RowKind::Symlink(target.clone()),
            EntryKind::HardLink(target) => RowKind::HardLink(target.as_bytes().to_vec()),
            EntryKind::Fifo => RowKind::Fifo,
            EntryKind::CharacterDevice(device) => RowKind::CharacterDevice(*device),
            EntryKind::BlockDevice(device) => RowKind::BlockDevice(*device),
        };
        Self {
            path: entry.path.as_bytes().to_vec(),
            kind,
            size,
            stored_bytes: entry.stored_bytes(),
            mode: entry.mode & 0o7777,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            sha256: hashes.and_then(|hashes| hashes.logical),
            stored_sha256: hashes.and_then(|hashes| hashes.stored),
            member_offset: location.member_offset,
            member_end: location.member_end,
            skip_bytes: location.skip_bytes,
            entry_bytes: location.entry_bytes,
        }
    }

    /// The row of a block that fills a member.
    pub(crate) fn of_block(offset: u64, bytes: u64, zero: bool, sha256: Option<Sha256>, members: (u64, u64)) -> Self {
        Self {
            path: Vec::new(),
            kind: RowKind::Block { offset, zero },
            size: bytes,
            stored_bytes: bytes,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            sha256,
            stored_sha256: None,
            member_offset: members.0,
            member_end: members.1,
            skip_bytes: 0,
            entry_bytes: bytes,
        }
    }

    /// What a person calls it: the path, or the place of the block.
    pub fn name(&self) -> String {
        match self.kind {
            RowKind::Block { offset, .. } => format!("block at byte {offset}"),
            RowKind::File
            | RowKind::Directory
            | RowKind::Symlink(_)
            | RowKind::HardLink(_)
            | RowKind::Fifo
            | RowKind::CharacterDevice(_)
            | RowKind::BlockDevice(_) => String::from_utf8_lossy(&self.path).into_owned(),
        }
    }
}

/// Whether an artifact is a tar stream or an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// Rows are tar entries.
    Tar,
    /// Rows are blocks.
    Image,
}

/// What the index says about its artifact as a whole, in the key-value metadata of the Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexMetadata {
    /// Tar or image.
    pub kind: ArtifactKind,
    /// Name of the artifact: `partition-1.tar.gz`.
    pub artifact: String,
    /// The export, when there is one.
    pub export_id: Option<String>,
    /// How the artifact was cut and compressed.
    pub compression: Compression,
    /// Its totals and hashes.
    pub summary: ArtifactSummary,
}
