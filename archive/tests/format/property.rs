//! Whatever entries are written come back, through our reader, Python and the index.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::process::Command;

use archive::{
    ArchiveReader, Codec, DeviceNumber, Entry, EntryKind, EntryPath, FileFlags, FileLayout, IndexReader, Timestamp,
    Xattr,
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::support::{Content, options, run, save, sparse_layout, write_tar};

fn component() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("a byte of a name", |byte| *byte != 0 && *byte != b'/');
    let plain = prop::collection::vec(byte, 1..30);
    let long = prop::collection::vec(prop::char::range('a', 'ö'), 90..120)
        .prop_map(|chars| chars.into_iter().collect::<String>().into_bytes());
    prop_oneof![4 => plain, 1 => long].prop_filter("a name", |name| name != b"." && name != b"..")
}

fn entry_path() -> impl Strategy<Value = EntryPath> {
    prop::collection::vec(component(), 1..6).prop_map(|parts| EntryPath::new(parts.join(&b'/')).unwrap())
}

fn layout() -> impl Strategy<Value = (FileLayout, Vec<u8>)> {
    let dense = prop::collection::vec(any::<u8>(), 0..3000)
        .prop_map(|content| (FileLayout::dense(content.len() as u64), content));
    let segments = prop::collection::vec((0_u64..5000, prop::collection::vec(any::<u8>(), 1..200)), 0..40);
    let sparse = (segments, 0_u64..1 << 33).prop_map(|(segments, tail)| {
        let mut end = 0;
        let mut placed: Vec<(u64, &[u8])> = Vec::new();
        for (gap, data) in &segments {
            placed.push((end + gap, data));
            end += gap + data.len() as u64;
        }
        sparse_layout(end + tail, &placed)
    });
    prop_oneof![dense, sparse]
}

fn kind() -> impl Strategy<Value = (EntryKind, Vec<u8>)> {
    let target = prop::collection::vec(1..=255_u8, 1..300);
    let device = (0..4096_u32, 0..1_u32 << 20).prop_map(|(major, minor)| DeviceNumber { major, minor });
    let bare = |kind| (kind, Vec::new());
    prop_oneof![
        4 => layout().prop_map(|(layout, content)| (EntryKind::File(layout), content)),
        1 => Just(bare(EntryKind::Directory)),
        1 => Just(bare(EntryKind::Fifo)),
        1 => target.prop_map(move |target| bare(EntryKind::Symlink(target))),
        1 => device.clone().prop_map(move |device| bare(EntryKind::BlockDevice(device))),
        1 => device.prop_map(move |device| bare(EntryKind::CharacterDevice(device))),
        1 => entry_path().prop_map(move |target| bare(EntryKind::HardLink(target))),
    ]
}

prop_compose! {
    fn content()(
        path in entry_path(),
        (kind, content) in kind(),
        mode in 0..=0o7777_u32,
        (uid, gid) in any::<(u32, u32)>(),
        seconds in prop_oneof![-5_i64..5, any::<i32>().prop_map(i64::from), any::<i64>()],
        nanoseconds in prop_oneof![Just(0), 0..1_000_000_000_u32],
        xattrs in prop::collection::vec((prop::collection::vec(1..=255_u8, 1..40), prop::collection::vec(any::<u8>(), 0..200)), 0..3),
        flags in any::<u32>(),
    ) -> Content {
        let mut entry = Entry::new(path, kind);
        (entry.mode, entry.uid, entry.gid) = (mode, uid, gid);
        entry.mtime = Timestamp { seconds, nanoseconds };
        entry.xattrs = xattrs.into_iter().map(|(name, value)| Xattr { name: [b"user.".to_vec(), name].concat(), value }).collect();
        entry.flags = FileFlags::from_bits(flags);
        (entry, content)
    }
}

fn entries() -> impl Strategy<Value = Vec<Content>> {
    prop::collection::vec(content(), 0..12).prop_map(|entries| {
        let by_path: BTreeMap<EntryPath, Content> =
            entries.into_iter().map(|content| (content.0.path.clone(), content)).collect();
        let to_itself = |entry: &Entry| matches!(&entry.kind, EntryKind::HardLink(target) if *target == entry.path);
        by_path.into_values().filter(|(entry, _)| !to_itself(entry)).collect()
    })
}

fn read_all(reader: &mut ArchiveReader) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(piece) = reader.read_content().unwrap() {
        content.extend_from_slice(piece);
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn entries_come_back_as_they_were(entries in entries(), zstd in any::<bool>(), threads in 1..4_usize) {
        let codec = if zstd { Codec::Zstd } else { Codec::Gzip };
        let written = write_tar(&entries, options(codec, 4096, threads));
        let mut reader = ArchiveReader::new(Cursor::new(written.object.clone()), codec, threads).unwrap();
        let index = IndexReader::new(Bytes::from(written.index.clone())).unwrap();
        let mut rows = index.rows();
        for (entry, content) in &entries {
            let found = reader.next_entry().unwrap();
            prop_assert_eq!(found.as_ref(), Some(entry));
            prop_assert!(read_all(&mut reader) == *content);
            let row = rows.next().unwrap().unwrap();
            prop_assert_eq!(&reader.finish_entry().unwrap(), &row);

            let start = usize::try_from(row.member_offset).unwrap();
            let range = written.object[start..usize::try_from(row.member_end).unwrap()].to_vec();
            let (mut one, alone) = ArchiveReader::open_entry(Cursor::new(range), codec, &row).unwrap();
            prop_assert_eq!(&alone, entry);
            prop_assert!(read_all(&mut one) == *content);
        }
        prop_assert!(reader.next_entry().unwrap().is_none());
        prop_assert!(rows.next().is_none());
        prop_assert_eq!(reader.finish().unwrap(), written.summary);
    }
}

proptest! {
    // A process for each.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_tool_lists_the_same_names_byte_for_byte(entries in entries()) {
        let directory = tempfile::tempdir().unwrap();
        let written = write_tar(&entries, options(Codec::Gzip, 4096, 2));
        let archive = save(directory.path(), "a.tar.gz", &written.object);
        let mut expected = Vec::new();
        for (entry, _) in &entries {
            expected.extend_from_slice(entry.path.as_bytes());
            expected.extend_from_slice(if entry.kind == EntryKind::Directory { b"/\0" } else { b"\0" });
        }
        let python = "import os, sys, tarfile\nfor m in tarfile.open(sys.argv[1]):\n    \
             sys.stdout.buffer.write(os.fsencode(m.name) + (b'/' if m.isdir() else b'') + b'\\0')";
        for locale in ["C", "C.UTF-8"] {
            let found = run(Command::new("python3").args(["-c", python]).arg(&archive).env("LC_ALL", locale)).stdout;
            prop_assert!(found == expected, "python, {}: {} {}", locale, found.escape_ascii(), expected.escape_ascii());
            let tar = ["--quoting-style=literal", "--show-stored-names", "-tzf"];
            let found = run(Command::new("tar").args(tar).arg(&archive).env("LC_ALL", locale)).stdout;
            let lines: Vec<u8> = expected.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }).collect();
            prop_assert!(found == lines, "tar, {}: {} {}", locale, found.escape_ascii(), lines.escape_ascii());
            run(Command::new("bsdtar").arg("-tf").arg(&archive).env("LC_ALL", locale));
        }
    }
}
