//! The hashes that an artifact is known by.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;

use crate::error::{Error, Result};

/// A SHA-256, shown in lowercase hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hashes a whole buffer.
    pub fn of(data: &[u8]) -> Self {
        Self(sha2::Sha256::digest(data).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::Setting(format!("{text:?} is no SHA-256 in hex"));
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(refuse());
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

/// A CRC64NVME, shown in base64 of its big-endian bytes, as S3 shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crc64Nvme(pub u64);

impl Crc64Nvme {
    /// Sums a whole buffer.
    pub fn of(data: &[u8]) -> Self {
        Self(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data))
    }

    /// The checksum of `self`'s bytes followed by `second_bytes` bytes whose checksum is `second`.
    pub fn followed_by(self, second: Self, second_bytes: u64) -> Self {
        Self(crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, self.0, second.0, second_bytes))
    }
}

impl fmt::Display for Crc64Nvme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.to_be_bytes()))
    }
}

impl fmt::Debug for Crc64Nvme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Crc64Nvme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(|bytes| Self(u64::from_be_bytes(bytes)))
            .ok_or_else(|| Error::Setting(format!("{text:?} is no CRC64NVME in base64")))
    }
}

/// A SHA-256 over a stream.
#[derive(Debug, Clone, Default)]
pub struct Sha256Stream(sha2::Sha256);

impl Sha256Stream {
    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Hashes `bytes` zero bytes.
    pub fn update_zeros(&mut self, mut bytes: u64) {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while bytes > 0 {
            let step = bytes.min(ZEROS.len() as u64);
            #[expect(clippy::cast_possible_truncation, reason = "at most 64 KiB")]
            self.0.update(&ZEROS[..step as usize]);
            bytes -= step;
        }
    }

    /// The hash of all that was taken.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

/// A CRC64NVME over a stream.
#[derive(Debug, Clone)]
pub struct Crc64NvmeStream(crc_fast::Digest);

impl Crc64NvmeStream {
    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The checksum of all that was taken so far.
    pub fn value(&self) -> Crc64Nvme {
        Crc64Nvme(self.0.finalize())
    }
}

impl Default for Crc64NvmeStream {
    fn default() -> Self {
        Self(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

/// What is computed over a compressed stream while it passes.
#[derive(Default)]
pub(crate) struct ObjectDigest {
    sha256: Sha256Stream,
    crc: Crc64NvmeStream,
}

impl ObjectDigest {
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.sha256.update(data);
        self.crc.update(data);
    }

    pub(crate) fn finish(self) -> (Sha256, Crc64Nvme) {
        (self.sha256.finish(), self.crc.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_as_s3_and_sha256sum_write_them() {
        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
        assert_eq!(Crc64Nvme::of(b"123456789").0, 0xae8b_1486_0a79_9888);
        assert_eq!(Crc64Nvme::of(b"123456789").to_string(), "rosUhgp5mIg=");
        assert_eq!(Sha256::of(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn digests_survive_their_text_form() {
        let sha256 = Sha256::of(b"a");
        let crc = Crc64Nvme::of(b"a");
        assert_eq!(sha256.to_string().parse::<Sha256>().unwrap(), sha256);
        assert_eq!(crc.to_string().parse::<Crc64Nvme>().unwrap(), crc);
        assert!("é".repeat(32).parse::<Sha256>().is_err());
    }

    #[test]
    fn checksums_of_parts_combine() {
        let whole = Crc64Nvme::of(b"hello, world");
        let combined = Crc64Nvme::of(b"hello").followed_by(Crc64Nvme::of(b", world"), 7);
        assert_eq!(combined, whole);
        assert_eq!(Crc64Nvme::of(b"").followed_by(whole, 12), whole);
        assert_eq!(whole.followed_by(Crc64Nvme::of(b""), 0), whole);
        let mut stream = Crc64NvmeStream::default();
        stream.update(b"hello, ");
        stream.update(b"world");
        assert_eq!(stream.value(), whole);
    }

    #[test]
    fn zeros_are_hashed_like_any_bytes() {
        let mut stream = Sha256Stream::default();
        stream.update_zeros(200_000);
        assert_eq!(stream.finish(), Sha256::of(&vec![0; 200_000]));
    }
}
