//! From the blocks before an entry's content back to the entry. Takes what `encode` writes; an archive of another tool
//! may hold more than this knows, and is refused where it does.

use tar::{EntryType, Header};

use super::{BLOCK_BYTES, record, xattr};
use crate::acl::PosixAcl;
use crate::entry::{DeviceNumber, Entry, EntryKind, EntryPath, Extent, FileLayout, Timestamp};
use crate::flag::FileFlags;

/// Longest extended header that is read: the kernel allows 64 KiB for an attribute, and some filesystems any number of
/// them.
pub(crate) const MAX_EXTENDED_BYTES: u64 = 256 << 20;

/// Checks a header block's checksum and format.
pub(crate) fn header(block: &[u8; BLOCK_BYTES]) -> Result<Header, String> {
    let mut header = Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    let sum = block.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    });
    let expected = header.cksum().map_err(|_| "is no tar header".to_owned())?;
    if header.as_ustar().is_none() || sum.sum::<u32>() != expected {
        return Err("is no tar header, or a damaged one".into());
    }
    Ok(header)
}

/// An entry whose headers were read; a sparse file still lacks its map.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) entry: Entry,
    /// Bytes that follow, a sparse map included.
    pub(crate) size: u64,
    /// Logical size of a sparse file.
    pub(crate) sparse: Option<u64>,
}

#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    linkpath: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Timestamp>,
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
}

/// Puts an entry together from its header and the extended header before it (empty when there is none).
pub(crate) fn entry(header: &Header, extended: &[u8]) -> Result<Decoded, String> {
    let records = record::parse(extended).ok_or("has a damaged extended header")?;
    let mut entry = Entry::new(EntryPath::root(), EntryKind::Directory);
    let mut fields = Extended::default();
    for (keyword, value) in records {
        take(&mut fields, &mut entry, keyword, value)
            .ok_or_else(|| format!("has a damaged {} record", String::from_utf8_lossy(keyword)))?;
    }
    let number = |read: std::io::Result<u64>| read.map_err(|error| format!("has a damaged number: {error}"));
    let id = |read: u64| u32::try_from(read).map_err(|_| format!("has the id {read}"));
    let size = fields.size.map_or_else(|| number(header.entry_size()), Ok)?;
    entry.mode = header.mode().map_err(|error| format!("has a damaged mode: {error}"))?;
    entry.uid = id(fields.uid.map_or_else(|| number(header.uid()), Ok)?)?;
    entry.gid = id(fields.gid.map_or_else(|| number(header.gid()), Ok)?)?;
    entry.mtime = match fields.mtime {
        Some(mtime) => mtime,
        None => Timestamp { seconds: i64::try_from(number(header.mtime())?).unwrap_or(i64::MAX), nanoseconds: 0 },
    };
    let target = fields.linkpath.unwrap_or_else(|| until_nul(&header.as_old().linkname));
    let path = |bytes: Vec<u8>| EntryPath::new(bytes).map_err(|error| error.to_string());
    let device = || -> Result<DeviceNumber, String> {
        let ustar = header.as_ustar().ok_or("is no ustar header")?;
        let read = |read: std::io::Result<u32>| read.map_err(|error| format!("has a damaged device: {error}"));
        Ok(DeviceNumber { major: read(ustar.device_major())?, minor: read(ustar.device_minor())? })
    };
    entry.kind = match header.entry_type() {
        EntryType::Regular => EntryKind::File(FileLayout::dense(size)),
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Symlink(target),
        EntryType::Link => EntryKind::HardLink(path(target)?),
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::Char => EntryKind::CharacterDevice(device()?),
        EntryType::Block => EntryKind::BlockDevice(device()?),
        other => return Err(format!("is of the unknown type {:?}", char::from(other.as_byte()))),
    };
    let mut name = fields.sparse_name.or(fields.path).unwrap_or_else(|| until_nul(&header.as_old().name));
    if entry.kind == EntryKind::Directory && name.last() == Some(&b'/') {
        name.pop();
    }
    entry.path = path(name)?;
    if size > 0 && !matches!(entry.kind, EntryKind::File(_)) {
        return Err(format!("has {size} bytes, but is no file"));
    }
    Ok(Decoded { entry, size, sparse: fields.sparse_size })
}

fn take(fields: &mut Extended, entry: &mut Entry, keyword: &[u8], value: &[u8]) -> Option<()> {
    let text = || std::str::from_utf8(value).ok();
    let number = || text()?.parse::<u64>().ok();
    match keyword {
        b"path" => fields.path = Some(value.to_vec()),
        b"linkpath" => fields.linkpath = Some(value.to_vec()),
        b"size" => fields.size = Some(number()?),
        b"uid" => fields.uid = Some(number()?),
        b"gid" => fields.gid = Some(number()?),
        b"mtime" => fields.mtime = Some(time(text()?)?),
        b"GNU.sparse.name" => fields.sparse_name = Some(value.to_vec()),
        b"GNU.sparse.realsize" => fields.sparse_size = Some(number()?),
        b"GNU.sparse.major" => return (value == b"1").then_some(()),
        b"GNU.sparse.minor" => return (value == b"0").then_some(()),
        b"SCHILY.acl.access" => entry.acl_access = Some(PosixAcl::from_text(text()?)?),
        b"SCHILY.acl.default" => entry.acl_default = Some(PosixAcl::from_text(text()?)?),
        b"SCHILY.fflags" => entry.flags = FileFlags::from_text(text()?),
        _ => entry.xattrs.extend(xattr::parse(keyword, value)),
    }
    Some(())
}

/// Reads the map at the beginning of a sparse file's content; `read_block` gives its blocks one by one. Gives the
/// layout and the map's length.
pub(crate) fn sparse_map<E: From<String>>(
    size: u64,
    mut read_block: impl FnMut() -> Result<[u8; BLOCK_BYTES], E>,
) -> Result<(FileLayout, u64), E> {
    let damaged = || E::from("has a damaged map of its segments".to_owned());
    let mut blocks = 0u64;
    let mut pending: Vec<u8> = Vec::new();
    let mut at = 0;
    let mut next_number = || -> Result<u64, E> {
        let mut number: Option<u64> = None;
        loop {
            if at == pending.len() {
                pending = read_block()?.to_vec();
                blocks += 1;
                at = 0;
            }
            let byte = pending[at];
            at += 1;
            match (byte, number) {
                (b'0'..=b'9', _) => {
                    let digit = u64::from(byte - b'0');
                    let next = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit));
                    number = Some(next.ok_or_else(damaged)?);
                }
                (b'\n', Some(number)) => return Ok(number),
                _ => return Err(damaged()),
            }
        }
    };
    let count = next_number()?;
    let mut extents = Vec::new();
    let mut end = 0;
    for _ in 0..count {
        let extent = Extent { offset: next_number()?, bytes: next_number()? };
        let next = extent.offset.checked_add(extent.bytes).filter(|next| *next <= size && extent.offset >= end);
        end = next.ok_or_else(damaged)?;
        if extent.bytes > 0 {
            extents.push(extent);
        }
    }
    Ok((FileLayout { size, extents: Some(extents) }, blocks * BLOCK_BYTES as u64))
}

fn time(text: &str) -> Option<Timestamp> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = if negative { 0_i64.checked_sub_unsigned(whole)? } else { i64::try_from(whole).ok()? };
    if negative && nanoseconds > 0 {
        return Some(Timestamp { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds });
    }
    Some(Timestamp { seconds, nanoseconds })
}

fn until_nul(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}
