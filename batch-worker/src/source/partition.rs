//! Partition tables: GPT, MBR, hybrid, and none.

use serde::{Deserialize, Serialize};

use super::{Disk, Section, SourceError};

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

/// A disk's table, and what is to be exported.
#[derive(Debug)]
pub struct Layout {
    /// The table, to be stored when every fate is known.
    pub table: PartitionTable,
    /// Partitions in the order of the disk, or the one section that is the whole disk. Extended partitions are containers and not among them.
    pub sections: Vec<Section>,
}

impl Layout {
    /// Reads the partition table of a disk.
    pub fn read(disk: &Disk) -> Result<Self, SourceError> {
        todo!("{disk:?}")
    }
}

impl PartitionTable {
    /// Records what became of a section.
    pub fn set_fate(&mut self, section: &Section, fate: Fate) {
        let found = self
            .partitions
            .iter_mut()
            .find(|partition| Some(partition.number) == section.number());
        if let Some(partition) = found {
            (partition.artifact, partition.skipped) = match fate {
                Fate::Artifact(name) => (Some(name), None),
                Fate::Skipped(reason) => (None, Some(reason)),
            };
        }
    }

    /// The table as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self)
            .expect("a partition table holds nothing that JSON cannot");
        json.push(b'\n');
        json
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
