//! The checksums of S3: computed over what was received, compared with what the client declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::wire::header_text;

/// A checksum algorithm of S3 that this store computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Algorithm {
    Crc64Nvme,
    Crc32,
    Crc32C,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 4] = [Self::Crc64Nvme, Self::Crc32, Self::Crc32C, Self::Sha256];

    /// The name in `ChecksumAlgorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32C => "CRC32C",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header that carries it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32C => "x-amz-checksum-crc32c",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32C => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Sha256 => None,
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32 | Self::Crc32C => 4,
            Self::Sha256 => 32,
        }
    }
}

/// One checksum, as bytes.
pub(crate) type Value = Vec<u8>;

/// The checksums of some bytes. CRC64NVME is always among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checksums(pub(crate) Vec<(Algorithm, Value)>);

impl Checksums {
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&Value> {
        self.0.iter().find(|(each, _)| *each == algorithm).map(|(_, value)| value)
    }

    /// The checksum as headers carry it.
    pub(crate) fn base64(&self, algorithm: Algorithm) -> Option<String> {
        self.get(algorithm).map(|value| STANDARD.encode(value))
    }

    pub(crate) fn crc64(&self) -> u64 {
        self.get(Algorithm::Crc64Nvme).and_then(|value| value.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes)
    }
}

/// Computes checksums of a stream.
pub(crate) struct Hasher {
    crcs: Vec<(Algorithm, Crc)>,
    sha256: Option<Sha256>,
}

impl Hasher {
    /// CRC64NVME, and what else is wanted.
    pub(crate) fn new(wanted: &[Algorithm]) -> Self {
        let mut crcs = Vec::new();
        for algorithm in Algorithm::ALL {
            if let Some(crc) = algorithm.crc()
                && (algorithm == Algorithm::Crc64Nvme || wanted.contains(&algorithm))
            {
                crcs.push((algorithm, Crc::new(crc)));
            }
        }
        Self { crcs, sha256: wanted.contains(&Algorithm::Sha256).then(Sha256::new) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for (_, crc) in &mut self.crcs {
            crc.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Checksums {
        let mut values: Vec<_> =
            self.crcs.into_iter().map(|(algorithm, crc)| (algorithm, crc_bytes(algorithm, crc.finalize()))).collect();
        if let Some(sha256) = self.sha256 {
            values.push((Algorithm::Sha256, sha256.finalize().to_vec()));
        }
        Checksums(values)
    }
}

fn crc_bytes(algorithm: Algorithm, crc: u64) -> Value {
    crc.to_be_bytes()[8 - algorithm.width()..].to_vec()
}

fn crc_value(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The checksum of a whole object from those of its parts, without reading it. Only CRCs can be combined.
pub(crate) fn full_object(algorithm: Algorithm, parts: &[(Value, u64)]) -> Option<Value> {
    let crc = algorithm.crc()?;
    let (first, rest) = parts.split_first()?;
    let whole = rest
        .iter()
        .fold(crc_value(&first.0), |whole, (part, size)| checksum_combine(crc, whole, crc_value(part), *size));
    Some(crc_bytes(algorithm, whole))
}

/// The checksum of checksums that S3 calls COMPOSITE, without its `-N`.
pub(crate) fn composite(algorithm: Algorithm, parts: &[Value]) -> Value {
    let mut hasher = Hasher::new(&[algorithm]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finish().get(algorithm).cloned().unwrap_or_default()
}

/// The checksums that headers (or trailers) declare.
pub(crate) fn declared(headers: &HeaderMap) -> Vec<(Algorithm, String)> {
    Algorithm::ALL
        .into_iter()
        .filter_map(|algorithm| Some((algorithm, header_text(headers, algorithm.header())?.to_owned())))
        .collect()
}

/// The algorithms that a request declares or announces in its trailer.
pub(crate) fn announced(headers: &HeaderMap) -> Vec<Algorithm> {
    let trailers = header_text(headers, "x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
    let named = header_text(headers, "x-amz-sdk-checksum-algorithm").and_then(Algorithm::from_name);
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| {
            headers.contains_key(algorithm.header())
                || trailers.split(',').any(|name| name.trim() == algorithm.header())
                || named == Some(*algorithm)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Checksums {
        let mut hasher = Hasher::new(&Algorithm::ALL);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn check_values_of_the_catalogue() {
        let sums = of(b"123456789");
        assert_eq!(sums.crc64(), 0xae8b_1486_0a79_9888);
        assert_eq!(sums.get(Algorithm::Crc32).unwrap(), &[0xcb, 0xf4, 0x39, 0x26]);
        assert_eq!(sums.get(Algorithm::Crc32C).unwrap(), &[0xe3, 0x06, 0x92, 0x83]);
    }

    #[test]
    fn parts_combine_to_the_whole() {
        for algorithm in [Algorithm::Crc64Nvme, Algorithm::Crc32, Algorithm::Crc32C] {
            let parts: Vec<_> = [&b"hello "[..], b"", b"world"]
                .into_iter()
                .map(|part| (of(part).get(algorithm).unwrap().clone(), part.len() as u64))
                .collect();
            assert_eq!(full_object(algorithm, &parts).as_ref(), of(b"hello world").get(algorithm));
        }
        assert_eq!(full_object(Algorithm::Sha256, &[(vec![0; 32], 1)]), None);
    }
}
