//! Restoring into a directory: everything comes back, and nothing leaves it.

use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use archive::{ArchiveReader, Codec, Error, RestoreMetadata, Restorer, Result};

use crate::support::{Content, everything, file, options, run, write_tar};

fn restore(entries: &[Content], destination: &Path, metadata: RestoreMetadata) -> Result<()> {
    let written = write_tar(entries, options(Codec::Gzip, 64 << 10, 2));
    let mut reader = ArchiveReader::new(Cursor::new(written.object), Codec::Gzip, 2)?;
    let mut restorer = Restorer::new(destination, metadata)?;
    while let Some(entry) = reader.next_entry()? {
        restorer.restore(&entry, &mut reader)?;
    }
    restorer.finish()
}

#[test]
fn everything_comes_back_as_gnu_tar_would_compare_it() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, archive) = (directory.path().join("ours"), directory.path().join("a.tar.gz"));
    std::fs::create_dir(&ours).unwrap();
    let entries = everything(false);
    restore(&entries, &ours, RestoreMetadata::Full).unwrap();
    std::fs::write(&archive, write_tar(&entries, options(Codec::Gzip, 64 << 10, 2)).object).unwrap();
    let compared = Command::new("tar")
        .args([
            "--compare",
            "--exclude=terabyte",
            "--xattrs",
            "--acls",
            "--numeric-owner",
            "--warning=no-unknown-keyword",
            "-zf",
        ])
        .arg(&archive)
        .arg("-C")
        .arg(&ours)
        .output()
        .unwrap();
    let flags = Command::new("lsattr").arg(ours.join("flagged")).output().unwrap();
    run(Command::new("chattr").args(["-i"]).arg(ours.join("flagged")));
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    assert!(String::from_utf8_lossy(&flags.stdout).starts_with("----i-dA"), "{flags:?}");
    let sparse = std::fs::metadata(ours.join("terabyte")).unwrap();
    assert!(sparse.len() == 1 << 40 && sparse.blocks() < 100);
    assert_eq!(std::fs::metadata(ours.join("dir/plain")).unwrap().nlink(), 2);
}

#[test]
fn paths_that_gnu_tar_cannot_restore_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let deep: Vec<Content> =
        everything(true).into_iter().filter(|(entry, _)| entry.path.as_bytes().starts_with(b"pppp")).collect();
    restore(&deep, directory.path(), RestoreMetadata::Full).unwrap();
    let found = run(Command::new("find").arg(directory.path()).args(["-name", "deep", "-size", "4c", "-printf", "%d"]));
    assert_eq!(String::from_utf8_lossy(&found.stdout), "26");
    run(Command::new("rm").arg("-rf").arg(directory.path().join("p".repeat(200))));
}

#[test]
fn a_link_in_the_destination_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let (inside, outside) = (directory.path().join("inside"), directory.path().join("outside"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    symlink(&outside, inside.join("etc")).unwrap();
    symlink(outside.join("target"), inside.join("file")).unwrap();

    let error = restore(&[file("etc/passwd", b"x")], &inside, RestoreMetadata::Basic).unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
    assert!(restore(&[file("file", b"x")], &inside, RestoreMetadata::Basic).is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f"), "mine").unwrap();
    let error = restore(&[file("f", b"theirs")], directory.path(), RestoreMetadata::Basic).unwrap_err();
    assert!(matches!(error, Error::Restore { tried: "create", .. }), "{error}");
    assert_eq!(std::fs::read(directory.path().join("f")).unwrap(), b"mine");
}

#[test]
fn one_file_is_restored_with_the_directories_on_its_way() {
    let directory = tempfile::tempdir().unwrap();
    restore(&[file("a/b/c", b"content")], directory.path(), RestoreMetadata::Basic).unwrap();
    assert_eq!(std::fs::read(directory.path().join("a/b/c")).unwrap(), b"content");
}
