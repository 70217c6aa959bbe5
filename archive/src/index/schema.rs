//! The columns of the index, and the metadata beside them. What is here is public: Athena tables and people's queries
//! stand on it.

use std::collections::BTreeMap;
use std::str::FromStr;

use parquet::file::metadata::KeyValue;

use super::row::{ArtifactKind, FORMAT_VERSION, IndexMetadata};
use crate::ArtifactSummary;
use crate::codec::{Codec, Compression};
use crate::error::{Error, Result};

/// Paths and targets that are not UTF-8 have a lossy string and their bytes; the others only a string. Columns that
/// make no sense for a kind are null.
pub(super) const MESSAGE: &str = "message backup_export_index {
    optional binary path (STRING);
    optional binary path_bytes;
    required binary type (STRING);
    required int64 size;
    required int64 stored_bytes;
    optional int64 block_offset;
    optional boolean zero;
    optional int32 mode;
    optional int64 uid;
    optional int64 gid;
    optional int64 mtime (TIMESTAMP(MICROS,true));
    optional int64 mtime_seconds;
    optional int32 mtime_nanoseconds;
    optional binary link_target (STRING);
    optional binary link_target_bytes;
    optional int64 device_major;
    optional int64 device_minor;
    optional binary sha256 (STRING);
    optional binary stored_sha256 (STRING);
    required int64 member_offset;
    required int64 member_end;
    required int64 skip_bytes;
    required int64 entry_bytes;
}";

const PREFIX: &str = "backup-export.";

/// The metadata as key-value pairs.
pub(super) fn to_pairs(metadata: &IndexMetadata) -> Vec<KeyValue> {
    let IndexMetadata { kind, artifact, export_id, compression, summary } = metadata;
    let kind = match kind {
        ArtifactKind::Tar => "tar",
        ArtifactKind::Image => "image",
    };
    let mut pairs = vec![
        ("format-version", FORMAT_VERSION.to_string()),
        ("kind", kind.to_owned()),
        ("artifact", artifact.clone()),
        ("codec", compression.codec().to_string()),
        ("level", compression.level().to_string()),
        ("member-bytes", compression.member_bytes().to_string()),
        ("compressed-bytes", summary.compressed_bytes.to_string()),
        ("uncompressed-bytes", summary.uncompressed_bytes.to_string()),
        ("entries", summary.entries.to_string()),
        ("members", summary.members.to_string()),
        ("zero-members", summary.zero_members.to_string()),
        ("sha256", summary.sha256.to_string()),
        ("crc64nvme", summary.crc64nvme.to_string()),
        ("uncompressed-sha256", summary.uncompressed_sha256.to_string()),
    ];
    if let Some(id) = export_id {
        pairs.push(("export-id", id.clone()));
    }
    pairs.into_iter().map(|(key, value)| KeyValue::new(format!("{PREFIX}{key}"), value)).collect()
}

/// Reads [`to_pairs`] back.
pub(super) fn from_pairs(pairs: &[KeyValue]) -> Result<IndexMetadata> {
    let own = |pair: &KeyValue| Some((pair.key.strip_prefix(PREFIX)?.to_owned(), pair.value.clone()?));
    let pairs: BTreeMap<String, String> = pairs.iter().filter_map(own).collect();
    if pairs.is_empty() {
        return Err(Error::UnknownIndex("this Parquet file is no index of an export".into()));
    }
    let version: u32 = read(&pairs, "format-version")?;
    if version != FORMAT_VERSION {
        return Err(Error::UnknownIndex(format!(
            "it has format version {version}, this program knows {FORMAT_VERSION}"
        )));
    }
    let codec: Codec = read(&pairs, "codec")?;
    Ok(IndexMetadata {
        kind: match text(&pairs, "kind")? {
            "tar" => ArtifactKind::Tar,
            "image" => ArtifactKind::Image,
            other => return Err(Error::UnknownIndex(format!("it is the index of a {other}"))),
        },
        artifact: text(&pairs, "artifact")?.to_owned(),
        export_id: pairs.get("export-id").cloned(),
        compression: Compression::new(codec, read(&pairs, "level")?, read(&pairs, "member-bytes")?)?,
        summary: ArtifactSummary {
            compressed_bytes: read(&pairs, "compressed-bytes")?,
            uncompressed_bytes: read(&pairs, "uncompressed-bytes")?,
            entries: read(&pairs, "entries")?,
            members: read(&pairs, "members")?,
            zero_members: read(&pairs, "zero-members")?,
            sha256: read(&pairs, "sha256")?,
            crc64nvme: read(&pairs, "crc64nvme")?,
            uncompressed_sha256: read(&pairs, "uncompressed-sha256")?,
        },
    })
}

fn text<'a>(pairs: &'a BTreeMap<String, String>, key: &str) -> Result<&'a str> {
    pairs.get(key).map(String::as_str).ok_or_else(|| Error::UnknownIndex(format!("its metadata lacks {PREFIX}{key}")))
}

fn read<T: FromStr>(pairs: &BTreeMap<String, String>, key: &str) -> Result<T> {
    let value = text(pairs, key)?;
    value.parse().map_err(|_| Error::UnknownIndex(format!("its metadata says {value:?} for {PREFIX}{key}")))
}
