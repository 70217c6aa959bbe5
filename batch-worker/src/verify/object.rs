//! One object of an export: there, of its size, and with its checksum or hash.

use std::fs::File;

use domain::failure::{Error, Kind, Result};
use domain::manifest::SmallObject;
use store::read::{Held, Store};
use tokio_util::sync::CancellationToken;

use crate::cli::Mode;

/// A difference between what is stored and what the manifest says.
pub(super) fn differs(what: String) -> Error {
    Error::new(Kind::VerificationFailed, what)
}

/// The name of an object within its folder, for messages.
fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Looks at an object and compares its size.
pub(super) async fn held(store: &Store, key: &str, expected_bytes: u64) -> Result<Held> {
    let (name, folder) = (name_of(key), store.folder_of(key));
    let Some(held) = store.look(key).await? else {
        return Err(differs(format!("{name} is missing from {folder}: it was removed after the export")));
    };
    if held.bytes == expected_bytes {
        return Ok(held);
    }
    let fate = if held.bytes < expected_bytes { "it was cut short" } else { "it was replaced or added to" };
    Err(differs(format!(
        "{name} in {folder} is {} bytes, the manifest says {}: {fate}",
        grouped(held.bytes),
        grouped(expected_bytes)
    )))
}

pub(super) fn compare_checksum(store: &Store, key: &str, held: &Held, expected: &str) -> Result<()> {
    let (name, folder) = (name_of(key), store.folder_of(key));
    match &held.crc64nvme {
        Some(stored) if stored == expected => Ok(()),
        Some(stored) => Err(differs(format!(
            "{name} in {folder} has the CRC64NVME {stored}, the manifest says {expected}: its content was changed"
        ))),
        None => Err(differs(format!(
            "S3 knows no CRC64NVME of {name} in {folder}: it was copied or replaced without one, use --mode readback"
        ))),
    }
}

/// Verifies an object that has no members: its bytes as they are. In checksum mode they are not read.
pub(super) async fn small(
    store: &Store,
    object: &SmallObject,
    mode: Mode,
    stop: &CancellationToken,
) -> Result<Option<File>> {
    let found = held(store, &object.key, object.bytes).await?;
    match mode {
        Mode::Checksum => compare_checksum(store, &object.key, &found, &object.crc64nvme).map(|()| None),
        Mode::Readback => {
            let (file, sha256) = store.fetch(&object.key, &found, stop).await?;
            if sha256.to_string() == object.sha256 {
                return Ok(Some(file));
            }
            Err(differs(format!(
                "{} in {} has the SHA-256 {sha256}, the manifest says {}: its content was changed",
                name_of(&object.key),
                store.folder_of(&object.key),
                object.sha256
            )))
        }
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1_234, "1,234"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
