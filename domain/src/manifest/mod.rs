//! `manifest.json`: what an export wrote, written last, never overwritten.
//!
//! It lies beside the artifacts that it describes: one for a volume, database or table, one in each volume's folder of
//! an EC2 recovery point. A unit is exported if and only if its manifest exists. Readers must refuse a `schemaVersion`
//! that they do not know.

mod count;
mod dump;
mod native;
mod object;

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::count::TableCount;
pub use self::dump::{Dump, DumpContent, DumpFormat};
pub use self::native::{Native, NativeObject};
pub use self::object::SmallObject;
use crate::id::{ExecutionArn, ExportId};
use crate::key::NATIVE_LISTING;
use crate::recovery_point::RecoveryPoint;

/// The only schema version so far.
pub const SCHEMA_VERSION: u32 = 1;

/// What one run of the worker wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tool that wrote it.
    pub tool: Tool,
    /// The export, when a state machine ran it; absent for a device exported by hand.
    pub export_id: Option<ExportId>,
    /// The execution that ran it.
    pub execution: Option<ExecutionArn>,
    /// The recovery point and its tags, as AWS Backup described them.
    pub recovery_point: Option<RecoveryPoint>,
    /// What was read.
    pub source: Origin,
    /// What was written, in the order of the disk or of the databases' names.
    pub artifacts: Vec<Artifact>,
    /// What AWS itself wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
    /// What is on the disk and was not written, and why (swap).
    pub skipped: Vec<Skipped>,
    /// Remarks for a reader: a journal that was not replayed, sockets that tar cannot hold.
    pub notes: Vec<String>,
    /// When the worker began to read.
    pub started_at: Timestamp,
    /// When the last artifact was complete.
    pub finished_at: Timestamp,
    /// Bytes read from the disk, from the server, or of what AWS wrote.
    pub bytes_read: u64,
    /// Bytes sent to the destination, indexes included.
    pub bytes_uploaded: u64,
    /// What the restored resource cost while the worker used it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// The program that wrote a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tool {
    /// `backup-export`.
    pub name: String,
    pub version: String,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Origin {
    Disk(Disk),
    /// A database server, or the snapshot of one.
    Database(Database),
    /// A DynamoDB table.
    Table(Table),
}

impl Origin {
    /// Its size, as far as it is known.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Disk(disk) => disk.size_bytes,
            Self::Database(database) => database.size_bytes,
            Self::Table(table) => table.size_bytes.unwrap_or_default(),
        }
    }

    /// The disk.
    pub fn as_disk(&self) -> Option<&Disk> {
        match self {
            Self::Disk(disk) => Some(disk),
            Self::Database(_) | Self::Table(_) => None,
        }
    }
}

/// A database server, or the snapshot of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// RDS's name of the engine: `postgres`, `aurora-mysql`.
    pub engine: String,
    /// Its version, as the server or RDS says it.
    pub engine_version: String,
    /// Its allocated storage.
    pub size_bytes: u64,
    /// The tool that dumped it and its version; absent where RDS exported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump_tool: Option<String>,
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// ARN of the table that was backed up.
    pub table_arn: String,
    /// Whether this is the live table at the backup's time, and not the backup itself.
    pub live_table: bool,
    /// The time of the items: the backup's, or the one that was asked for.
    pub as_of: Timestamp,
    /// Size of the backup, where AWS says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// The disk that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disk {
    /// The unit's key in the export: the source volume's id, or the snapshot's.
    #[serde(default, rename = "volumeKey", skip_serializing_if = "Option::is_none")]
    pub unit_key: Option<String>,
    /// Its size.
    pub size_bytes: u64,
    /// Its logical sector size.
    pub sector_bytes: u32,
    /// `gpt`, `mbr` or `none`.
    pub partition_scheme: String,
    /// The object that holds the partition table, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_table: Option<SmallObject>,
}

/// How an artifact holds its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A pax tar stream of the mounted filesystem.
    Tar,
    /// The raw bytes of the partition or disk.
    Image,
    /// What the engine's own dump tool wrote.
    Dump,
}

/// One archive or image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    /// Its name within the prefix: `partition-1.tar.gz`.
    pub name: String,
    /// Its object key, or its path within a `file://` destination.
    pub key: String,
    /// Tar, image or dump.
    pub method: Method,
    /// Why an image replaces a tar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// `gzip` or `zstd`.
    pub codec: String,
    /// Compression level.
    pub level: i32,
    /// Uncompressed bytes in each member (gzip) or frame (zstd).
    pub member_bytes: u64,
    /// Size of the object.
    pub bytes: u64,
    /// Size of the tar stream, image or dump within.
    pub uncompressed_bytes: u64,
    /// Tar entries, or blocks of an image or dump.
    pub entries: u64,
    /// SHA-256 of the object, lowercase hex.
    pub sha256: String,
    /// SHA-256 of the uncompressed stream, lowercase hex.
    pub uncompressed_sha256: String,
    /// CRC64NVME of the whole object in base64, as S3 shows it.
    pub crc64nvme: String,
    /// The file index (tar) or block index (image, dump).
    pub index: SmallObject,
    /// Where on the disk it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What of the database it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<Dump>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Bytes read from the disk or from the dump tool for it.
    pub bytes_read: u64,
    /// Paths of sockets, which tar cannot hold (lossy UTF-8).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<String>,
}

/// A partition, or the whole disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Partition number; absent for a disk without partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Where it begins on the disk.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// `ext4`, `xfs`, `LVM2_member` … as blkid names it; absent when nothing was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// Filesystem label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Filesystem UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

/// Something on the disk that was left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skipped {
    /// Where it is.
    pub source: Source,
    /// Why it was left out.
    pub reason: String,
}

/// What the restored resource was used for, to be multiplied by the prices of the Region. Requests and storage are on
/// the bill, not here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cost {
    /// Size of the restored volume, or of the database's storage, times the time from its creation to the end of the
    /// export.
    pub volume_gib_hours: f64,
    /// Hours that a restored database instance was there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub instance_hours: f64,
    /// Seconds that the worker ran.
    pub worker_seconds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// A manifest that must not be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON of this shape.
    #[error("the manifest is not readable: {0}")]
    Malformed(String),
    /// Written by a newer tool.
    #[error(
        "the manifest has schema version {0}, and this tool knows {SCHEMA_VERSION}: use the version that wrote it, or \
         a newer one"
    )]
    UnknownSchema(u64),
    /// Says things that cannot be true together.
    #[error("the manifest contradicts itself: {0}")]
    Contradiction(String),
}

impl Manifest {
    /// Parses and checks a manifest that lies under `prefix` (`""` skips the check of prefixes).
    pub fn parse(bytes: &[u8], prefix: &str) -> Result<Self, InvalidManifest> {
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| InvalidManifest::Malformed(error.to_string()))?;
        match value.get("schemaVersion").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA_VERSION) => {}
            Some(version) => return Err(InvalidManifest::UnknownSchema(version)),
            None => return Err(InvalidManifest::Malformed("it has no schemaVersion".into())),
        }
        let manifest: Self =
            serde_json::from_value(value).map_err(|error| InvalidManifest::Malformed(error.to_string()))?;
        manifest.check(prefix)?;
        Ok(manifest)
    }

    /// The manifest as it is stored: indented, as people read it, with a final newline.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest holds nothing that JSON cannot");
        json.push(b'\n');
        json
    }

    /// Where a copied bucket begins, when the manifest lies in `directory`, and the prefix of the manifest within it:
    /// its keys are paths below that root. An export to `file://` is its own root, with the prefix `""`.
    pub fn root_of<'a>(&self, directory: &'a Path) -> (&'a Path, &str) {
        let of_artifact = self.artifacts.first().and_then(|artifact| artifact.key.strip_suffix(artifact.name.as_str()));
        let of_native = self.native.as_ref().and_then(|native| native.listing.key.strip_suffix(NATIVE_LISTING));
        let prefix = of_artifact.or(of_native);
        match prefix {
            Some(prefix) if directory.ends_with(prefix) => {
                let folders = prefix.matches('/').count();
                (directory.ancestors().nth(folders).unwrap_or(directory), prefix)
            }
            _ => (directory, ""),
        }
    }

    fn check(&self, prefix: &str) -> Result<(), InvalidManifest> {
        let contradiction = |what: String| Err(InvalidManifest::Contradiction(what));
        let mut keys = std::collections::BTreeSet::new();
        for artifact in &self.artifacts {
            let name = &artifact.name;
            if name.is_empty() || name.contains('/') {
                return contradiction(format!("the artifact name {name:?} is not a file name"));
            }
            if artifact.key != format!("{prefix}{name}") && !prefix.is_empty() {
                return contradiction(format!("{name} is said to be at {}, outside {prefix}", artifact.key));
            }
            if !keys.insert(&artifact.key) || !keys.insert(&artifact.index.key) {
                return contradiction(format!("{name} or its index appears twice"));
            }
            if artifact.bytes == 0 || artifact.member_bytes == 0 {
                return contradiction(format!("{name} is said to have no bytes or no members"));
            }
            match (&artifact.source, &artifact.dump, artifact.method) {
                (Some(source), None, Method::Tar | Method::Image) => {
                    if artifact.method == Method::Image && artifact.uncompressed_bytes != source.size_bytes {
                        return contradiction(format!(
                            "the image {name} has {} bytes, its source {}",
                            artifact.uncompressed_bytes, source.size_bytes
                        ));
                    }
                    let end = source.offset_bytes.checked_add(source.size_bytes);
                    if end.is_none_or(|end| end > self.source.size_bytes()) {
                        return contradiction(format!("the source of {name} ends beyond the disk"));
                    }
                }
                (None, Some(_), Method::Dump) => {}
                _ => return contradiction(format!("{name} is neither of a disk nor of a database")),
            }
            for (what, hex) in [
                ("sha256", &artifact.sha256),
                ("uncompressedSha256", &artifact.uncompressed_sha256),
                ("index.sha256", &artifact.index.sha256),
            ] {
                if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()) {
                    return contradiction(format!("the {what} of {name} is not 64 lowercase hex digits"));
                }
            }
        }
        if let Some(native) = &self.native
            && (!native.prefix.starts_with(prefix) || !native.listing.key.starts_with(prefix))
        {
            return contradiction(format!("what AWS wrote is said to be at {}, outside {prefix}", native.prefix));
        }
        if self.artifacts.is_empty() && self.skipped.is_empty() && self.native.is_none() {
            return contradiction("it lists neither artifacts nor a reason why there are none".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../golden/manifest.json");
    const PREFIX: &str =
        "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/";

    #[test]
    fn the_golden_manifest_is_read_and_written_unchanged() {
        let manifest = Manifest::parse(GOLDEN.as_bytes(), PREFIX).unwrap();
        assert_eq!(String::from_utf8(manifest.to_json()).unwrap(), GOLDEN);
    }

    #[test]
    fn a_copied_bucket_begins_above_the_prefix() {
        let manifest = Manifest::parse(GOLDEN.as_bytes(), PREFIX).unwrap();
        let copied = Path::new("/copy").join(PREFIX);
        assert_eq!(manifest.root_of(&copied), (Path::new("/copy"), PREFIX));
        assert_eq!(manifest.root_of(Path::new("/elsewhere")), (Path::new("/elsewhere"), ""));
    }

    fn with(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        change(&mut value);
        Manifest::parse(value.to_string().as_bytes(), PREFIX).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_that_lies_is_refused_with_what_it_says() {
        assert!(with(|m| m["schemaVersion"] = 2.into()).contains("schema version 2"));
        assert!(with(|m| m["artifacts"][0]["key"] = "data/other/partition-1.tar.gz".into()).contains("outside"));
        assert!(with(|m| m["artifacts"][0]["bytes"] = 0.into()).contains("no bytes"));
        assert!(with(|m| m["artifacts"][1]["uncompressedBytes"] = 1.into()).contains("its source"));
        assert!(with(|m| m["artifacts"][0]["sha256"] = "00".into()).contains("hex digits"));
        assert!(with(|m| m["artifacts"][0]["source"]["offsetBytes"] = u64::MAX.into()).contains("beyond the disk"));
        assert!(with(|m| m["artifacts"][1] = m["artifacts"][0].clone()).contains("twice"));
        assert!(with(|m| m["artifacts"][0]["name"] = "../x".into()).contains("file name"));
        assert!(with(|m| m["surprise"] = 1.into()).contains("surprise"));
        assert!(Manifest::parse(b"{", "").unwrap_err().to_string().contains("not readable"));
    }
}
