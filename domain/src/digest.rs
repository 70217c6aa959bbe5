//! Digests, as names and choices are derived from them.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first `bytes` bytes of the SHA-256 of `data`, in lowercase hex.
pub(crate) fn hex_prefix(data: &[u8], bytes: usize) -> String {
    Sha256::digest(data).iter().take(bytes).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
