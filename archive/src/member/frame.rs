//! Where members begin and end in a compressed stream, and what they hold. Members say their own length, so no index is
//! needed.

use std::io::{ErrorKind, Read};

use crate::codec::{Codec, MAX_MEMBER_BYTES};
use crate::error::{Error, Result};

/// Fixed fields, and an extra field "IG" with the length of the whole member.
pub(super) const GZIP_HEADER_BYTES: usize = 20;
/// CRC-32 and content length.
pub(super) const GZIP_TRAILER_BYTES: usize = 8;
/// No member is longer: incompressible content grows by less than this.
const MAX_COMPRESSED_BYTES: usize = MAX_MEMBER_BYTES as usize + (MAX_MEMBER_BYTES as usize >> 7) + 1024;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A member as it is stored.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

/// Splits a compressed stream in members.
pub(crate) struct FrameReader<R> {
    source: R,
    codec: Codec,
    number: u64,
    offset: u64,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(source: R, codec: Codec) -> Self {
        Self { source, codec, number: 0, offset: 0 }
    }

    /// The next member, or `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        let mut data = Vec::new();
        let first = match self.codec {
            Codec::Gzip => GZIP_HEADER_BYTES,
            Codec::Zstd => 5,
        };
        match self.read_up_to(&mut data, first)? {
            0 => return Ok(None),
            read if read < first => return Err(self.cut(data.len())),
            _ => {}
        }
        match self.codec {
            Codec::Gzip => self.rest_of_gzip(&mut data)?,
            Codec::Zstd => self.rest_of_zstd(&mut data)?,
        }
        let frame = Frame { number: self.number, offset: self.offset, data };
        self.number += 1;
        self.offset += frame.data.len() as u64;
        Ok(Some(frame))
    }

    fn rest_of_gzip(&mut self, data: &mut Vec<u8>) -> Result<()> {
        // Flags must say "extra field, nothing else"; time, level and system are not looked at.
        if data[..4] != [0x1f, 0x8b, 8, 4] || data[10..16] != [8, 0, b'I', b'G', 4, 0] {
            return Err(self.refuse("is no gzip member with its length in an extra field"));
        }
        let length = u32::from_le_bytes([data[16], data[17], data[18], data[19]]) as usize;
        if !(GZIP_HEADER_BYTES + GZIP_TRAILER_BYTES..=MAX_COMPRESSED_BYTES).contains(&length) {
            return Err(self.refuse(&format!("says that it has {length} bytes")));
        }
        self.read_exactly(data, length - GZIP_HEADER_BYTES)
    }

    fn rest_of_zstd(&mut self, data: &mut Vec<u8>) -> Result<()> {
        if data[..4] != ZSTD_MAGIC {
            return Err(self.refuse("is no zstd frame"));
        }
        let descriptor = data[4];
        let single_segment = descriptor & 0x20 != 0;
        let content_size = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        self.read_exactly(data, usize::from(!single_segment) + dictionary + content_size)?;
        loop {
            let at = data.len();
            self.read_exactly(data, 3)?;
            let header = u32::from_le_bytes([data[at], data[at + 1], data[at + 2], 0]);
            let content = match header >> 1 & 3 {
                1 => 1,
                _ => (header >> 3) as usize,
            };
            if data.len() + content > MAX_COMPRESSED_BYTES {
                return Err(self.refuse("is longer than a frame may be"));
            }
            self.read_exactly(data, content)?;
            if header & 1 == 1 {
                break;
            }
        }
        let checksum = if descriptor & 4 == 0 { 0 } else { 4 };
        self.read_exactly(data, checksum)
    }

    fn read_exactly(&mut self, data: &mut Vec<u8>, bytes: usize) -> Result<()> {
        if self.read_up_to(data, bytes)? < bytes {
            return Err(self.cut(data.len()));
        }
        Ok(())
    }

    fn read_up_to(&mut self, data: &mut Vec<u8>, bytes: usize) -> Result<usize> {
        let start = data.len();
        data.resize(start + bytes, 0);
        let mut filled = start;
        while filled < data.len() {
            match self.source.read(&mut data[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Stream { offset: self.offset + filled as u64, source }),
            }
        }
        data.truncate(filled);
        Ok(filled - start)
    }

    fn cut(&self, bytes: usize) -> Error {
        Error::CutShort { bytes: self.offset + bytes as u64 }
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::Member { member: self.number, offset: self.offset, reason: reason.to_owned() }
    }
}

/// A decompressor; one for each thread.
pub(crate) enum Decompressor {
    Gzip(libdeflater::Decompressor),
    Zstd(Box<zstd::bulk::Decompressor<'static>>),
}

impl Decompressor {
    pub(crate) fn new(codec: Codec) -> Result<Self> {
        Ok(match codec {
            Codec::Gzip => Self::Gzip(libdeflater::Decompressor::new()),
            Codec::Zstd => {
                let engine = zstd::bulk::Decompressor::new()
                    .map_err(|error| Error::Setting(format!("start a zstd decompressor: {error}")))?;
                Self::Zstd(Box::new(engine))
            }
        })
    }

    /// The content of a member, checked against its checksum and length.
    pub(crate) fn decompress(&mut self, frame: &Frame) -> Result<Vec<u8>> {
        let refuse = |reason: String| Error::Member { member: frame.number, offset: frame.offset, reason };
        let claimed = match self {
            Self::Gzip(_) => frame.data.last_chunk::<4>().map(|bytes| u64::from(u32::from_le_bytes(*bytes))),
            Self::Zstd(_) => zstd::zstd_safe::get_frame_content_size(&frame.data).ok().flatten(),
        };
        let bytes = match claimed {
            Some(bytes) if bytes <= u64::from(MAX_MEMBER_BYTES) => usize::try_from(bytes).unwrap_or(usize::MAX),
            Some(bytes) => return Err(refuse(format!("does not decompress: it claims {bytes} bytes"))),
            None => return Err(refuse("does not decompress: it does not say how much it holds".into())),
        };
        let mut content = vec![0; bytes];
        let written = match self {
            Self::Gzip(engine) => engine.gzip_decompress(&frame.data, &mut content).map_err(|error| error.to_string()),
            Self::Zstd(engine) => {
                engine.decompress_to_buffer(&frame.data, content.as_mut_slice()).map_err(|error| error.to_string())
            }
        };
        match written {
            Ok(written) if written == bytes => Ok(content),
            Ok(written) => Err(refuse(format!("does not decompress: it holds {written} of {bytes} bytes"))),
            Err(reason) => Err(refuse(format!("does not decompress: {}", reason.to_lowercase()))),
        }
    }
}
