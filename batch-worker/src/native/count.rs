//! Reading an object of an export to its end: its hashes, and how many items are in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use domain::failure::Kind;
use flate2::bufread::MultiGzDecoder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde::Deserialize;
use sha2::Digest as _;

use super::Reading;
use crate::verify::store::Listed;
use domain::failure::{Error, Result};

const BUFFER_BYTES: usize = 256 << 10;
/// An item has at most 400 KB, its text a multiple of that.
const LONGEST_LINE_BYTES: u64 = 16 << 20;
const ION: &[u8] = b"$ion_1_0";

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing that is counted.
    Opaque,
    /// Compressed lines of DynamoDB's JSON, an item each.
    Json,
    /// Compressed lines of Ion text, an item each.
    Ion,
    /// Rows of Parquet.
    Parquet,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Lowercase hex.
    pub(crate) sha256: String,
    /// Base64, as AWS writes it.
    pub(crate) md5: String,
    pub(crate) bytes: u64,
    pub(crate) items: Option<u64>,
}

impl Content {
    /// What an object of that name in an export of that format holds.
    pub(crate) fn of(format: &str, key: &str) -> Self {
        match format {
            super::snapshot::FORMAT if key.strip_suffix(".parquet").is_some() => Self::Parquet,
            "DYNAMODB_JSON" if key.strip_suffix(".gz").is_some() => Self::Json,
            "ION" if key.strip_suffix(".gz").is_some() => Self::Ion,
            _ => Self::Opaque,
        }
    }
}

/// Reads and counts. What is malformed is `NativeExportFailed`.
pub(crate) async fn count(reading: &Reading<'_>, object: &Listed, content: Content) -> Result<Counted> {
    let (stream, failure) = reading.store.stream(&object.key, &object.held, reading.stop.clone())?;
    let bytes_read = Arc::clone(&reading.bytes_read);
    let counted = tokio::task::spawn_blocking(move || whole(Hashing::new(stream, bytes_read), content)).await;
    let counted =
        counted.map_err(|panic| Error::internal(format!("read {}", reading.store.locate(&object.key)), panic))?;
    let location = || reading.store.locate(&object.key);
    match (failure.take(), counted) {
        (Some(error), _) => Err(error),
        (None, Ok(counted)) if counted.bytes != object.held.bytes => Err(super::wrong(format!(
            "{} is {} bytes long, and {} were read",
            location(),
            object.held.bytes,
            counted.bytes
        ))),
        (None, Ok(counted)) => Ok(counted),
        (None, Err(error)) => Err(Error::caused_by(Kind::NativeExportFailed, format!("read {}", location()), error)),
    }
}

fn whole<R: Read>(mut stream: Hashing<R>, content: Content) -> io::Result<Counted> {
    let items = match content {
        Content::Opaque => None,
        Content::Json => Some(lines(&mut stream, |line| {
            serde_json::from_slice::<Line>(line).map(|line| !line.item.is_empty()).map_err(io::Error::other)
        })?),
        Content::Ion => Some(lines(&mut stream, ion_item)?),
        Content::Parquet => Some(rows(&mut stream)?),
    };
    io::copy(&mut stream, &mut io::sink())?;
    Ok(Counted {
        sha256: archive::Sha256(stream.sha256.finalize().into()).to_string(),
        md5: base64::engine::general_purpose::STANDARD.encode(stream.md5.finalize()),
        bytes: stream.bytes,
        items,
    })
}

/// `{"Item": {"id": {"S": "1"}}}`
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Item")]
    item: serde_json::Map<String, serde_json::Value>,
}

/// Counts the lines that hold an item; one that should and does not is an error.
fn lines(stream: impl Read, holds_item: impl Fn(&[u8]) -> io::Result<bool>) -> io::Result<u64> {
    let mut reader =
        BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, stream)));
    let (mut items, mut number, mut line) = (0, 0_u64, Vec::new());
    loop {
        line.clear();
        number += 1;
        (&mut reader).take(LONGEST_LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(items);
        }
        let malformed = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {why}"));
        if !line.ends_with(b"\n") && line.len() as u64 == LONGEST_LINE_BYTES {
            return Err(malformed("longer than an item can be".to_owned()));
        }
        if !line.trim_ascii().is_empty() {
            items += u64::from(holds_item(line.trim_ascii()).map_err(|error| malformed(error.to_string()))?);
        }
    }
}

/// `$ion_1_0 {Item:{id:"1"}}`, or the mark on a line of its own.
fn ion_item(line: &[u8]) -> io::Result<bool> {
    let item = line.strip_prefix(ION).unwrap_or(line).trim_ascii();
    if item.is_empty() {
        return Ok(false);
    }
    let text = item.strip_prefix(b"{").map(<[u8]>::trim_ascii_start).unwrap_or_default();
    if item.ends_with(b"}") && text.starts_with(b"Item") {
        return Ok(true);
    }
    Err(io::Error::other("not an item in Ion text"))
}

/// The rows of a Parquet file, by its footer.
fn rows(stream: &mut impl Read) -> io::Result<u64> {
    let mut file: File = tempfile::tempfile()?;
    io::copy(stream, &mut file)?;
    file.flush()?;
    file.rewind()?;
    let reader = SerializedFileReader::new(file).map_err(io::Error::other)?;
    let rows: i64 = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).sum();
    if rows != reader.metadata().file_metadata().num_rows() {
        return Err(io::Error::other("its footer contradicts itself"));
    }
    u64::try_from(rows).map_err(io::Error::other)
}

struct Hashing<R> {
    stream: R,
    sha256: sha2::Sha256,
    md5: md5::Md5,
    bytes: u64,
    total: Arc<AtomicU64>,
}

impl<R: Read> Hashing<R> {
    fn new(stream: R, total: Arc<AtomicU64>) -> Self {
        Self { stream, sha256: sha2::Sha256::new(), md5: md5::Md5::new(), bytes: 0, total }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.md5.update(&buffer[..count]);
        self.bytes += count as u64;
        self.total.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str, content: Content) -> io::Result<Counted> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        whole(Hashing::new(io::Cursor::new(gzip.finish().unwrap()), Arc::default()), content)
    }

    #[test]
    fn items_are_lines_that_hold_one() {
        let json = "{\"Item\":{\"id\":{\"S\":\"a\\nb\"}}}\n{\"Item\":{\"id\":{\"N\":\"1\"}}}";
        assert_eq!(counted(json, Content::Json).unwrap().items, Some(2));
        let ion = "$ion_1_0 {Item:{id:\"a\"}}\n$ion_1_0\n{Item:{id:1.}}\n";
        assert_eq!(counted(ion, Content::Ion).unwrap().items, Some(2));
        assert_eq!(counted("", Content::Json).unwrap().items, Some(0));
    }

    #[test]
    fn what_is_no_item_is_told_with_its_line() {
        let cut = counted("{\"Item\":{\"id\":{\"S\":\"a\"}}}\n{\"Item\":{\"id\"", Content::Json).unwrap_err();
        assert!(cut.to_string().contains("line 2"), "{cut}");
        assert!(counted("{\"Keys\":{}}\n", Content::Json).is_err());
        assert!(counted("id:1\n", Content::Ion).is_err());
    }
}
