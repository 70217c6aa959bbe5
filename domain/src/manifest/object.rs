//! An object beside the artifacts.

use serde::{Deserialize, Serialize};

/// An object too small to be archived, read whole when it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmallObject {
    /// Its key, or its path within a `file://` destination.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, lowercase hex.
    pub sha256: String,
    /// CRC64NVME of its content in base64, as S3 shows it.
    pub crc64nvme: String,
}
