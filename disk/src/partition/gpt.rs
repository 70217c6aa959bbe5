//! GUID partition tables, as the UEFI specification has them: checksums are checked, and nothing in them is believed
//! beyond the disk.

use crc_fast::CrcAlgorithm;

use super::table::{Partition, type_name};
use crate::device::Disk;
use crate::error::Error;

/// Tables are 16 KiB; the kernel and this reader stop at a mebibyte.
const MAX_TABLE_BYTES: u64 = 1024 * 1024;

/// A GPT whose checksums hold.
#[derive(Debug)]
pub(super) struct Gpt {
    pub(super) sector_bytes: u32,
    pub(super) disk_id: String,
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) entry_count: u32,
    pub(super) partitions: Vec<Partition>,
    /// Where the backup is: from its entries to the end of its header.
    pub(super) backup: Option<(u64, u64)>,
    pub(super) notes: Vec<String>,
}

struct Header {
    my_lba: u64,
    alternate_lba: u64,
    first_usable: u64,
    last_usable: u64,
    disk_id: String,
    entries_lba: u64,
    entry_count: u32,
    entry_bytes: u32,
    entries_crc: u32,
}

/// Reads the GPT of a disk; the inner error says why what is there cannot be used.
pub(super) fn read(disk: &Disk) -> Result<Result<Gpt, String>, Error> {
    let mut sizes = vec![disk.sector_bytes()];
    sizes.extend([512, 4096].into_iter().filter(|size| *size != disk.sector_bytes()));
    let mut problems = Vec::new();
    for sector_bytes in sizes {
        let sectors = disk.size_bytes() / u64::from(sector_bytes);
        if sectors < 3 {
            continue;
        }
        let primary = read_at(disk, sector_bytes, 1)?;
        // A disk that grew has its backup where its old end was.
        let alternate = match &primary {
            Ok((header, _)) if header.alternate_lba > 1 && header.alternate_lba < sectors => header.alternate_lba,
            _ => sectors - 1,
        };
        let backup = read_at(disk, sector_bytes, alternate)?;
        let mut notes = Vec::new();
        let backup_range = backup.as_ref().ok().and_then(|(header, _)| backup_range(header, sector_bytes));
        let chosen = match (primary, backup) {
            (Ok(primary), Ok(_)) => primary,
            (Ok(primary), Err(problem)) => {
                notes.push(format!("the backup GPT is not usable ({problem})"));
                primary
            }
            (Err(problem), Ok(backup)) => {
                notes.push(format!(
                    "the primary GPT is not usable ({problem}): the backup at the end of the disk was used"
                ));
                backup
            }
            (Err(primary), Err(backup)) => {
                problems.push(format!("with {sector_bytes}-byte sectors: primary: {primary}, backup: {backup}"));
                continue;
            }
        };
        if sector_bytes != disk.sector_bytes() {
            notes.push(format!(
                "the GPT is written for sectors of {sector_bytes} bytes, the device has {}",
                disk.sector_bytes()
            ));
        }
        let (header, table) = chosen;
        return Ok(partitions(&header, &table, sector_bytes, sectors).map(|partitions| Gpt {
            sector_bytes,
            disk_id: header.disk_id,
            first_usable: header.first_usable,
            last_usable: header.last_usable,
            entry_count: header.entry_count,
            partitions,
            backup: backup_range,
            notes,
        }));
    }
    Ok(Err(problems.join("; ")))
}

/// Whether a sector holds the signature of a GPT header.
pub(super) fn has_signature(sector: &[u8]) -> bool {
    sector.starts_with(b"EFI PART")
}

type Table = Vec<u8>;

fn read_at(disk: &Disk, sector_bytes: u32, lba: u64) -> Result<Result<(Header, Table), String>, Error> {
    let sector = disk.read_at(lba * u64::from(sector_bytes), sector_bytes as usize)?;
    let header = match header(&sector, lba) {
        Ok(header) => header,
        Err(problem) => return Ok(Err(problem)),
    };
    let bytes = u64::from(header.entry_count) * u64::from(header.entry_bytes);
    let range = header
        .entries_lba
        .checked_mul(u64::from(sector_bytes))
        .filter(|start| start.checked_add(bytes).is_some_and(|end| end <= disk.size_bytes()));
    let Some(start) = range else {
        return Ok(Err("its entries lie beyond the end of the disk".to_owned()));
    };
    let table = disk.read_at(start, usize::try_from(bytes).unwrap_or(0))?;
    if crc32(&table) != header.entries_crc {
        return Ok(Err("the checksum of its entries does not match".to_owned()));
    }
    Ok(Ok((header, table)))
}

fn header(sector: &[u8], lba: u64) -> Result<Header, String> {
    if !has_signature(sector) {
        return Err("no header".to_owned());
    }
    let size = u32_at(sector, 12) as usize;
    if !(92..=sector.len()).contains(&size) {
        return Err(format!("its header claims {size} bytes"));
    }
    let mut checked = sector[..size].to_vec();
    checked[16..20].fill(0);
    if crc32(&checked) != u32_at(sector, 16) {
        return Err("the checksum of its header does not match".to_owned());
    }
    let header = Header {
        my_lba: u64_at(sector, 24),
        alternate_lba: u64_at(sector, 32),
        first_usable: u64_at(sector, 40),
        last_usable: u64_at(sector, 48),
        disk_id: guid(&sector[56..72]),
        entries_lba: u64_at(sector, 72),
        entry_count: u32_at(sector, 80),
        entry_bytes: u32_at(sector, 84),
        entries_crc: u32_at(sector, 88),
    };
    if header.my_lba != lba {
        return Err(format!("its header says that it is in sector {}, and is in {lba}", header.my_lba));
    }
    if header.entry_bytes < 128
        || !header.entry_bytes.is_multiple_of(8)
        || u64::from(header.entry_count) * u64::from(header.entry_bytes) > MAX_TABLE_BYTES
    {
        return Err(format!("it claims {} entries of {} bytes", header.entry_count, header.entry_bytes));
    }
    Ok(header)
}

fn partitions(header: &Header, table: &[u8], sector_bytes: u32, sectors: u64) -> Result<Vec<Partition>, String> {
    let mut partitions = Vec::new();
    for (entry, number) in table.chunks_exact(header.entry_bytes as usize).zip(1_u32..) {
        if entry[..16] == [0; 16] {
            continue;
        }
        let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
        if last < first {
            return Err(format!("partition {number} ends in sector {last}, before its beginning in sector {first}"));
        }
        if last >= sectors {
            return Err(format!("partition {number} ends in sector {last}, but the disk has only {sectors} sectors"));
        }
        let name: Vec<u16> = entry[56..128]
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        let type_code = guid(&entry[..16]);
        partitions.push(Partition {
            number,
            offset_bytes: first * u64::from(sector_bytes),
            size_bytes: (last - first + 1) * u64::from(sector_bytes),
            type_name: type_name(&type_code).map(str::to_owned),
            type_code,
            guid: Some(guid(&entry[16..32])),
            name: (!name.is_empty()).then(|| String::from_utf16_lossy(&name)),
            attributes: u64_at(entry, 48),
            bootable: false,
            artifact: None,
            skipped: None,
        });
    }
    Ok(partitions)
}

fn backup_range(header: &Header, sector_bytes: u32) -> Option<(u64, u64)> {
    let start = header.entries_lba.checked_mul(u64::from(sector_bytes))?;
    let end = (header.my_lba + 1).checked_mul(u64::from(sector_bytes))?;
    (start < end && end - start <= 2 * MAX_TABLE_BYTES).then_some((start, end))
}

fn crc32(bytes: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes)).expect("a 32-bit checksum has 32 bits")
}

/// The mixed-endian form in which GUIDs are stored.
fn guid(bytes: &[u8]) -> String {
    format!(
        "{:08X}-{:04X}-{:04X}-{:02X}{:02X}-{}",
        u32_at(bytes, 0),
        u16::from_le_bytes([bytes[4], bytes[5]]),
        u16::from_le_bytes([bytes[6], bytes[7]]),
        bytes[8],
        bytes[9],
        bytes[10..16].iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"))
    )
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
