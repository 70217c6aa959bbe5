//! Partition tables of every kind are read, and disks are laid out again by what was read.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use anyhow::Result;
use disk::Layout;
use disk::partition::Scheme;
use support::disk::{Disk as DiskFile, partition};
use support::loop_device::LoopDevice;
use support::tree::noise;
use support::{require_root, run, shell};

use crate::export::{as_image, layout};

const GPT: &str = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
    disk1 : start=8192, size=100000, type=L, name=\"root\"\n\
    disk14 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, attrs=\"LegacyBIOSBootable GUID:63\"\n\
    disk15 : start=4096, size=4096, type=U\n";

/// Number, first sector and length of each partition.
fn extents(layout: &Layout) -> Vec<(u32, u64, u64)> {
    let partition = |p: &disk::partition::Partition| (p.number, p.offset_bytes / 512, p.size_bytes / 512);
    layout.table.partitions.iter().map(partition).collect()
}

#[test]
fn a_gpt_is_read_and_its_script_lays_out_the_same_disk() -> Result<()> {
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 64 << 20)?;
    image.partition(GPT)?;
    let (_, layout) = layout(image.path())?;
    assert_eq!(layout.table.scheme, Scheme::Gpt);
    assert_eq!(extents(&layout), [(14, 2048, 2048), (15, 4096, 4096), (1, 8192, 100_000)]);
    assert_eq!(layout.table.partitions[2].name.as_deref(), Some("root"));
    assert!(layout.table.notes.is_empty(), "{:?}", layout.table.notes);
    let copy = DiskFile::new(&work.path().join("copy"), 64 << 20)?;
    copy.partition(layout.table.sfdisk_script.as_deref().unwrap_or(""))?;
    run(Command::new("cmp").arg(image.path()).arg(copy.path()))?;
    Ok(())
}

#[test]
fn a_damaged_primary_gpt_is_replaced_by_the_backup() -> Result<()> {
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 64 << 20)?;
    image.partition(GPT)?;
    let file = OpenOptions::new().write(true).open(image.path())?;
    file.write_all_at(&[0xff; 8], 2 * 512 + 40)?;
    let (_, damaged) = layout(image.path())?;
    assert_eq!(extents(&damaged).len(), 3);
    assert!(damaged.table.notes[0].contains("checksum of its entries"), "{:?}", damaged.table.notes);
    file.write_all_at(&[0; 512], (64 << 20) - 512)?;
    let (disk, hopeless) = layout(image.path())?;
    assert_eq!(hopeless.table.scheme, Scheme::None);
    let reason = as_image(&disk, &hopeless, 0)?.reason;
    assert!(reason.contains("GPT is not usable"), "{reason}");
    Ok(())
}

#[test]
fn sectors_of_4096_bytes_are_recognised_in_an_image_file() -> Result<()> {
    require_root()?;
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 64 << 20)?;
    let device = LoopDevice::with_sectors(image.path(), 4096)?;
    let made = partition(device.path(), "label: gpt\nstart=512, size=1024, type=L\n");
    device.detach()?;
    made?;
    let (_, layout) = layout(image.path())?;
    assert_eq!(layout.table.sector_bytes, 4096);
    assert_eq!(layout.table.partitions[0].offset_bytes, 512 * 4096);
    assert_eq!(layout.table.partitions[0].size_bytes, 1024 * 4096);
    Ok(())
}

#[test]
fn an_mbr_with_logical_partitions_is_read_and_laid_out_again() -> Result<()> {
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 64 << 20)?;
    image.partition(
        "label: dos\nlabel-id: 0xdeadbeef\ndisk1 : start=2048, size=8192, type=83, bootable\n\
         disk2 : start=16384, size=100000, type=5\n\
         disk5 : start=18432, size=8192, type=83\ndisk6 : start=30720, size=4096, type=82\n",
    )?;
    let (_, layout) = layout(image.path())?;
    assert_eq!(layout.table.disk_id.as_deref(), Some("0xdeadbeef"));
    assert_eq!(extents(&layout), [(1, 2048, 8192), (2, 16384, 100_000), (5, 18432, 8192), (6, 30720, 4096)]);
    let names: Vec<_> = layout.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["partition-1", "partition-5", "partition-6"]);
    assert!(layout.table.partitions[1].skipped.is_some());
    let copy = DiskFile::new(&work.path().join("copy"), 64 << 20)?;
    copy.partition(layout.table.sfdisk_script.as_deref().unwrap_or(""))?;
    run(Command::new("cmp").arg(image.path()).arg(copy.path()))?;
    Ok(())
}

#[test]
fn a_hybrid_mbr_is_noted_and_the_gpt_wins() -> Result<()> {
    let work = tempfile::tempdir()?;
    let image = DiskFile::new(&work.path().join("disk"), 64 << 20)?;
    image.partition(GPT)?;
    shell(&format!("sgdisk --hybrid=1 {} >/dev/null", image.path().display()))?;
    let (_, layout) = layout(image.path())?;
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
        let image = DiskFile::new(&work.path().join(name), 8 << 20)?;
        let file = OpenOptions::new().write(true).open(image.path())?;
        file.write_all_at(&entries.concat(), 446)?;
        file.write_all_at(&[0x55, 0xaa], 510)?;
        // A logical record that points to itself.
        file.write_all_at(&entry(0x05, 0, 64), 2048 * 512 + 446 + 16)?;
        file.write_all_at(&[0x55, 0xaa], 2048 * 512 + 510)?;
        let (disk, layout) = layout(image.path())?;
        let reason = as_image(&disk, &layout, 0)?.reason;
        assert!(reason.contains(said), "{name}: {reason}");
    }
    // Nor does noise where the tables are do any harm.
    for seed in 0..50 {
        let image = DiskFile::new(&work.path().join(format!("noise-{seed}")), 4 << 20)?;
        let mut bytes = noise(seed, 1 << 20);
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        for slot in 0..4 {
            bytes[446 + slot * 16] = 0;
        }
        bytes[450] = if seed % 2 == 0 { 0xee } else { 0x05 };
        bytes[512..520].copy_from_slice(b"EFI PART");
        OpenOptions::new().write(true).open(image.path())?.write_all_at(&bytes, 0)?;
        layout(image.path())?;
    }
    Ok(())
}

#[test]
fn a_table_that_names_no_partition_leaves_the_whole_disk_to_export() -> Result<()> {
    let work = tempfile::tempdir()?;
    for label in ["gpt", "dos"] {
        let image = DiskFile::new(&work.path().join(label), 8 << 20)?;
        image.partition(&format!("label: {label}\n"))?;
        let (disk, layout) = layout(image.path())?;
        assert_eq!(layout.sections.len(), 1, "{label}");
        assert_eq!(as_image(&disk, &layout, 0)?.section.source.size_bytes, 8 << 20, "{label}");
    }
    Ok(())
}
