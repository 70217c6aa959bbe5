//! The difference between what the index says of an entry and what the stream holds, in words.

use std::fmt::Debug;

use crate::index::row::{IndexRow, RowKind};

/// Returns the first of these fields in which the rows differ.
macro_rules! same {
    ($index:ident, $stream:ident, $($what:literal $field:ident),+) => {
        $(if $index.$field != $stream.$field {
            return Some(differs($index, $what, &$stream.$field, &$index.$field));
        })+
    };
}

/// The first thing in which the entries themselves differ, or `None`.
pub(super) fn content_difference(index: &IndexRow, stream: &IndexRow) -> Option<String> {
    let name = index.name();
    if index.path != stream.path || position(&index.kind) != position(&stream.kind) {
        return Some(format!("the archive holds {:?} where the index says {name:?}", stream.name()));
    }
    same!(
        index, stream,
        "type" kind, "size" size, "stored size" stored_bytes, "SHA-256" sha256,
        "SHA-256 of the stored data" stored_sha256, "mode" mode, "owner" uid, "group" gid, "modification time" mtime
    );
    None
}

/// The first thing in which their places differ, or `None`. Where one entry differs in length, the places of all after
/// it do: less telling than that entry.
pub(super) fn place_difference(index: &IndexRow, stream: &IndexRow) -> Option<String> {
    same!(
        index, stream,
        "first member's offset" member_offset, "last member's end" member_end, "offset in its member" skip_bytes,
        "length in the stream" entry_bytes
    );
    None
}

fn differs(index: &IndexRow, what: &str, stream: &dyn Debug, says: &dyn Debug) -> String {
    format!("{:?} differs: its {what} is {stream:?}, the index says {says:?}", index.name())
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
