//! One member's bytes: gzip with the member's own length in an extra field, or a zstd frame with content size and
//! checksum.

use bytes::Bytes;
use libdeflater::{CompressionLvl, Crc};
use zstd::zstd_safe::CParameter;

use super::frame::{GZIP_HEADER_BYTES, GZIP_TRAILER_BYTES};
use crate::codec::{Codec, Compression};

/// A compressor with its buffers; one for each thread.
pub(super) struct Compressor {
    engine: Engine,
    scratch: Vec<u8>,
}

enum Engine {
    Gzip(libdeflater::Compressor),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> Result<Self, String> {
        let level = compression.level();
        let engine = match compression.codec() {
            Codec::Gzip => {
                let level = CompressionLvl::new(level).map_err(|error| format!("{error:?}"))?;
                Engine::Gzip(libdeflater::Compressor::new(level))
            }
            Codec::Zstd => {
                let mut engine = zstd::bulk::Compressor::new(level).map_err(|error| error.to_string())?;
                engine.set_parameter(CParameter::ChecksumFlag(true)).map_err(|error| error.to_string())?;
                Engine::Zstd(Box::new(engine))
            }
        };
        Ok(Self { engine, scratch: Vec::new() })
    }

    pub(super) fn compress(&mut self, content: &[u8]) -> Result<Bytes, String> {
        let bytes = match &mut self.engine {
            Engine::Gzip(engine) => gzip(engine, content, &mut self.scratch)?,
            Engine::Zstd(engine) => {
                self.scratch.resize(zstd::zstd_safe::compress_bound(content.len()), 0);
                engine.compress_to_buffer(content, self.scratch.as_mut_slice()).map_err(|error| error.to_string())?
            }
        };
        // A copy of the right size: the scratch buffer is large, and members wait in queues.
        Ok(Bytes::copy_from_slice(&self.scratch[..bytes]))
    }
}

fn gzip(engine: &mut libdeflater::Compressor, content: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
    out.resize(GZIP_HEADER_BYTES + engine.deflate_compress_bound(content.len()) + GZIP_TRAILER_BYTES, 0);
    let deflated =
        engine.deflate_compress(content, &mut out[GZIP_HEADER_BYTES..]).map_err(|error| format!("{error:?}"))?;
    let trailer_at = GZIP_HEADER_BYTES + deflated;
    let total = trailer_at + GZIP_TRAILER_BYTES;
    let length = u32::try_from(total).map_err(|_| "the member is too large".to_owned())?;
    // No time, no name, operating system unknown, and the extra field: nothing that differs from run to run.
    out[..16].copy_from_slice(&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'I', b'G', 4, 0]);
    out[16..GZIP_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let mut crc = Crc::new();
    crc.update(content);
    out[trailer_at..trailer_at + 4].copy_from_slice(&crc.sum().to_le_bytes());
    let content_bytes = u32::try_from(content.len()).map_err(|_| "the member is too large".to_owned())?;
    out[trailer_at + 4..total].copy_from_slice(&content_bytes.to_le_bytes());
    Ok(total)
}
