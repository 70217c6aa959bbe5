//! How fast a file is compressed in members and read back: `throughput FILE [gzip|zstd] [LEVEL] [THREADS]`.
//!
//! Beside it, for comparison: `time gzip -6 <FILE | wc -c` and `time pigz -6 -p THREADS <FILE | wc -c`.
#![expect(clippy::cast_precision_loss, reason = "megabytes a second, for people")]

use std::error::Error;
use std::io::Cursor;
use std::sync::mpsc;
use std::time::Instant;

use archive::{ArchiveOptions, ArtifactKind, Codec, Compression, Expected, ImageWriter, Member, verify_artifact};
use bytes::Bytes;

/// An index in memory that comes out when the writer lets go of it.
struct Index(Vec<u8>, mpsc::Sender<Vec<u8>>);

impl std::io::Write for Index {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.1.send(std::mem::take(&mut self.0));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data = std::fs::read(arguments.next().ok_or("which file?")?)?;
    let codec: Codec = arguments.next().as_deref().unwrap_or("gzip").parse()?;
    let level = arguments.next().map_or(Ok(codec.default_level()), |level| level.parse())?;
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let compression = Compression::new(codec, level, 1 << 20)?;
    let options =
        ArchiveOptions { artifact: "bench".into(), export_id: None, compression, threads, budget_bytes: 32 << 20 };

    let (members, object) = mpsc::channel();
    let (index, index_done) = mpsc::channel();
    let start = Instant::now();
    let sink = move |member: Member| members.send(member.data).map_err(Into::into);
    let mut writer = ImageWriter::new(options, sink, Index(Vec::new(), index))?;
    for piece in data.chunks(1 << 20) {
        writer.write(piece)?;
    }
    let summary = writer.finish()?;
    let written = start.elapsed().as_secs_f64();
    let object: Vec<u8> = object.iter().flatten().collect();
    let index = Bytes::from(index_done.recv()?);

    let expected = Expected {
        artifact: "bench".into(),
        kind: ArtifactKind::Image,
        codec,
        compressed_bytes: summary.compressed_bytes,
        uncompressed_bytes: summary.uncompressed_bytes,
        entries: summary.entries,
        sha256: summary.sha256,
        crc64nvme: summary.crc64nvme,
        uncompressed_sha256: summary.uncompressed_sha256,
    };
    let start = Instant::now();
    verify_artifact(Cursor::new(object), index, &expected, threads, &mut |_| {})?;
    let verified = start.elapsed().as_secs_f64();
    let megabytes = data.len() as f64 / 1e6;
    println!(
        "{codec} {level}, {threads} threads: write {:.0} MB/s, ratio {:.4}, verify {:.0} MB/s",
        megabytes / written,
        summary.compressed_bytes as f64 / data.len() as f64,
        megabytes / verified
    );
    Ok(())
}
