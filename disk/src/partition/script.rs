//! The table as input for `sfdisk`, so that one command lays out a new disk.

use std::fmt::Write as _;

use super::table::{PartitionTable, Scheme};

/// What of a GPT header `sfdisk` can set.
#[derive(Debug, Clone, Copy)]
pub(super) struct GptGeometry {
    pub(super) first_usable: u64,
    pub(super) last_usable: u64,
    pub(super) entry_count: u32,
}

/// Writes the script.
pub(super) fn sfdisk(table: &PartitionTable, geometry: Option<GptGeometry>) -> String {
    let mut script = String::new();
    let mut line = |text: String| {
        script.push_str(&text);
        script.push('\n');
    };
    line(match table.scheme {
        Scheme::Gpt => "label: gpt".to_owned(),
        Scheme::Mbr | Scheme::None => "label: dos".to_owned(),
    });
    if let Some(id) = &table.disk_id {
        line(format!("label-id: {id}"));
    }
    line("unit: sectors".to_owned());
    if let Some(geometry) = geometry {
        line(format!("first-lba: {}", geometry.first_usable));
        line(format!("last-lba: {}", geometry.last_usable));
        line(format!("table-length: {}", geometry.entry_count));
    }
    line(format!("sector-size: {}", table.sector_bytes));
    line(String::new());
    let mut partitions: Vec<_> = table.partitions.iter().collect();
    partitions.sort_by_key(|partition| partition.number);
    for partition in partitions {
        // The name before the colon only carries the number.
        let mut text = format!(
            "disk{} : start={}, size={}, type={}",
            partition.number,
            partition.offset_bytes / u64::from(table.sector_bytes),
            partition.size_bytes / u64::from(table.sector_bytes),
            partition.type_code
        );
        if let Some(guid) = &partition.guid {
            let _ = write!(text, ", uuid={guid}");
        }
        // Names that sfdisk would need quoted are left to the raw table.
        if let Some(name) = &partition.name
            && !name.contains(['"', '\\'])
            && !name.contains(char::is_control)
        {
            let _ = write!(text, ", name=\"{name}\"");
        }
        if let Some(attributes) = attributes(partition.attributes) {
            let _ = write!(text, ", attrs=\"{attributes}\"");
        }
        if partition.bootable {
            text.push_str(", bootable");
        }
        line(text);
    }
    script
}

/// Attribute bits in the words of `sfdisk`; bits 3 to 47 are undefined, and it has no word for them.
fn attributes(bits: u64) -> Option<String> {
    let mut words: Vec<String> = [(0, "RequiredPartition"), (1, "NoBlockIOProtocol"), (2, "LegacyBIOSBootable")]
        .into_iter()
        .filter(|(bit, _)| bits & (1 << bit) != 0)
        .map(|(_, word)| word.to_owned())
        .collect();
    let own: Vec<String> = (48..64_u32).filter(|bit| bits & (1 << bit) != 0).map(|bit| bit.to_string()).collect();
    if !own.is_empty() {
        words.push(format!("GUID:{}", own.join(",")));
    }
    (!words.is_empty()).then(|| words.join(" "))
}
