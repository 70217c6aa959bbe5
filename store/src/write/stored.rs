//! An object by what is known of it without its bytes.

use archive::Crc64Nvme;

/// An object by its size and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Its checksum.
    pub crc64nvme: Crc64Nvme,
}
