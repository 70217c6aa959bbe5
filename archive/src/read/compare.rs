//! The difference between what the index says of an entry and what the stream holds, in words.

use std::fmt::Debug;

use crate::index::row::{IndexRow, RowKind};

/// The first thing in which the rows differ, or `None`.
pub(super) fn difference(index: &IndexRow, stream: &IndexRow) -> Option<String> {
    let name = index.name();
    if index.path != stream.path || position(&index.kind) != position(&stream.kind) {
        return Some(format!("the archive holds {:?} where the index says {name:?}", stream.name()));
    }
    let differs = |what: &str, index: &dyn Debug, stream: &dyn Debug| {
        Some(format!("{name:?} differs: its {what} is {stream:?}, the index says {index:?}"))
    };
    macro_rules! same {
        ($what:literal, $field:ident) => {
            if index.$field != stream.$field {
                return differs($what, &index.$field, &stream.$field);
            }
        };
    }
    same!("type", kind);
    same!("size", size);
    same!("stored size", stored_bytes);
    same!("SHA-256", sha256);
    same!("SHA-256 of the stored data", stored_sha256);
    same!("mode", mode);
    same!("owner", uid);
    same!("group", gid);
    same!("modification time", mtime);
    same!("first member's offset", member_offset);
    same!("last member's end", member_end);
    same!("offset in its member", skip_bytes);
    same!("length in the stream", entry_bytes);
    None
}

fn position(kind: &RowKind) -> Option<u64> {
    match kind {
        RowKind::Block { offset, .. } => Some(*offset),
        RowKind::File
        | RowKind::Directory
        | RowKind::Symlink(_)
        | RowKind::HardLink(_)
        | RowKind::Fifo
        | RowKind::CharacterDevice(_)
        | RowKind::BlockDevice(_) => None,
    }
}
