//! Disks are opened, recognised, exported and left as they were.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use disk::{Access, Disk, Layout, Opened, Options};
use domain::failure::{Kind, chain};
use support::disk::{Disk as DiskFile, format};
use support::loop_device::{assert_released, loops_below};
use support::tree::noise;
use support::{require_root, shell};

use crate::export::{as_image, layout, to_image, to_tar};

const READ: Options = Options { readers: 4, read_ahead_bytes: 8 << 20 };

#[test]
fn a_partitioned_disk_is_exported_part_by_part() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let image = DiskFile::new(&work.path().join("disk"), 1 << 30)?;
    image.partition(
        "label: gpt\nstart=2048, size=131072, type=L\nstart=133120, size=819200, type=L\n\
         size=65536, type=S\nsize=65536, type=L\n",
    )?;
    let put = |name: &str, make: &str, bytes: u64, sector: u64| -> Result<()> {
        let part = DiskFile::new(&work.path().join(name), bytes)?;
        shell(&format!("{make} {}", part.path().display()))?;
        shell(&format!(
            "dd if={} of={} bs=512 seek={sector} conv=notrunc,sparse status=none",
            part.path().display(),
            image.path().display()
        ))?;
        Ok(())
    };
    put("a", "mkfs.ext4 -q -L my\\ root", 131_072 * 512, 2048)?;
    put("b", "mkfs.xfs -q", 819_200 * 512, 133_120)?;
    put("c", "mkswap -q", 65_536 * 512, 952_320)?;
    let unknown = noise(1, 65_536 * 512);
    File::options().write(true).open(image.path())?.write_all_at(&unknown, 1_017_856 * 512)?;

    let before = shell(&format!("sha256sum < {}", image.path().display()))?;
    let (disk, layout) = layout(image.path())?;
    let mut seen = Vec::new();
    for section in &layout.sections {
        match section.open(&disk)? {
            Opened::Filesystem(mounted) => {
                ensure!(loops_below(work.path())?.len() == 1, "the filesystem is on one loop device");
                seen.push(format!(
                    "{} {:?} {:?}",
                    section.name, mounted.section.source.filesystem, mounted.section.source.label
                ));
                to_tar(&mounted, &work.path().join(format!("{}.tar.gz", section.name)), &READ)??;
                mounted.unmount()?;
                assert_released(work.path())?;
            }
            Opened::Image(part) => {
                seen.push(format!("{} {}", section.name, part.reason));
                let archive = work.path().join("unknown.img.gz");
                to_image(&disk, &part, &archive, &READ)??;
                let copy = work.path().join("unknown");
                std::fs::write(&copy, &unknown)?;
                shell(&format!("gunzip -c {} | cmp - {}", archive.display(), copy.display()))?;
            }
            Opened::Skipped(skipped) => seen.push(format!("{} {}", section.name, skipped.reason)),
        }
    }
    assert_eq!(
        seen,
        [
            "partition-1 Some(\"ext4\") Some(\"my root\")",
            "partition-2 Some(\"xfs\") None",
            "partition-3 swap space, worthless after a restore",
            "partition-4 no filesystem was recognised",
        ]
    );
    assert_eq!(shell(&format!("sha256sum < {}", image.path().display()))?, before, "the disk was changed");
    Ok(())
}

#[test]
fn an_image_equals_the_disk_holes_and_odd_end_included() -> Result<()> {
    let work = tempfile::tempdir_in("/var/tmp")?;
    let image = DiskFile::new(&work.path().join("disk"), (300 << 20) + 512)?;
    let file = OpenOptions::new().write(true).open(image.path())?;
    file.write_all_at(&noise(1, 5 << 20), 17 << 20)?;
    file.write_all_at(b"end", (300 << 20) + 509)?;
    file.write_all_at(&vec![0; 3 << 20], 100 << 20)?;
    let (disk, layout) = layout(image.path())?;
    let whole = as_image(&disk, &layout, 0)?;
    for options in [READ, Options { readers: 64, read_ahead_bytes: 1 }] {
        let archive = work.path().join("disk.img.gz");
        to_image(&disk, &whole, &archive, &options)??;
        shell(&format!("gunzip -c {} | cmp - {}", archive.display(), image.path().display()))?;
    }
    Ok(())
}

#[test]
fn two_disks_with_the_same_xfs_are_mounted_at_once() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let first = DiskFile::filled(&work.path().join("first"), "xfs", 400 << 20, |root| {
        Ok(std::fs::write(root.join("file"), "x")?)
    })?;
    let second = work.path().join("second");
    std::fs::copy(first.path(), &second)?;
    let mut mounts = Vec::new();
    for path in [first.path(), &second] {
        let (disk, layout) = layout(path)?;
        match layout.sections[0].open(&disk)? {
            Opened::Filesystem(mounted) => mounts.push(mounted),
            other => bail!("{other:?}"),
        }
    }
    for mounted in mounts {
        mounted.unmount()?;
    }
    assert_released(work.path())?;
    Ok(())
}

/// A copy of a filesystem taken while it was written to: its journal is not clean.
fn dirty(work: &Path, kind: &str) -> Result<std::path::PathBuf> {
    let image =
        DiskFile::filled(&work.join("live"), kind, 400 << 20, |root| Ok(std::fs::write(root.join("old"), "settled")?))?;
    let mounted = image.mount("rw")?;
    for number in 0..200 {
        std::fs::write(mounted.path().join(format!("new-{number}")), "fresh")?;
    }
    File::open(mounted.path().join("new-199"))?.sync_all()?;
    let copy = work.join("dirty");
    shell(&format!(
        "sync -d {} ; cp --sparse=always {} {}",
        image.path().display(),
        image.path().display(),
        copy.display()
    ))?;
    mounted.unmount()?;
    Ok(copy)
}

#[test]
fn a_journal_is_replayed_only_on_a_throw_away_disk() -> Result<()> {
    require_root()?;
    for kind in ["ext4", "xfs"] {
        let work = tempfile::tempdir_in("/var/tmp")?;
        let path = dirty(work.path(), kind)?;
        let before = shell(&format!("sha256sum < {}", path.display()))?;
        for (access, noted) in [(Access::Untouched, true), (Access::ThrowAway, false)] {
            let disk = Disk::open(&path, access, None)?;
            let layout = Layout::read(&disk)?;
            let Opened::Filesystem(mounted) = layout.sections[0].open(&disk)? else { bail!("{kind} was not mounted") };
            assert_eq!(mounted.notes.len(), usize::from(noted), "{kind} {access:?}: {:?}", mounted.notes);
            to_tar(&mounted, &work.path().join("disk.tar.gz"), &READ)??;
            mounted.unmount()?;
            let after = shell(&format!("sha256sum < {}", path.display()))?;
            assert_eq!(after == before, noted, "{kind} {access:?}: whether the disk stayed as it was");
        }
        let listed = shell(&format!("tar -tzf {}", work.path().join("disk.tar.gz").display()))?;
        ensure!(listed.contains("new-199"), "{kind}: the journal was not replayed:\n{listed}");
    }
    Ok(())
}

#[test]
fn a_disk_cut_short_fails_the_export_and_names_the_file() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let image = DiskFile::filled(&work.path().join("disk"), "ext4", 400 << 20, |root| {
        std::fs::write(root.join("a-small"), "first")?;
        std::fs::write(root.join("b-large"), noise(1, 200 << 20))?;
        Ok(())
    })?;
    let (disk, layout) = layout(image.path())?;
    let Opened::Filesystem(mounted) = layout.sections[0].open(&disk)? else { bail!("not mounted") };
    shell("sync; echo 1 > /proc/sys/vm/drop_caches")?;
    OpenOptions::new().write(true).open(image.path())?.set_len(30 << 20)?;
    let Err(error) = to_tar(&mounted, &work.path().join("disk.tar.gz"), &READ)? else { bail!("the export succeeded") };
    assert_eq!(error.kind(), Kind::ReadFailed);
    assert!(chain(&error).contains("/b-large"), "{}", chain(&error));
    mounted.unmount()?;
    let (disk, layout) = self::layout(image.path())?;
    let mut whole = match layout.sections[0].open(&disk)? {
        Opened::Image(image) => image,
        other => bail!("half a filesystem was mounted: {other:?}"),
    };
    whole.section.source.size_bytes = 400 << 20;
    let Err(error) = to_image(&disk, &whole, &work.path().join("disk.img.gz"), &READ)? else {
        bail!("the image succeeded")
    };
    assert_eq!(error.kind(), Kind::ReadFailed);
    assert!(chain(&error).contains("at byte 31457280"), "{}", chain(&error));
    Ok(())
}

#[test]
fn a_broken_filesystem_becomes_an_image_with_the_error_of_the_mount() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 400 << 20)?;
    format(image.path(), "ext4", "data")?;
    // The root directory's inode and the group descriptors.
    OpenOptions::new().write(true).open(image.path())?.write_all_at(&[0xff; 8192], 4096)?;
    let (disk, layout) = layout(image.path())?;
    let reason = as_image(&disk, &layout, 0)?.reason;
    assert!(reason.starts_with("ext4 could not be mounted: "), "{reason}");
    assert_released(work.path())?;
    Ok(())
}

#[test]
fn squashfs_is_a_filesystem_like_others() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir()?;
    let path = work.path().join("disk");
    if shell("command -v mksquashfs").is_err() {
        bail!("mksquashfs is missing: install squashfs-tools");
    }
    shell(&format!(
        "mkdir {0}/tree; echo x > {0}/tree/file; mksquashfs {0}/tree {1} -quiet -no-progress",
        work.path().display(),
        path.display()
    ))?;
    let (disk, layout) = layout(&path)?;
    let Opened::Filesystem(mounted) = layout.sections[0].open(&disk)? else { bail!("not mounted") };
    assert_eq!(to_tar(&mounted, &work.path().join("disk.tar.gz"), &READ)??.entries, 2);
    Ok(mounted.unmount()?)
}

#[test]
fn what_is_no_disk_is_refused_by_name() -> Result<()> {
    let work = tempfile::tempdir()?;
    let missing = Disk::open(&work.path().join("missing"), Access::Untouched, None);
    let directory = Disk::open(work.path(), Access::Untouched, None);
    let mut file = tempfile::NamedTempFile::new()?;
    let empty = Disk::open(file.path(), Access::Untouched, None);
    file.write_all(&[1; 512])?;
    let small = Disk::open(file.path(), Access::Untouched, Some(513));
    let device = Disk::open(Path::new("/dev/null"), Access::Untouched, None);
    for (result, said) in [
        (missing, "check the path"),
        (directory, "a directory"),
        (empty, "empty"),
        (small, "512 bytes, 513 were expected"),
        (device, "a character device"),
    ] {
        let Err::<Disk, disk::Error>(error) = result else {
            bail!("it was opened, and should have been refused: {said}")
        };
        assert_eq!(error.kind(), Kind::SourceNotFound);
        assert!(error.to_string().contains(said), "{error}");
    }
    Ok(())
}
