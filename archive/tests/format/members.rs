//! Members: the same bytes whatever the threads, errors that arrive, gzip that gzip reads.

use std::io::{self, Read};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use archive::{
    ArtifactKind, Codec, Entry, EntryKind, Error, FileLayout, ImageWriter, Member, Sha256, TarArchiveWriter,
};

use crate::support::{Shared, everything, file, noise, options, path, run, save, write_image, write_tar};

const MEMBER: u32 = 64 << 10;

#[test]
fn the_bytes_depend_on_nothing_but_the_input() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let entries = everything(true);
        let one = write_tar(&entries, options(codec, MEMBER, 1));
        let many = write_tar(&entries, options(codec, MEMBER, 7));
        assert!(one.object == many.object && one.index == many.index);
        assert_eq!(one.summary, many.summary);
        assert_eq!(one.summary.sha256, Sha256::of(&one.object));
        assert_eq!(one.summary.compressed_bytes, one.object.len() as u64);
    }
}

/// If this fails, artifacts of the same disk changed between versions: that must be wanted, and said in the changelog.
#[test]
fn the_bytes_of_an_archive_are_golden() {
    let gzip = write_tar(&everything(true), options(Codec::Gzip, MEMBER, 2)).summary;
    let zstd = write_tar(&everything(true), options(Codec::Zstd, MEMBER, 2)).summary;
    assert_eq!(gzip.uncompressed_sha256, zstd.uncompressed_sha256);
    assert_golden("uncompressed", &gzip.uncompressed_sha256.to_string(), include_str!("golden/uncompressed.sha256"));
    assert_golden("gzip", &gzip.sha256.to_string(), include_str!("golden/gzip.sha256"));
    assert_golden("zstd", &zstd.sha256.to_string(), include_str!("golden/zstd.sha256"));
}

fn assert_golden(name: &str, found: &str, golden: &str) {
    assert_eq!(found, golden.trim(), "tests/format/golden/{name}.sha256");
}

#[test]
fn the_first_member_is_golden_to_the_byte() {
    let written = write_tar(&[file("a", b"b")], options(Codec::Gzip, MEMBER, 1));
    let length = u32::try_from(written.object.len()).unwrap().to_le_bytes();
    let header = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'I', b'G', 4, 0][..], &length].concat();
    assert_eq!(&written.object[..20], header);
    assert_eq!(&written.object[written.object.len() - 4..], 2048_u32.to_le_bytes());
}

#[test]
fn zeros_are_the_same_whether_written_or_told() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let data = noise(100_000, 3);
        let zeros = 5 * u64::from(MEMBER) + 777;
        let written_zeros = vec![0; usize::try_from(zeros).unwrap()];
        let told = write_image(&[(&data, zeros), (&data, 1000)], options(codec, MEMBER, 2));
        let written =
            write_image(&[(&data, 0), (&written_zeros, 0), (&data, 0), (&[0; 1000], 0)], options(codec, MEMBER, 2));
        assert!(told.object == written.object && told.index == written.index);
        assert_eq!(told.summary.zero_members, 4);
        let whole = [data.clone(), written_zeros, data, vec![0; 1000]].concat();
        assert_eq!(told.summary.uncompressed_sha256, Sha256::of(&whole));
    }
}

#[test]
fn an_image_is_read_by_gunzip_and_zstd() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = noise(700_001, 5);
    disk.extend(vec![0; 300_000]);
    let raw = save(directory.path(), "raw", &disk);
    for (codec, name, program) in [(Codec::Gzip, "disk.img.gz", "gunzip"), (Codec::Zstd, "disk.img.zst", "zstd")] {
        let written = write_image(&[(&disk, 0)], options(codec, MEMBER, 2));
        let stored = save(directory.path(), name, &written.object);
        run(Command::new(program).arg("-t").arg(&stored));
        let script = format!("{program} -dc \"$0\" | cmp - \"$1\"");
        run(Command::new("sh").arg("-c").arg(script).arg(&stored).arg(&raw));
    }
}

#[test]
fn an_empty_image_is_one_empty_member() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let written = write_image(&[], options(codec, MEMBER, 1));
        assert_eq!((written.summary.members, written.summary.entries, written.summary.uncompressed_bytes), (1, 0, 0));
        let expected = written.expected(ArtifactKind::Image, codec);
        let index = bytes::Bytes::from(written.index);
        archive::verify_artifact(io::Cursor::new(written.object), index, &expected, 1, &mut |_| {}).unwrap();
    }
}

#[test]
fn the_error_of_a_sink_reaches_the_writer_at_once() {
    let done = within_a_minute(|| {
        let sink = |member: Member| if member.number < 3 { Ok(()) } else { Err("the disk is full".into()) };
        let mut writer = ImageWriter::new(options(Codec::Gzip, MEMBER, 2), sink, Shared::default()).unwrap();
        let data = noise(1 << 20, 1);
        let mut written = 0;
        let error = loop {
            match writer.write(&data) {
                Ok(()) => written += data.len(),
                Err(error) => break error,
            }
        };
        assert!(written < 8 << 20, "{written} bytes were taken after the failure");
        assert!(matches!(&error, Error::Sink { member: 3, source } if source.to_string() == "the disk is full"));
        assert!(writer.write(&data).is_err() && writer.finish().is_err());
    });
    done.unwrap();
}

#[test]
fn the_error_of_a_sink_in_the_last_member_reaches_finish() {
    let sink = |_| Err("too late".into());
    let mut writer = ImageWriter::new(options(Codec::Gzip, MEMBER, 2), sink, Shared::default()).unwrap();
    writer.write(b"little").unwrap();
    assert!(matches!(writer.finish(), Err(Error::Sink { member: 0, .. })));
}

#[test]
fn the_error_of_an_index_reaches_finish() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no space for the index"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = TarArchiveWriter::new(options(Codec::Gzip, MEMBER, 2), Shared::default(), Full).unwrap();
    let (entry, content) = file("f", b"x");
    writer.append(&entry, &mut content.as_slice()).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Index { tried: "write", .. })));
}

#[test]
fn a_sink_that_panics_is_an_error_and_not_a_deadlock() {
    let done = within_a_minute(|| {
        let sink = |_| -> Result<(), _> { panic!("on purpose") };
        let mut writer = ImageWriter::new(options(Codec::Gzip, MEMBER, 2), sink, Shared::default()).unwrap();
        let data = noise(1 << 20, 1);
        while writer.write(&data).is_ok() {}
        assert!(writer.finish().is_err());
    });
    done.unwrap();
}

#[test]
fn a_writer_that_is_dropped_gives_the_sink_nothing_more() {
    let taken = Arc::new(AtomicU64::new(0));
    let (entered, entrance) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let counter = Arc::clone(&taken);
    let sink = move |_: Member| {
        counter.fetch_add(1, Ordering::SeqCst);
        let _ = entered.send(());
        // Ends when the test has dropped the writer.
        let _ = gate.recv();
        Ok(())
    };
    let mut writer = ImageWriter::new(options(Codec::Gzip, MEMBER, 2), sink, Shared::default()).unwrap();
    writer.write(&noise(4 * MEMBER as usize, 1)).unwrap();
    entrance.recv_timeout(Duration::from_mins(1)).unwrap();
    drop(writer);
    drop(release);
    // The sink is dropped, and with it the sender, when the collector has ended.
    while entrance.recv_timeout(Duration::from_mins(1)).is_ok() {}
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}

#[test]
fn memory_is_bounded_by_the_budget_while_the_sink_is_slow() {
    let (release, gate) = mpsc::channel::<()>();
    let sink = move |_: Member| {
        let _ = gate.recv();
        Ok(())
    };
    let mut settings = options(Codec::Gzip, MEMBER, 2);
    settings.budget_bytes = 10 * 2 * MEMBER as usize;
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let (stuck, notice) = mpsc::channel();
    let producer = std::thread::spawn(move || {
        let mut writer = ImageWriter::new(settings, sink, Shared::default()).unwrap();
        for _ in 0..100 {
            writer.write(&noise(MEMBER as usize, 2)).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stuck.send(());
        }
        writer.finish().unwrap().members
    });
    // Nothing more is taken once the budget is used up.
    while notice.recv_timeout(Duration::from_millis(500)).is_ok() {}
    assert!(written.load(Ordering::SeqCst) <= 10);
    drop(release);
    assert_eq!(producer.join().unwrap(), 100);
}

#[test]
fn a_file_that_shrank_or_grew_is_an_error_that_names_it() {
    for (content, says) in [(&b"1234"[..], "ended after 4 of 5 bytes"), (b"123456", "more than the 5 bytes")] {
        let mut writer =
            TarArchiveWriter::new(options(Codec::Gzip, MEMBER, 1), Shared::default(), Shared::default()).unwrap();
        let entry = Entry::new(path("var/log/messages"), EntryKind::File(FileLayout::dense(5)));
        let error = writer.append(&entry, &mut { content }).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }));
        assert!(error.to_string().contains("var/log/messages") && error.to_string().contains(says), "{error}");
        assert!(writer.finish().is_err());
    }
}

#[test]
fn a_read_error_names_the_file() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("sector 7"))
        }
    }
    let mut writer =
        TarArchiveWriter::new(options(Codec::Gzip, MEMBER, 1), Shared::default(), Shared::default()).unwrap();
    let entry = Entry::new(path("data/file"), EntryKind::File(FileLayout::dense(5)));
    let error = writer.append(&entry, &mut Broken).unwrap_err();
    assert!(matches!(&error, Error::Source { path, .. } if path == "data/file"));
}

/// Runs a test that would hang if it failed.
fn within_a_minute(test: impl FnOnce() + Send + 'static) -> Result<(), mpsc::RecvTimeoutError> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    result.recv_timeout(Duration::from_mins(1))
}
