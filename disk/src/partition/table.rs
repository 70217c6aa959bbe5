//! What a partition table says, as `partition-table.json` keeps it.

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::filesystem::Section;

/// `partition-table.json`: all that is needed to lay out a disk of the same size again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionTable {
    /// Version of this format, 1.
    pub schema_version: u32,
    /// What kind of table the disk has.
    pub scheme: Scheme,
    /// GPT disk GUID in upper case, or the MBR's disk signature as `0x%08x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// Size of the disk.
    pub size_bytes: u64,
    /// Sector size that the table is written in.
    pub sector_bytes: u32,
    /// Input for `sfdisk` that makes the same table; for a disk without one absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sfdisk_script: Option<String>,
    /// Every partition, in the order of the disk.
    pub partitions: Vec<Partition>,
    /// What is before the first partition (at most 1 MiB): boot code and the primary table.
    pub boot_area: RawArea,
    /// Backup GPT at the end of the disk: entries and header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_gpt: Option<RawArea>,
    /// Remarks: a damaged primary table, a hybrid MBR.
    pub notes: Vec<String>,
}

/// Kinds of partition tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// Master boot record, with logical partitions.
    Mbr,
    /// A disk without partitions.
    None,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partition {
    /// Its number as Linux counts.
    pub number: u32,
    /// Where it begins.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// GPT type GUID in upper case, or the MBR type as two hex digits.
    #[serde(rename = "type")]
    pub type_code: String,
    /// What that type is called, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// GPT partition GUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// GPT partition name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// GPT attribute bits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attributes: u64,
    /// MBR active flag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bootable: bool,
    /// The artifact that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// Why it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// What became of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The name of the artifact that holds it.
    Artifact(String),
    /// Why it was left out.
    Skipped(String),
}

/// Raw bytes of the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawArea {
    /// Where they begin.
    pub offset_bytes: u64,
    /// How many there are, the zeros at the end included.
    pub size_bytes: u64,
    /// SHA-256 of all of them, lowercase hex.
    pub sha256: String,
    /// The bytes in base64 without the zeros at the end.
    pub base64: String,
}

impl RawArea {
    pub(super) fn of(offset_bytes: u64, bytes: &[u8]) -> Self {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        Self {
            offset_bytes,
            size_bytes: bytes.len() as u64,
            sha256: Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
            base64: base64::engine::general_purpose::STANDARD.encode(&bytes[..used]),
        }
    }
}

impl PartitionTable {
    /// Records what became of a section.
    pub fn set_fate(&mut self, section: &Section, fate: Fate) {
        let found = self.partitions.iter_mut().find(|partition| Some(partition.number) == section.number());
        if let Some(partition) = found {
            (partition.artifact, partition.skipped) = match fate {
                Fate::Artifact(name) => (Some(name), None),
                Fate::Skipped(reason) => (None, Some(reason)),
            };
        }
    }

    /// The table as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a partition table holds nothing that JSON cannot");
        json.push(b'\n');
        json
    }
}

/// What the commonest partition types of Linux, Windows and cloud images are called.
pub(super) fn type_name(code: &str) -> Option<&'static str> {
    Some(match code {
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4" | "83" => "Linux filesystem",
        "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F" | "82" => "Linux swap",
        "E6D6D379-F507-44C2-A23C-238F2A3DF928" | "8e" => "Linux LVM",
        "A19D880F-05FC-4D3B-A006-743F0F84911E" | "fd" => "Linux RAID",
        "933AC7E1-2EB4-4F13-B844-0E14E2AEF915" => "Linux home",
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709" => "Linux root (x86-64)",
        "B921B045-1DF0-41C3-AF44-4C6F280D3FAE" => "Linux root (ARM-64)",
        "BC13C2FF-59E6-4262-A352-B275FD6F7172" => "Linux extended boot",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" | "ef" => "EFI system",
        "21686148-6449-6E6F-744E-656564454649" => "BIOS boot",
        "9E1A2D38-C612-4316-AA26-8B49521E5A8B" | "41" => "PReP boot",
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7" => "Microsoft basic data",
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE" => "Microsoft reserved",
        "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC" => "Windows recovery",
        "6A898CC3-1DD2-11B2-99A6-080020736631" | "bf" => "Solaris or ZFS",
        "05" | "0f" | "85" => "extended",
        "07" => "NTFS or exFAT",
        "0b" | "0c" => "FAT32",
        "04" | "06" | "0e" => "FAT16",
        "01" => "FAT12",
        _ => return None,
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
