//! What several tests need: sinks and indexes in memory, and a tree of everything that tar can hold.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use archive::{
    ArchiveOptions, ArtifactSummary, Codec, Compression, DeviceNumber, Entry, EntryKind, EntryPath, Expected, Extent,
    FileFlags, FileLayout, ImageWriter, Member, MemberSink, PosixAcl, TarArchiveWriter, Timestamp, Xattr,
};
use archive::{ArtifactKind, BoxError};

/// Bytes that two sides share.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MemberSink for Shared {
    fn take(&mut self, member: Member) -> Result<(), BoxError> {
        let mut bytes = self.0.lock().unwrap();
        assert_eq!(member.compressed_offset, bytes.len() as u64);
        bytes.extend_from_slice(&member.data);
        Ok(())
    }
}

/// An artifact in memory.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) object: Vec<u8>,
    pub(crate) index: Vec<u8>,
    pub(crate) summary: ArtifactSummary,
}

impl Written {
    pub(crate) fn expected(&self, kind: ArtifactKind, codec: Codec) -> Expected {
        let summary = &self.summary;
        Expected {
            artifact: "disk.tar.gz".into(),
            kind,
            codec,
            compressed_bytes: summary.compressed_bytes,
            uncompressed_bytes: summary.uncompressed_bytes,
            entries: summary.entries,
            sha256: summary.sha256,
            crc64nvme: summary.crc64nvme,
            uncompressed_sha256: summary.uncompressed_sha256,
        }
    }
}

pub(crate) fn options(codec: Codec, member_bytes: u32, threads: usize) -> ArchiveOptions {
    ArchiveOptions {
        artifact: "disk.tar.gz".into(),
        export_id: Some("exp-0123456789abcdef0123".into()),
        compression: Compression::new(codec, codec.default_level(), member_bytes).unwrap(),
        threads,
        budget_bytes: 8 << 20,
    }
}

pub(crate) type Content = (Entry, Vec<u8>);

pub(crate) fn write_tar(entries: &[Content], options: ArchiveOptions) -> Written {
    let (object, index) = (Shared::default(), Shared::default());
    let mut writer = TarArchiveWriter::new(options, object.clone(), index.clone()).unwrap();
    for (entry, content) in entries {
        writer.append(entry, &mut content.as_slice()).unwrap();
    }
    let summary = writer.finish().unwrap();
    Written { object: object.take(), index: index.take(), summary }
}

pub(crate) fn write_image(pieces: &[(&[u8], u64)], options: ArchiveOptions) -> Written {
    let (object, index) = (Shared::default(), Shared::default());
    let mut writer = ImageWriter::new(options, object.clone(), index.clone()).unwrap();
    for (data, zeros) in pieces {
        writer.write(data).unwrap();
        writer.write_zeros(*zeros).unwrap();
    }
    let summary = writer.finish().unwrap();
    Written { object: object.take(), index: index.take(), summary }
}

pub(crate) fn path(path: impl AsRef<[u8]>) -> EntryPath {
    EntryPath::new(path.as_ref()).unwrap()
}

pub(crate) fn file(name: impl AsRef<[u8]>, content: &[u8]) -> Content {
    let layout = FileLayout::dense(content.len() as u64);
    (Entry::new(path(name), EntryKind::File(layout)), content.to_vec())
}

pub(crate) fn sparse(name: impl AsRef<[u8]>, size: u64, segments: &[(u64, &[u8])]) -> Content {
    let (layout, content) = sparse_layout(size, segments);
    (Entry::new(path(name), EntryKind::File(layout)), content)
}

/// The layout of a file with this data, and what a walker would read by it.
pub(crate) fn sparse_layout(size: u64, segments: &[(u64, &[u8])]) -> (FileLayout, Vec<u8>) {
    let extents = segments.iter().map(|(offset, data)| Extent { offset: *offset, bytes: data.len() as u64 }).collect();
    let layout = FileLayout::sparse(size, extents);
    let whole = [Extent { offset: 0, bytes: size }];
    let mut content = Vec::new();
    for extent in layout.extents.as_deref().unwrap_or(&whole) {
        let start = content.len();
        content.resize(start + usize::try_from(extent.bytes).unwrap(), 0);
        for (offset, data) in segments {
            if (extent.offset..extent.offset + extent.bytes).contains(offset) {
                let at = start + usize::try_from(offset - extent.offset).unwrap();
                content[at..at + data.len()].copy_from_slice(data);
            }
        }
    }
    (layout, content)
}

fn other(name: impl AsRef<[u8]>, kind: EntryKind) -> Content {
    (Entry::new(path(name), kind), Vec::new())
}

/// Bytes that do not compress, the same every time.
pub(crate) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        })
        .collect()
}

pub(crate) fn acl(entries: &[(u16, u16, u32)]) -> PosixAcl {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(bits.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    PosixAcl::from_xattr(b"test", &value).unwrap()
}

/// One of everything that tar can hold. `deep` adds a path that GNU tar cannot restore.
pub(crate) fn everything(deep: bool) -> Vec<Content> {
    let none = u32::MAX;
    let mut entries = vec![other(".", EntryKind::Directory), other("dir", EntryKind::Directory)];
    entries[0].0.mtime = Timestamp { seconds: 1_000_000_000, nanoseconds: 123_456_789 };
    entries[1].0.mode = 0o2750;
    entries[1].0.acl_default = Some(acl(&[
        (0x01, 7, none),
        (0x02, 5, 1234),
        (0x04, 5, none),
        (0x08, 4, 3_000_000),
        (0x10, 7, none),
        (0x20, 0, none),
    ]));
    entries.push(other("dir/empty", EntryKind::Directory));
    entries.push(file("dir/plain", b"hello\n"));
    entries.push(other("dir/second name", EntryKind::HardLink(path("dir/plain"))));
    entries.push(other("dir/dangling", EntryKind::Symlink(b"/no/such/\xff".to_vec())));
    entries.push(other("dir/long link", EntryKind::Symlink(vec![b'x'; 900])));
    entries.push(other("fifo", EntryKind::Fifo));
    entries.push(other("null", EntryKind::CharacterDevice(DeviceNumber { major: 1, minor: 3 })));
    entries.push(other("disk", EntryKind::BlockDevice(DeviceNumber { major: 259, minor: 1_048_575 })));
    entries.push(file("empty", b""));
    entries.push(file("big", &noise(3_000_000, 7)));

    let mut owned = file("owned", b"ids beyond seven octal digits");
    (owned.0.uid, owned.0.gid, owned.0.mode) = (3_000_000_000, 2_097_152, 0o4711);
    entries.push(owned);
    for (name, seconds, nanoseconds) in
        [("before 1970", -86_400, 0), ("just before 1970", -1, 500_000_000), ("in 2400", 13_569_465_600, 1)]
    {
        let mut old = file(name, b"t");
        old.0.mtime = Timestamp { seconds, nanoseconds };
        entries.push(old);
    }
    let mut attributed = file("attributed", b"x");
    let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.to_vec(), value: value.to_vec() };
    attributed.0.xattrs = vec![
        xattr(b"security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        xattr(b"trusted.secret", b"\0\x01\n=\xff"),
        xattr(b"user.empty", b""),
        xattr("user.nom é 50%".as_bytes(), b"plain"),
    ];
    attributed.0.acl_access = Some(acl(&[
        (0x01, 6, none),
        (0x02, 4, 1234),
        (0x02, 6, 3_000_000),
        (0x04, 4, none),
        (0x10, 6, none),
        (0x20, 0, none),
    ]));
    attributed.0.mode = 0o660;
    entries.push(attributed);
    let mut flagged = file("flagged", b"x");
    flagged.0.flags = FileFlags::from_bits(0x10 | 0x40 | 0x80);
    entries.push(flagged);

    entries.push(file(vec![b'n'; 255], b"long name"));
    entries.push(file(b"new\nline", b"newline"));
    entries.push(file(b"invalid \xff\xfe utf-8", b"bytes"));
    entries.push(file("ünïcode ✓", b"utf-8"));
    entries.push(file("trailing space ", b"space"));
    entries.push(file("-rf", b"dash"));
    entries.push(other(b"d\xe9j\xe0", EntryKind::Directory));
    entries.push(other(b"link to invalid", EntryKind::HardLink(path(b"invalid \xff\xfe utf-8"))));

    entries.push(sparse("sparse", 1 << 20, &[(4096, b"one"), (500_000, b"two")]));
    entries.push(sparse("sparse to the end", 70_000, &[(65_536, &[b'e'; 4464])]));
    entries.push(sparse("hole", 123_456, &[]));
    entries.push(sparse("terabyte", 1 << 40, &[(1 << 39, b"middle")]));
    let many: Vec<(u64, &[u8])> = (0..300).map(|number| (number * 8192, b"segment".as_slice())).collect();
    entries.push(sparse("many segments", 300 * 8192, &many));
    let long = [b"dir/".to_vec(), vec![b's'; 200], b"\xff".to_vec()].concat();
    entries.push(sparse(long, 1 << 20, &[(8192, b"sparse and long")]));
    if deep {
        let mut directory = Vec::new();
        for level in 0..25 {
            if level > 0 {
                directory.push(b'/');
            }
            directory.extend(vec![b'p'; 200]);
            entries.push(other(&directory, EntryKind::Directory));
        }
        entries.push(file([directory, b"/deep".to_vec()].concat(), b"deep"));
    }
    entries
}

/// Runs a program and insists that it succeeds.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn save(directory: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
