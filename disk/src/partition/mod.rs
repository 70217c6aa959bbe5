//! Partition tables: GPT, MBR, hybrid, and none.
//!
//! A table that contradicts itself or its disk is not repaired by guessing: the whole disk then becomes one image, and
//! the reason is recorded. What the kernel ignores is ignored here, too: a GPT without a protective record, a boot
//! sector that looks like a table.

mod gpt;
mod mbr;
mod script;
mod table;

use domain::manifest::Source;

pub use self::table::{Fate, Partition, PartitionTable, RawArea, Scheme};
use crate::device::Disk;
use crate::error::Error;
use crate::filesystem::Section;

/// Boot loaders keep their second stage between the table and the first partition, which usually begins at 1 MiB.
const BOOT_AREA_BYTES: u64 = 1024 * 1024;

/// A disk's table, and what is to be exported.
#[derive(Debug)]
pub struct Layout {
    /// The table, to be stored when every fate is known.
    pub table: PartitionTable,
    /// Partitions in the order of the disk, or the one section that is the whole disk. Extended partitions are
    /// containers and not among them.
    pub sections: Vec<Section>,
}

impl Layout {
    /// Reads the partition table of a disk.
    ///
    /// # Errors
    /// Only read errors: a table that makes no sense leads to an image of the whole disk.
    pub fn read(disk: &Disk) -> Result<Self, Error> {
        // The kernel looks no further than this for a table either.
        let length = usize::try_from(disk.size_bytes().min(8192)).expect("at most 8192");
        let head = disk.read_at(0, length)?;
        let Some(slots) = mbr::slots(&head) else {
            return Ok(Self::whole(disk, None, Vec::new()));
        };
        if mbr::is_protective(&slots) {
            return Ok(match gpt::read(disk)? {
                Ok(mut gpt) => {
                    if mbr::has_partitions(&slots) {
                        gpt.notes.push(
                            "the disk has a hybrid MBR, too: its entries are in the boot area, the GPT was used"
                                .to_owned(),
                        );
                    }
                    Self::partitioned(disk, TableFacts::gpt(gpt))?
                }
                Err(problem) => Self::whole(disk, Some(format!("its GPT is not usable: {problem}")), Vec::new()),
            });
        }
        if !mbr::has_partitions(&slots) {
            return Ok(Self::whole(disk, None, Vec::new()));
        }
        let mut notes = Vec::new();
        if head.get(512..520).is_some_and(gpt::has_signature) {
            notes.push("a GPT without a protective MBR was ignored, as the kernel does".to_owned());
        }
        match mbr::partitions(disk, &slots)? {
            Ok(partitions) => {
                let signature = u32::from_le_bytes([head[440], head[441], head[442], head[443]]);
                Self::partitioned(disk, TableFacts::mbr(disk, signature, partitions, notes))
            }
            Err(problem) => Ok(Self::whole(disk, Some(format!("its MBR is not usable: {problem}")), notes)),
        }
    }

    fn whole(disk: &Disk, defect: Option<String>, mut notes: Vec<String>) -> Self {
        if let Some(defect) = &defect {
            notes.push(format!("the whole disk was exported as one image: {defect}"));
        }
        let source = Source {
            partition: None,
            offset_bytes: 0,
            size_bytes: disk.size_bytes(),
            filesystem: None,
            label: None,
            uuid: None,
        };
        Self {
            table: PartitionTable {
                schema_version: 1,
                scheme: Scheme::None,
                disk_id: None,
                size_bytes: disk.size_bytes(),
                sector_bytes: disk.sector_bytes(),
                sfdisk_script: None,
                partitions: Vec::new(),
                boot_area: RawArea::of(0, &[]),
                backup_gpt: None,
                notes,
            },
            sections: vec![Section::new("disk".to_owned(), source, defect)],
        }
    }

    fn partitioned(disk: &Disk, facts: TableFacts) -> Result<Self, Error> {
        let mut partitions = facts.partitions;
        partitions.sort_by_key(|partition| (partition.offset_bytes, partition.number));
        if let Some(defect) = overlap(&partitions) {
            return Ok(Self::whole(disk, Some(defect), facts.notes));
        }
        if partitions.iter().all(|partition| facts.scheme == Scheme::Mbr && mbr::is_container(partition)) {
            let mut notes = facts.notes;
            notes.push("the partition table names no partition: the disk was read as a whole".to_owned());
            return Ok(Self::whole(disk, None, notes));
        }
        let first = partitions.iter().map(|partition| partition.offset_bytes).min().unwrap_or(BOOT_AREA_BYTES);
        let boot_bytes = first.min(BOOT_AREA_BYTES).min(disk.size_bytes());
        let boot_area = disk.read_at(0, usize::try_from(boot_bytes).expect("at most 1 MiB"))?;
        let backup_gpt = match facts.backup {
            Some((start, end)) => {
                let length = usize::try_from(end - start).expect("at most 2 MiB");
                Some(RawArea::of(start, &disk.read_at(start, length)?))
            }
            None => None,
        };
        let sections = partitions
            .iter()
            .filter(|partition| facts.scheme == Scheme::Gpt || !mbr::is_container(partition))
            .map(|partition| {
                let source = Source {
                    partition: Some(partition.number),
                    offset_bytes: partition.offset_bytes,
                    size_bytes: partition.size_bytes,
                    filesystem: None,
                    label: None,
                    uuid: None,
                };
                Section::new(format!("partition-{}", partition.number), source, None)
            })
            .collect();
        if facts.scheme == Scheme::Mbr {
            for partition in partitions.iter_mut().filter(|p| mbr::is_container(p)) {
                partition.skipped = Some("an extended partition only holds the logical ones".to_owned());
            }
        }
        let mut table = PartitionTable {
            schema_version: 1,
            scheme: facts.scheme,
            disk_id: Some(facts.disk_id),
            size_bytes: disk.size_bytes(),
            sector_bytes: facts.sector_bytes,
            sfdisk_script: None,
            partitions,
            boot_area: RawArea::of(0, &boot_area),
            backup_gpt,
            notes: facts.notes,
        };
        table.sfdisk_script = Some(script::sfdisk(&table, facts.gpt_geometry));
        Ok(Self { table, sections })
    }
}

/// What the two kinds of tables have in common.
struct TableFacts {
    scheme: Scheme,
    disk_id: String,
    sector_bytes: u32,
    partitions: Vec<Partition>,
    gpt_geometry: Option<script::GptGeometry>,
    backup: Option<(u64, u64)>,
    notes: Vec<String>,
}

impl TableFacts {
    fn gpt(gpt: gpt::Gpt) -> Self {
        Self {
            scheme: Scheme::Gpt,
            disk_id: gpt.disk_id,
            sector_bytes: gpt.sector_bytes,
            partitions: gpt.partitions,
            gpt_geometry: Some(script::GptGeometry {
                first_usable: gpt.first_usable,
                last_usable: gpt.last_usable,
                entry_count: gpt.entry_count,
            }),
            backup: gpt.backup,
            notes: gpt.notes,
        }
    }

    fn mbr(disk: &Disk, signature: u32, partitions: Vec<Partition>, notes: Vec<String>) -> Self {
        Self {
            scheme: Scheme::Mbr,
            disk_id: format!("0x{signature:08x}"),
            sector_bytes: disk.sector_bytes(),
            partitions,
            gpt_geometry: None,
            backup: None,
            notes,
        }
    }
}

/// Two partitions that share sectors; `partitions` is sorted by offset.
fn overlap(partitions: &[Partition]) -> Option<String> {
    let mut previous: Option<&Partition> = None;
    for partition in partitions.iter().filter(|p| !mbr::is_container(p)) {
        if let Some(before) = previous
            && before.offset_bytes + before.size_bytes > partition.offset_bytes
        {
            return Some(format!("partitions {} and {} overlap", before.number, partition.number));
        }
        previous = Some(partition);
    }
    None
}
