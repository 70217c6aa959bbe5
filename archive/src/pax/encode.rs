//! From an entry to the blocks before its content.
//!
//! Every field that the ustar header cannot hold exactly goes to an extended header, and only those. Names beyond ASCII
//! are marked `hdrcharset=BINARY`: without it GNU tar and bsdtar convert them to the locale, and neither gives back
//! bytes that are not UTF-8.

use std::iter;

use tar::{EntryType, Header};

use super::{BLOCK_BYTES, padding, record, xattr};
use crate::entry::{Entry, EntryKind, Extent, Timestamp};
use crate::error::Result;

const NAME_BYTES: usize = 100;
/// What seven and eleven octal digits hold.
const MAX_OCTAL_ID: u64 = 0o777_7777;
const MAX_OCTAL_SIZE: u64 = 0o777_7777_7777;

/// The headers of an entry, and the map of a sparse file: everything before its content. Also the entry's length in the
/// stream, padding included.
pub(crate) fn headers(entry: &Entry) -> Result<(Vec<u8>, u64)> {
    entry.check()?;
    let sparse = match &entry.kind {
        EntryKind::File(layout) => layout.extents.as_ref().map(|extents| (extents, layout.size)),
        _ => None,
    };
    let map = sparse.map_or_else(Vec::new, |(extents, size)| sparse_map(extents, size));
    let size = map.len() as u64 + entry.stored_bytes();

    let name = name_in_archive(entry);
    let records = records(entry, &name, size, sparse.map(|(_, size)| size));
    let mut out = Vec::new();
    if !records.is_empty() {
        let mut header = blank(EntryType::XHeader);
        set_name(&mut header, &placeholder(b"PaxHeaders/", &name));
        header.set_mode(0o644);
        header.set_size(records.len() as u64);
        push_block(&mut out, &mut header);
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    push_block(&mut out, &mut main_header(entry, &name, size, sparse.is_some()));
    out.extend_from_slice(&map);
    let length = out.len() as u64 + entry.stored_bytes() + padding(size) as u64;
    Ok((out, length))
}

fn main_header(entry: &Entry, name: &[u8], size: u64, sparse: bool) -> Header {
    let mut header = blank(match &entry.kind {
        EntryKind::File(_) => EntryType::Regular,
        EntryKind::Directory => EntryType::Directory,
        EntryKind::Symlink(_) => EntryType::Symlink,
        EntryKind::HardLink(_) => EntryType::Link,
        EntryKind::Fifo => EntryType::Fifo,
        EntryKind::CharacterDevice(_) => EntryType::Char,
        EntryKind::BlockDevice(_) => EntryType::Block,
    });
    if sparse {
        set_name(&mut header, &placeholder(b"GNUSparseFile.0/", name));
    } else if name.len() <= NAME_BYTES {
        set_name(&mut header, name);
    } else {
        set_name(&mut header, &placeholder(b"", name));
    }
    if let Some(target) = link_target(entry) {
        let short = if target.len() <= NAME_BYTES { target.to_vec() } else { placeholder(b"", target) };
        header.as_old_mut().linkname[..short.len()].copy_from_slice(&short);
    }
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_size(size);
    header.set_mtime(u64::try_from(entry.mtime.seconds).unwrap_or(0));
    if let EntryKind::CharacterDevice(device) | EntryKind::BlockDevice(device) = &entry.kind {
        let ustar = header.as_ustar_mut().expect("it was made a ustar header");
        ustar.set_device_major(device.major);
        ustar.set_device_minor(device.minor);
    }
    header
}

fn records(entry: &Entry, name: &[u8], size: u64, sparse_size: Option<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    let target = link_target(entry);
    let needs_record = |value: &[u8]| value.len() > NAME_BYTES || !value.is_ascii();
    if !name.is_ascii() || target.is_some_and(|target| !target.is_ascii()) {
        record::push(&mut out, b"hdrcharset", b"BINARY");
    }
    if let Some(logical) = sparse_size {
        record::push(&mut out, b"GNU.sparse.major", b"1");
        record::push(&mut out, b"GNU.sparse.minor", b"0");
        record::push(&mut out, b"GNU.sparse.name", name);
        record::push(&mut out, b"GNU.sparse.realsize", logical.to_string().as_bytes());
    } else if needs_record(name) {
        record::push(&mut out, b"path", name);
    }
    if let Some(target) = target.filter(|target| needs_record(target)) {
        record::push(&mut out, b"linkpath", target);
    }
    if size > MAX_OCTAL_SIZE {
        record::push(&mut out, b"size", size.to_string().as_bytes());
    }
    for (keyword, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
        if u64::from(id) > MAX_OCTAL_ID {
            record::push(&mut out, keyword, id.to_string().as_bytes());
        }
    }
    let Timestamp { seconds, nanoseconds } = entry.mtime;
    if nanoseconds != 0 || u64::try_from(seconds).is_ok_and(|seconds| seconds > MAX_OCTAL_SIZE) || seconds < 0 {
        record::push(&mut out, b"mtime", decimal(entry.mtime).as_bytes());
    }
    if let Some(acl) = &entry.acl_access {
        record::push(&mut out, b"SCHILY.acl.access", acl.as_str().as_bytes());
    }
    if let Some(acl) = &entry.acl_default {
        record::push(&mut out, b"SCHILY.acl.default", acl.as_str().as_bytes());
    }
    if !entry.flags.is_empty() {
        record::push(&mut out, b"SCHILY.fflags", entry.flags.to_text().as_bytes());
    }
    for attribute in &entry.xattrs {
        xattr::push(&mut out, attribute);
    }
    out
}

/// GNU sparse 1.0: the number of segments, then offset and length of each, a line for each number, padded to a block. A
/// hole at the end is marked by an empty segment there.
fn sparse_map(extents: &[Extent], size: u64) -> Vec<u8> {
    let end = extents.last().map_or(0, |last| last.offset + last.bytes);
    let trailing = (end < size || extents.is_empty()).then_some(Extent { offset: size, bytes: 0 });
    let count = extents.len() + usize::from(trailing.is_some());
    let numbers = extents.iter().chain(&trailing).flat_map(|extent| [extent.offset, extent.bytes]);
    let lines: Vec<String> = iter::once(count as u64).chain(numbers).map(|number| format!("{number}\n")).collect();
    let mut map = lines.concat().into_bytes();
    map.resize(map.len() + padding(map.len() as u64), 0);
    map
}

/// Directories end in a slash.
fn name_in_archive(entry: &Entry) -> Vec<u8> {
    let mut name = entry.path.as_bytes().to_vec();
    if entry.kind == EntryKind::Directory {
        name.push(b'/');
    }
    name
}

fn link_target(entry: &Entry) -> Option<&[u8]> {
    match &entry.kind {
        EntryKind::Symlink(target) => Some(target),
        EntryKind::HardLink(target) => Some(target.as_bytes()),
        EntryKind::File(_)
        | EntryKind::Directory
        | EntryKind::Fifo
        | EntryKind::CharacterDevice(_)
        | EntryKind::BlockDevice(_) => None,
    }
}

/// A name that fits, for readers that know no extended headers.
fn placeholder(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    let directory = name.ends_with(b"/");
    let room = NAME_BYTES - prefix.len() - 1;
    let plain = name.strip_suffix(b"/").unwrap_or(name);
    let shown = plain.iter().take(room).map(|byte| if byte.is_ascii_graphic() { *byte } else { b'_' });
    let mut short: Vec<u8> = prefix.iter().copied().chain(shown).collect();
    // The extended header itself is no directory.
    if directory && prefix.is_empty() {
        short.push(b'/');
    }
    short
}

/// Seconds with a fraction, the value of POSIX's time records. Before 1970 the fraction counts away from zero: half a
/// second before is `-0.5`.
fn decimal(time: Timestamp) -> String {
    let Timestamp { seconds, nanoseconds } = time;
    if nanoseconds == 0 {
        return seconds.to_string();
    }
    let (sign, whole, fraction) = if seconds < 0 {
        ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds)
    } else {
        ("", seconds.unsigned_abs(), nanoseconds)
    };
    let digits = format!("{fraction:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

fn blank(kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    let ustar = header.as_ustar_mut().expect("it was made a ustar header");
    ustar.set_device_major(0);
    ustar.set_device_minor(0);
    header
}

fn set_name(header: &mut Header, name: &[u8]) {
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
}

fn push_block(out: &mut Vec<u8>, header: &mut Header) {
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    debug_assert_eq!(header.as_bytes().len(), BLOCK_BYTES);
}
