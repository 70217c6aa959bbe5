//! Verification: what is whole passes, and every kind of damage is found and said in words.

use std::io::{self, Cursor, Read};

use archive::{ArtifactKind, Codec, Mismatch, Sha256, VerifyError, rebuild_index, verify_artifact};
use bytes::Bytes;

use crate::support::{Shared, Written, everything, file, noise, options, write_image, write_tar};

const MEMBER: u32 = 64 << 10;

fn tar(codec: Codec) -> Written {
    write_tar(&everything(true), options(codec, MEMBER, 2))
}

fn verify(object: Vec<u8>, written: &Written, codec: Codec) -> Result<(), VerifyError> {
    let expected = written.expected(ArtifactKind::Tar, codec);
    let index = Bytes::from(written.index.clone());
    verify_artifact(Cursor::new(object), index, &expected, 2, &mut |_| {}).map(|_| ())
}

fn difference(result: Result<(), VerifyError>) -> String {
    match result {
        Err(VerifyError::Mismatch(Mismatch { artifact, difference })) => {
            assert_eq!(artifact, "disk.tar.gz");
            difference
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_verified() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let written = tar(codec);
        let expected = written.expected(ArtifactKind::Tar, codec);
        let mut last = 0;
        let verified =
            verify_artifact(Cursor::new(written.object), Bytes::from(written.index), &expected, 3, &mut |at| last = at)
                .unwrap();
        assert_eq!(verified.entries, expected.entries);
        assert_eq!((verified.compressed_bytes, last), (expected.compressed_bytes, expected.compressed_bytes));

        let image = write_image(&[(&noise(200_000, 1), 300_000)], options(codec, MEMBER, 2));
        let expected = image.expected(ArtifactKind::Image, codec);
        verify_artifact(Cursor::new(image.object), Bytes::from(image.index), &expected, 2, &mut |_| {}).unwrap();
    }
}

#[test]
fn any_flipped_byte_is_found() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let written = write_tar(&[file("a", b"abc"), file("b", &noise(5000, 2))], options(codec, 4096, 1));
        for at in (0..written.object.len()).step_by(13).chain(0..64) {
            let mut object = written.object.clone();
            object[at] ^= 0x10;
            difference(verify(object, &written, codec));
        }
    }
}

#[test]
fn a_flipped_byte_in_content_is_said_to_be_in_its_member() {
    let written = tar(Codec::Gzip);
    let mut object = written.object.clone();
    let at = object.len() / 2;
    object[at] ^= 1;
    let says = difference(verify(object, &written, Codec::Gzip));
    assert!(says.starts_with("member ") && says.contains("does not decompress"), "{says}");
}

#[test]
fn a_cut_is_told_with_its_length() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let written = tar(codec);
        let whole = written.object.len();
        let index = archive::IndexReader::new(Bytes::from(written.index.clone())).unwrap();
        let boundary = index.rows().map(Result::unwrap).map(|row| row.member_offset).max().unwrap();
        for length in [0, 1, 10, whole / 2, usize::try_from(boundary).unwrap(), whole - 1] {
            let says = difference(verify(written.object[..length].to_vec(), &written, codec));
            assert_eq!(says, format!("it is cut short: {length} of {whole} bytes are there"));
        }
        let mut longer = written.object.clone();
        longer.extend_from_slice(&written.object);
        let says = difference(verify(longer, &written, codec));
        assert!(says.contains("goes on after its end") || says.contains("longer than it should be"), "{says}");
    }
}

#[test]
fn another_file_of_the_same_length_is_named() {
    let entries = |content: &[u8]| vec![file("etc/hosts", b"x"), file("etc/passwd", content)];
    let right = write_tar(&entries(b"root:x:0:0"), options(Codec::Gzip, MEMBER, 1));
    let wrong = write_tar(&entries(b"evil:x:0:0"), options(Codec::Gzip, MEMBER, 1));
    let says = difference(verify(wrong.object, &right, Codec::Gzip));
    assert!(says.starts_with("\"etc/passwd\" differs: its SHA-256 is "), "{says}");
}

#[test]
fn entries_that_are_missing_added_or_renamed_are_named() {
    let base = [file("a", b"1"), file("b", b"2"), file("c", b"3")];
    let right = write_tar(&base, options(Codec::Gzip, MEMBER, 1));
    let cases = [
        (vec![base[0].clone(), base[1].clone()], "\"c\""),
        (vec![base[0].clone(), base[1].clone(), file("x", b"3")], "\"x\""),
        ([&base[..], &[file("d", b"4")]].concat(), "\"d\""),
    ];
    for (entries, name) in cases {
        let wrong = write_tar(&entries, options(Codec::Gzip, MEMBER, 1)).object;
        let (found, expected) = (wrong.len(), right.object.len());
        let says = difference(verify(wrong, &right, Codec::Gzip));
        assert!(says.contains(name) || found < expected && says.starts_with("it is cut short"), "{says}");
    }
}

#[test]
fn an_index_that_lies_is_a_mismatch() {
    let right = write_tar(&[file("a", b"1"), file("b", b"2")], options(Codec::Gzip, MEMBER, 1));
    let other = write_tar(&[file("a", b"1"), file("b", b"3")], options(Codec::Gzip, MEMBER, 1));
    let lying = Written { index: other.index, ..right.clone() };
    let says = difference(verify(right.object.clone(), &lying, Codec::Gzip));
    assert!(says.contains("its index belongs to other content"), "{says}");

    let cut = Written { index: right.index[..right.index.len() / 2].to_vec(), ..right.clone() };
    let says = difference(verify(right.object.clone(), &cut, Codec::Gzip));
    assert!(says.contains("its index is damaged"), "{says}");
}

#[test]
fn a_manifest_that_lies_is_a_mismatch() {
    let written = tar(Codec::Gzip);
    let truth = written.expected(ArtifactKind::Tar, Codec::Gzip);
    let mut lies = vec![truth.clone(); 6];
    lies[0].compressed_bytes += 1;
    lies[1].uncompressed_bytes -= 512;
    lies[2].entries += 1;
    lies[3].sha256 = Sha256::of(b"lie");
    lies[4].uncompressed_sha256 = Sha256::of(b"lie");
    lies[5].crc64nvme = archive::Crc64Nvme(1);
    for lie in lies {
        let (object, index) = (Cursor::new(written.object.clone()), Bytes::from(written.index.clone()));
        let result = verify_artifact(object, index, &lie, 1, &mut |_| {});
        assert!(matches!(result, Err(VerifyError::Mismatch(_))), "{lie:?}");
    }
}

#[test]
fn a_network_error_is_no_mismatch() {
    struct Broken(Cursor<Vec<u8>>);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("connection reset")),
                read => Ok(read),
            }
        }
    }
    let written = tar(Codec::Gzip);
    let expected = written.expected(ArtifactKind::Tar, Codec::Gzip);
    let half = Broken(Cursor::new(written.object[..written.object.len() / 2].to_vec()));
    let result = verify_artifact(half, Bytes::from(written.index), &expected, 2, &mut |_| {});
    assert!(matches!(result, Err(VerifyError::Unreadable { .. })), "{result:?}");
}

#[test]
fn nothing_makes_the_reader_panic() {
    let written = tar(Codec::Gzip);
    for seed in 0..40 {
        let junk = noise(3000, seed);
        for object in [junk.clone(), [&written.object[..30_000], &junk].concat()] {
            let stream = Cursor::new(object);
            let settings = options(Codec::Gzip, MEMBER, 1);
            assert!(rebuild_index(stream, ArtifactKind::Tar, settings, Shared::default()).is_err());
        }
        // Well-formed members around junk: the tar reader meets it.
        let wrapped = write_image(&[(&junk, 0)], options(Codec::Zstd, MEMBER, 1));
        let stream = Cursor::new(wrapped.object);
        let settings = options(Codec::Zstd, MEMBER, 1);
        assert!(rebuild_index(stream, ArtifactKind::Tar, settings, Shared::default()).is_err());
    }
}
