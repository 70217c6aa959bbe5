//! The index: one ranged read for each row, lookups, rebuilding.

use std::io::Cursor;

use archive::{ArchiveReader, ArtifactKind, Codec, IndexReader, RowKind, Sha256, rebuild_index};
use bytes::Bytes;

use crate::support::{Shared, everything, file, noise, options, write_image, write_tar};

const MEMBER: u32 = 64 << 10;

#[test]
fn every_row_extracts_its_entry_by_one_range() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let entries = everything(true);
        let written = write_tar(&entries, options(codec, MEMBER, 2));
        let index = IndexReader::new(Bytes::from(written.index)).unwrap();
        let rows: Vec<_> = index.rows().map(Result::unwrap).collect();
        assert_eq!(rows.len(), entries.len());
        for (row, (entry, content)) in rows.iter().zip(&entries) {
            assert_eq!(index.find(entry.path.as_bytes()).unwrap().as_ref(), Some(row));
            let range = usize::try_from(row.member_offset).unwrap()..usize::try_from(row.member_end).unwrap();
            let stored = written.object[range].to_vec();
            let (mut reader, found) = ArchiveReader::open_entry(Cursor::new(stored), codec, row).unwrap();
            assert_eq!(found, *entry);
            let mut read = Vec::new();
            while let Some(piece) = reader.read_content().unwrap() {
                read.extend_from_slice(piece);
            }
            assert!(read == *content);
            if row.kind == RowKind::File && row.size == row.stored_bytes {
                assert_eq!(row.sha256, Some(Sha256::of(content)));
            }
        }
        assert!(index.find(b"no/such/file").unwrap().is_none());
        assert!(index.find("invalid \u{fffd}\u{fffd} utf-8".as_bytes()).unwrap().is_none());
    }
}

#[test]
fn an_index_is_rebuilt_from_its_archive_alone() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let written = write_tar(&everything(true), options(codec, MEMBER, 3));
        let again = Shared::default();
        let stream = Cursor::new(written.object);
        let summary = rebuild_index(stream, ArtifactKind::Tar, options(codec, MEMBER, 1), again.clone()).unwrap();
        assert_eq!(summary, written.summary);
        assert!(again.take() == written.index);
    }
}

#[test]
fn an_index_is_rebuilt_from_its_image_alone() {
    let data = noise(3 * MEMBER as usize + 5, 9);
    let written = write_image(&[(&data, 10 * u64::from(MEMBER)), (&data, 1)], options(Codec::Gzip, MEMBER, 3));
    let again = Shared::default();
    let stream = Cursor::new(written.object);
    rebuild_index(stream, ArtifactKind::Image, options(Codec::Gzip, MEMBER, 2), again.clone()).unwrap();
    assert!(again.take() == written.index);
}

#[test]
fn a_block_of_an_image_is_read_by_one_range_and_has_its_hash() {
    let mut disk = noise(2 * MEMBER as usize, 4);
    disk.extend(vec![0; MEMBER as usize]);
    disk.extend(noise(100, 5));
    let written = write_image(&[(&disk, 0)], options(Codec::Gzip, MEMBER, 2));
    let index = IndexReader::new(Bytes::from(written.index)).unwrap();
    let rows: Vec<_> = index.rows().map(Result::unwrap).collect();
    let marks: Vec<_> = rows.iter().map(|row| row.kind.clone()).collect();
    let block = |number: u64, zero| RowKind::Block { offset: number * u64::from(MEMBER), zero };
    assert_eq!(marks, [block(0, false), block(1, false), block(2, true), block(3, false)]);
    for row in rows {
        let RowKind::Block { offset, .. } = row.kind else { panic!("{row:?}") };
        let range = usize::try_from(row.member_offset).unwrap()..usize::try_from(row.member_end).unwrap();
        let mut content = vec![0; usize::try_from(row.size).unwrap()];
        libdeflater::Decompressor::new().gzip_decompress(&written.object[range], &mut content).unwrap();
        let start = usize::try_from(offset).unwrap();
        assert!(content == disk[start..start + content.len()]);
        assert_eq!(row.sha256, Some(Sha256::of(&content)));
    }
}

#[test]
fn an_index_of_many_row_groups_keeps_every_row() {
    let entries: Vec<_> = (0..70_000).map(|number| file(format!("{number:06}"), b"")).collect();
    let written = write_tar(&entries, options(Codec::Gzip, MEMBER, 2));
    let index = IndexReader::new(Bytes::from(written.index)).unwrap();
    assert_eq!(index.rows().count(), 70_000);
    assert_eq!(index.find(b"069999").unwrap().unwrap().path, b"069999");
    assert_eq!(index.metadata().summary, written.summary);
    assert_eq!(index.metadata().artifact, "disk.tar.gz");
}

#[test]
fn what_is_no_index_is_refused() {
    assert!(IndexReader::new(Bytes::from_static(b"PAR1 and then nothing PAR1")).is_err());
    let written = write_tar(&everything(false), options(Codec::Gzip, MEMBER, 2));
    for cut in [1, 100, written.index.len() / 2] {
        let index = Bytes::copy_from_slice(&written.index[..written.index.len() - cut]);
        assert!(IndexReader::new(index).is_err());
    }
}
