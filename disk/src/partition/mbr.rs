//! Master boot records with extended and logical partitions, read as the kernel reads them, with every number checked.

use std::collections::BTreeSet;

use super::table::{Partition, type_name};
use crate::device::Disk;
use crate::error::Error;

/// As many as the kernel's minor numbers allow; more is a chain that does not end.
const MAX_LOGICAL: usize = 256;

/// One of the four slots of a boot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) bootable: bool,
    pub(super) code: u8,
    pub(super) start: u32,
    pub(super) sectors: u32,
}

impl Slot {
    fn is_used(self) -> bool {
        self.code != 0 && self.sectors != 0
    }

    fn is_extended(self) -> bool {
        matches!(self.code, 0x05 | 0x0f | 0x85)
    }
}

/// The slots of a boot record; `None` where it is none, or the boot sector of a filesystem.
pub(super) fn slots(sector: &[u8]) -> Option<[Slot; 4]> {
    if sector.len() < 512 || sector[510..512] != [0x55, 0xaa] {
        return None;
    }
    let mut slots = [Slot { bootable: false, code: 0, start: 0, sectors: 0 }; 4];
    for (slot, raw) in slots.iter_mut().zip(sector[446..510].chunks_exact(16)) {
        if !matches!(raw[0], 0 | 0x80) {
            return None;
        }
        *slot = Slot {
            bootable: raw[0] == 0x80,
            code: raw[4],
            start: u32::from_le_bytes([raw[8], raw[9], raw[10], raw[11]]),
            sectors: u32::from_le_bytes([raw[12], raw[13], raw[14], raw[15]]),
        };
    }
    Some(slots)
}

/// Whether the record protects a GPT.
pub(super) fn is_protective(slots: &[Slot; 4]) -> bool {
    slots.iter().any(|slot| slot.code == 0xee)
}

/// Whether the record names any partition besides one that protects a GPT.
pub(super) fn has_partitions(slots: &[Slot; 4]) -> bool {
    slots.iter().any(|slot| slot.is_used() && slot.code != 0xee)
}

/// All partitions, extended ones first as containers; the inner error says why the table cannot be used.
pub(super) fn partitions(disk: &Disk, slots: &[Slot; 4]) -> Result<Result<Vec<Partition>, String>, Error> {
    let sector_bytes = u64::from(disk.sector_bytes());
    let disk_sectors = disk.size_bytes() / sector_bytes;
    let mut partitions = Vec::new();
    let mut containers = Vec::new();
    for (slot, number) in slots.iter().zip(1_u32..) {
        if !slot.is_used() {
            continue;
        }
        let start = u64::from(slot.start);
        match partition(number, *slot, start, sector_bytes, disk_sectors) {
            Ok(partition) => partitions.push(partition),
            Err(problem) => return Ok(Err(problem)),
        }
        if slot.is_extended() {
            containers.push((start, start + u64::from(slot.sectors)));
        }
    }
    let mut number = 5;
    for (first, end) in containers {
        let mut visited = BTreeSet::new();
        let mut record = first;
        loop {
            if !visited.insert(record) || visited.len() > MAX_LOGICAL {
                return Ok(Err(format!(
                    "the chain of logical partitions comes back to sector {record}, or is too long"
                )));
            }
            if record >= end || record >= disk_sectors {
                return Ok(Err(format!(
                    "the chain of logical partitions leaves the extended partition (sector {record})"
                )));
            }
            let sector = disk.read_at(record * sector_bytes, disk.sector_bytes() as usize)?;
            let Some(logical) = self::slots(&sector) else {
                // An extended partition that was never used holds no record; a chain must not break off.
                if record == first {
                    break;
                }
                return Ok(Err(format!("sector {record}, said to describe a logical partition, does not")));
            };
            let mut next = None;
            for slot in logical.into_iter().filter(|slot| slot.is_used()) {
                if slot.is_extended() {
                    next = next.or(Some(first + u64::from(slot.start)));
                    continue;
                }
                let start = record + u64::from(slot.start);
                match partition(number, slot, start, sector_bytes, disk_sectors.min(end)) {
                    Ok(partition) => partitions.push(partition),
                    Err(problem) => return Ok(Err(problem)),
                }
                number += 1;
            }
            match next {
                Some(sector) => record = sector,
                None => break,
            }
        }
    }
    Ok(Ok(partitions))
}

/// Whether a partition only holds others.
pub(super) fn is_container(partition: &Partition) -> bool {
    matches!(partition.type_code.as_str(), "05" | "0f" | "85")
}

fn partition(number: u32, slot: Slot, start: u64, sector_bytes: u64, limit: u64) -> Result<Partition, String> {
    let end = start + u64::from(slot.sectors);
    if end > limit {
        return Err(format!(
            "partition {number} ends before sector {end}, but the disk or the partition around it ends before {limit}"
        ));
    }
    let type_code = format!("{:02x}", slot.code);
    Ok(Partition {
        number,
        offset_bytes: start * sector_bytes,
        size_bytes: u64::from(slot.sectors) * sector_bytes,
        type_name: type_name(&type_code).map(str::to_owned),
        type_code,
        guid: None,
        name: None,
        attributes: 0,
        bootable: slot.bootable,
        artifact: None,
        skipped: None,
    })
}
