//! Which compression an artifact uses, and how its stream is cut. Owns names, defaults and limits; compresses nothing.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Uncompressed bytes in a member unless told otherwise. 64 KiB members cost 3 to 10 % in size, 1 MiB at most 0.4 %;
/// larger ones make the ranged read of one file longer.
pub const DEFAULT_MEMBER_BYTES: u32 = 1 << 20;
/// Smaller members only waste space.
pub const MIN_MEMBER_BYTES: u32 = 4 << 10;
/// Readers hold whole members in memory, so there is an end.
pub const MAX_MEMBER_BYTES: u32 = 16 << 20;

/// A compression format in which members can be concatenated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952 members, readable everywhere.
    Gzip,
    /// RFC 8878 frames.
    Zstd,
}

impl Codec {
    /// The suffix of artifact names: `.gz`, `.zst`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The level that is used unless told otherwise: what `gzip` and `zstd` use themselves.
    pub fn default_level(self) -> i32 {
        match self {
            Self::Gzip => 6,
            Self::Zstd => 3,
        }
    }

    /// Levels from 1 to this are taken: as far as libdeflate and zstd go.
    pub fn max_level(self) -> i32 {
        match self {
            Self::Gzip => libdeflater::CompressionLvl::best().into(),
            Self::Zstd => *zstd::compression_level_range().end(),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::Setting(format!("the codec {text:?} is unknown: use gzip or zstd"))),
        }
    }
}

/// How a stream is cut in members and compressed. Together with the input it decides every byte of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    codec: Codec,
    level: i32,
    member_bytes: u32,
}

impl Compression {
    /// Checks the level and the member size against what the codec takes.
    pub fn new(codec: Codec, level: i32, member_bytes: u32) -> Result<Self> {
        if !(1..=codec.max_level()).contains(&level) {
            return Err(Error::Setting(format!("{codec} has no level {level}: use 1 to {}", codec.max_level())));
        }
        if !(MIN_MEMBER_BYTES..=MAX_MEMBER_BYTES).contains(&member_bytes) {
            return Err(Error::Setting(format!(
                "members of {member_bytes} bytes: use {MIN_MEMBER_BYTES} to {MAX_MEMBER_BYTES}"
            )));
        }
        Ok(Self { codec, level, member_bytes })
    }

    /// The codec's defaults.
    pub fn default_for(codec: Codec) -> Self {
        Self { codec, level: codec.default_level(), member_bytes: DEFAULT_MEMBER_BYTES }
    }

    pub fn codec(self) -> Codec {
        self.codec
    }

    pub fn level(self) -> i32 {
        self.level
    }

    /// Uncompressed bytes in every member but the last.
    pub fn member_bytes(self) -> u32 {
        self.member_bytes
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::default_for(Codec::Gzip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_written_as_it_is_read() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            assert_eq!(codec.to_string().parse::<Codec>().unwrap(), codec);
        }
        assert!("lzma".parse::<Codec>().is_err());
    }

    #[test]
    fn levels_and_member_sizes_out_of_range_are_refused() {
        assert!(Compression::new(Codec::Gzip, 0, DEFAULT_MEMBER_BYTES).is_err());
        assert!(Compression::new(Codec::Gzip, 13, DEFAULT_MEMBER_BYTES).is_err());
        assert!(Compression::new(Codec::Zstd, 3, 512).is_err());
        assert!(Compression::new(Codec::Zstd, 23, DEFAULT_MEMBER_BYTES).is_err());
        assert!(Compression::new(Codec::Zstd, 22, MAX_MEMBER_BYTES).is_ok());
    }
}
