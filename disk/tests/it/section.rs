//! Disks of every layout are opened, recognised, exported and left as they were.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::support::tree::noise;
use crate::support::{
    MountedImage, filesystem, format, image, loops_below, require_root, run, sfdisk, sh, to_image, to_tar,
};
use anyhow::{Result, bail, ensure};
use disk::partition::Scheme;
use disk::{Access, Disk, Image, Layout, Opened, Options};
use domain::failure::{Kind, chain};

const READ: Options = Options { readers: 4, read_ahead_bytes: 8 << 20 };

fn layout(path: &Path) -> Result<(Disk, Layout)> {
    let disk = Disk::open(path, Access::Untouched, None)?;
    let layout = Layout::read(&disk)?;
    Ok((disk, layout))
}

fn as_image(disk: &Disk, layout: &Layout, index: usize) -> Result<Image> {
    match layout.sections[index].open(disk)? {
        Opened::Image(image) => Ok(image),
        other => bail!("expected an image, not {other:?}"),
    }
}

/// Number, first sector and length of each partition.
fn extents(layout: &Layout) -> Vec<(u32, u64, u64)> {
    let partition = |p: &disk::partition::Partition| (p.number, p.offset_bytes / 512, p.size_bytes / 512);
    layout.table.partitions.iter().map(partition).collect()
}

const GPT: &str = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
    disk1 : start=8192, size=100000, type=L, name=\"root\"\n\
    disk14 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, attrs=\"LegacyBIOSBootable GUID:63\"\n\
    disk15 : start=4096, size=4096, type=U\n";

#[test]
fn a_gpt_is_read_and_its_script_lays_out_the_same_disk() -> Result<()> {
    let work = tempfile::tempdir()?;
    let path = image(&work.path().join("disk"), 64 << 20)?;
    sfdisk(&path, GPT)?;
    let (_, layout) = layout(&path)?;
    assert_eq!(layout.table.scheme, Scheme::Gpt);
    assert_eq!(extents(&layout), [(14, 2048, 2048), (15, 4096, 4096), (1, 8192, 100_000)]);
    assert_eq!(layout.table.partitions[2].name.as_deref(), Some("root"));
    assert!(layout.table.notes.is_empty(), "{:?}", layout.table.notes);
    let copy = image(&work.path().join("copy"), 64 << 20)?;
    sfdisk(&copy, layout.table.sfdisk_script.as_deref().unwrap_or(""))?;
    run(std::process::Command::new("cmp").arg(&path).arg(&copy))?;
    Ok(())
}

#[test]
fn a_damaged_primary_gpt_is_replaced_by_the_backup() -> Result<()> {
    let work = tempfile::tempdir()?;
    let path = image(&work.path().join("disk"), 64 << 20)?;
    sfdisk(&path, GPT)?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.write_all_at(&[0xff; 8], 2 * 512 + 40)?;
    let (_, damaged) = layout(&path)?;
    assert_eq!(extents(&damaged).len(), 3);
    assert!(damaged.table.notes[0].contains("checksum of its entries"), "{:?}", damaged.table.notes);
    file.write_all_at(&[0; 512], (64 << 20) - 512)?;
    let (disk, hopeless) = layout(&path)?;
    assert_eq!(hopeless.table.scheme, Scheme::None);
    let reason = as_image(&disk, &hopeless, 0)?.reason;
    assert!(reason.contains("GPT is not usable"), "{reason}");
    Ok(())
}

#[test]
fn sectors_of_4096_bytes_are_recognised_in_an_image_file() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir()?;
    let path = image(&work.path().join("disk"), 64 << 20)?;
    let device = sh(&format!("losetup --find --show --sector-size 4096 {}", path.display()))?;
    let made = sfdisk(Path::new(device.trim()), "label: gpt\nstart=512, size=1024, type=L\n");
    sh(&format!("losetup --detach {device}"))?;
    made?;
    let (_, layout) = layout(&path)?;
    assert_eq!(layout.table.sector_bytes, 4096);
    assert_eq!(layout.table.partitions[0].offset_bytes, 512 * 4096);
    assert_eq!(layout.table.partitions[0].size_bytes, 1024 * 4096);
    Ok(())
}

#[test]
fn an_mbr_with_logical_partitions_is_read_and_laid_out_again() -> Result<()> {
    let work = tempfile::tempdir()?;
    let path = image(&work.path().join("disk"), 64 << 20)?;
    sfdisk(
        &path,
        "label: dos\nlabel-id: 0xdeadbeef\ndisk1 : start=2048, size=8192, type=83, bootable\ndisk2 : start=16384, size=100000, type=5\n\
         disk5 : start=18432, size=8192, type=83\ndisk6 : start=30720, size=4096, type=82\n",
    )?;
    let (_, layout) = layout(&path)?;
    assert_eq!(layout.table.disk_id.as_deref(), Some("0xdeadbeef"));
    assert_eq!(extents(&layout), [(1, 2048, 8192), (2, 16384, 100_000), (5, 18432, 8192), (6, 30720, 4096)]);
    let names: Vec<_> = layout.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["partition-1", "partition-5", "partition-6"]);
    assert!(layout.table.partitions[1].skipped.is_some());
    let copy = image(&work.path().join("copy"), 64 << 20)?;
    sfdisk(&copy, layout.table.sfdisk_script.as_deref().unwrap_or(""))?;
    run(std::process::Command::new("cmp").arg(&path).arg(&copy))?;
    Ok(())
}

#[test]
fn a_hybrid_mbr_is_noted_and_the_gpt_wins() -> Result<()> {
    let work = tempfile::tempdir()?;
    let path = image(&work.path().join("disk"), 64 << 20)?;
    sfdisk(&path, GPT)?;
    sh(&format!("sgdisk --hybrid=1 {} >/dev/null", path.display()))?;
    let (_, layout) = layout(&path)?;
    assert_eq!(layout.table.scheme, Scheme::Gpt);
    assert!(layout.table.notes.iter().any(|note| note.contains("hybrid")), "{:?}", layout.table.notes);
    Ok(())
}

#[test]
fn tables_that_contradict_themselves_become_an_image_with_the_reason() -> Result<()> {
    let work = tempfile::tempdir()?;
    let entry = |code: u8, start: u32, sectors: u32| {
        let mut raw = [0; 16];
        raw[4] = code;
        raw[8..12].copy_from_slice(&start.to_le_bytes());
        raw[12..].copy_from_slice(&sectors.to_le_bytes());
        raw
    };
    let cases = [
        ("overlap", [entry(0x83, 2048, 4096), entry(0x83, 4096, 4096)], "overlap"),
        ("beyond", [entry(0x83, 2048, u32::MAX), entry(0, 0, 0)], "ends before"),
        ("endless", [entry(0x05, 2048, 4096), entry(0, 0, 0)], "comes back"),
    ];
    for (name, entries, said) in cases {
        let path = image(&work.path().join(name), 8 << 20)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        file.write_all_at(&entries.concat(), 446)?;
        file.write_all_at(&[0x55, 0xaa], 510)?;
        // A logical record that points to itself.
        file.write_all_at(&entry(0x05, 0, 64), 2048 * 512 + 446 + 16)?;
        file.write_all_at(&[0x55, 0xaa], 2048 * 512 + 510)?;
        let (disk, layout) = layout(&path)?;
        let reason = as_image(&disk, &layout, 0)?.reason;
        assert!(reason.contains(said), "{name}: {reason}");
    }
    // Nor does noise where the tables are do any harm.
    for seed in 0..50 {
        let path = image(&work.path().join(format!("noise-{seed}")), 4 << 20)?;
        let mut bytes = noise(seed, 1 << 20);
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        for slot in 0..4 {
            bytes[446 + slot * 16] = 0;
        }
        bytes[450] = if seed % 2 == 0 { 0xee } else { 0x05 };
        bytes[512..520].copy_from_slice(b"EFI PART");
        OpenOptions::new().write(true).open(&path)?.write_all_at(&bytes, 0)?;
        layout(&path)?;
    }
    Ok(())
}

#[test]
fn a_table_that_names_no_partition_leaves_the_whole_disk_to_export() -> Result<()> {
    let work = tempfile::tempdir()?;
    for label in ["gpt", "dos"] {
        let path = image(&work.path().join(label), 8 << 20)?;
        sfdisk(&path, &format!("label: {label}\n"))?;
        let (disk, layout) = layout(&path)?;
        assert_eq!(layout.sections.len(), 1, "{label}");
        assert_eq!(as_image(&disk, &layout, 0)?.section.source.size_bytes, 8 << 20, "{label}");
    }
    Ok(())
}

#[test]
fn a_partitioned_disk_is_exported_part_by_part() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let path = image(&work.path().join("disk"), 1 << 30)?;
    sfdisk(
        &path,
        "label: gpt\nstart=2048, size=131072, type=L\nstart=133120, size=819200, type=L\nsize=65536, type=S\nsize=65536, type=L\n",
    )?;
    let put = |name: &str, make: &str, bytes: u64, sector: u64| -> Result<()> {
        let part = image(&work.path().join(name), bytes)?;
        sh(&format!("{make} {}", part.display()))?;
        sh(&format!(
            "dd if={} of={} bs=512 seek={sector} conv=notrunc,sparse status=none",
            part.display(),
            path.display()
        ))?;
        Ok(())
    };
    put("a", "mkfs.ext4 -q -L my\\ root", 131_072 * 512, 2048)?;
    put("b", "mkfs.xfs -q", 819_200 * 512, 133_120)?;
    put("c", "mkswap -q", 65_536 * 512, 952_320)?;
    let unknown = noise(1, 65_536 * 512);
    File::options().write(true).open(&path)?.write_all_at(&unknown, 1_017_856 * 512)?;

    let before = sh(&format!("sha256sum < {}", path.display()))?;
    let (disk, layout) = layout(&path)?;
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
                ensure!(loops_below(work.path())?.is_empty(), "the loop device was left");
            }
            Opened::Image(part) => {
                seen.push(format!("{} {}", section.name, part.reason));
                let archive = work.path().join("unknown.img.gz");
                to_image(&disk, &part, &archive, &READ)??;
                let copy = work.path().join("unknown");
                std::fs::write(&copy, &unknown)?;
                sh(&format!("gunzip -c {} | cmp - {}", archive.display(), copy.display()))?;
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
    assert_eq!(sh(&format!("sha256sum < {}", path.display()))?, before, "the disk was changed");
    Ok(())
}

#[test]
fn an_image_equals_the_disk_holes_and_odd_end_included() -> Result<()> {
    let work = tempfile::tempdir_in("/var/tmp")?;
    let path = image(&work.path().join("disk"), (300 << 20) + 512)?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.write_all_at(&noise(1, 5 << 20), 17 << 20)?;
    file.write_all_at(b"end", (300 << 20) + 509)?;
    file.write_all_at(&vec![0; 3 << 20], 100 << 20)?;
    let (disk, layout) = layout(&path)?;
    let whole = as_image(&disk, &layout, 0)?;
    for options in [READ, Options { readers: 64, read_ahead_bytes: 1 }] {
        let archive = work.path().join("disk.img.gz");
        to_image(&disk, &whole, &archive, &options)??;
        sh(&format!("gunzip -c {} | cmp - {}", archive.display(), path.display()))?;
    }
    Ok(())
}

#[test]
fn two_disks_with_the_same_xfs_are_mounted_at_once() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let first =
        filesystem(&work.path().join("first"), "xfs", 400 << 20, |root| Ok(std::fs::write(root.join("file"), "x")?))?;
    let second = work.path().join("second");
    std::fs::copy(&first, &second)?;
    let mut mounts = Vec::new();
    for path in [&first, &second] {
        let (disk, layout) = layout(path)?;
        match layout.sections[0].open(&disk)? {
            Opened::Filesystem(mounted) => mounts.push(mounted),
            other => bail!("{other:?}"),
        }
    }
    for mounted in mounts {
        mounted.unmount()?;
    }
    ensure!(loops_below(work.path())?.is_empty(), "a loop device was left");
    Ok(())
}

/// A copy of a filesystem taken while it was written to: its journal is not clean.
fn dirty(work: &Path, kind: &str) -> Result<std::path::PathBuf> {
    let path =
        filesystem(&work.join("live"), kind, 400 << 20, |root| Ok(std::fs::write(root.join("old"), "settled")?))?;
    let mounted = MountedImage::new(&path, "rw")?;
    for number in 0..200 {
        std::fs::write(mounted.path().join(format!("new-{number}")), "fresh")?;
    }
    File::open(mounted.path().join("new-199"))?.sync_all()?;
    let copy = work.join("dirty");
    sh(&format!("sync -d {} ; cp --sparse=always {} {}", path.display(), path.display(), copy.display()))?;
    mounted.unmount()?;
    Ok(copy)
}

#[test]
fn a_journal_is_replayed_only_on_a_throw_away_disk() -> Result<()> {
    require_root()?;
    for kind in ["ext4", "xfs"] {
        let work = tempfile::tempdir_in("/var/tmp")?;
        let path = dirty(work.path(), kind)?;
        let before = sh(&format!("sha256sum < {}", path.display()))?;
        for (access, noted) in [(Access::Untouched, true), (Access::ThrowAway, false)] {
            let disk = Disk::open(&path, access, None)?;
            let layout = Layout::read(&disk)?;
            let Opened::Filesystem(mounted) = layout.sections[0].open(&disk)? else { bail!("{kind} was not mounted") };
            assert_eq!(mounted.notes.len(), usize::from(noted), "{kind} {access:?}: {:?}", mounted.notes);
            to_tar(&mounted, &work.path().join("disk.tar.gz"), &READ)??;
            mounted.unmount()?;
            let after = sh(&format!("sha256sum < {}", path.display()))?;
            assert_eq!(after == before, noted, "{kind} {access:?}: whether the disk stayed as it was");
        }
        let listed = sh(&format!("tar -tzf {}", work.path().join("disk.tar.gz").display()))?;
        ensure!(listed.contains("new-199"), "{kind}: the journal was not replayed:\n{listed}");
    }
    Ok(())
}

#[test]
fn a_disk_cut_short_fails_the_export_and_names_the_file() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir_in("/var/tmp")?;
    let path = filesystem(&work.path().join("disk"), "ext4", 400 << 20, |root| {
        std::fs::write(root.join("a-small"), "first")?;
        std::fs::write(root.join("b-large"), noise(1, 200 << 20))?;
        Ok(())
    })?;
    let (disk, layout) = layout(&path)?;
    let Opened::Filesystem(mounted) = layout.sections[0].open(&disk)? else { bail!("not mounted") };
    sh("sync; echo 1 > /proc/sys/vm/drop_caches")?;
    OpenOptions::new().write(true).open(&path)?.set_len(30 << 20)?;
    let Err(error) = to_tar(&mounted, &work.path().join("disk.tar.gz"), &READ)? else { bail!("the export succeeded") };
    assert_eq!(error.kind(), Kind::ReadFailed);
    assert!(chain(&error).contains("/b-large"), "{}", chain(&error));
    mounted.unmount()?;
    let (disk, layout) = self::layout(&path)?;
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
    let path = image(&work.path().join("disk"), 400 << 20)?;
    format(&path, "ext4")?;
    // The root directory's inode and the group descriptors.
    OpenOptions::new().write(true).open(&path)?.write_all_at(&[0xff; 8192], 4096)?;
    let (disk, layout) = layout(&path)?;
    let reason = as_image(&disk, &layout, 0)?.reason;
    assert!(reason.starts_with("ext4 could not be mounted: "), "{reason}");
    ensure!(loops_below(work.path())?.is_empty(), "a loop device was left");
    Ok(())
}

#[test]
fn squashfs_is_a_filesystem_like_others() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir()?;
    let path = work.path().join("disk");
    if sh("command -v mksquashfs").is_err() {
        bail!("mksquashfs is missing: install squashfs-tools");
    }
    sh(&format!(
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
