//! Reading an object of an export to its end: its hashes, and how many items are in it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write as _};
use std::sync::Arc;

use archive::Sha256Stream;
use base64::Engine as _;
use domain::failure::{Error, Kind, Result};
use domain::manifest::NativeObject;
use flate2::bufread::MultiGzDecoder;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use md5::Digest as _;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde::Deserialize;
use store::read::Listed;

use super::format::Content;
use super::reading::{Reading, wrong};
use crate::progress::Counters;

/// Objects that are read at the same time. Each holds up to 80 MiB of ranges.
pub(super) const AT_ONCE: usize = 4;
const BUFFER_BYTES: usize = 256 << 10;
/// An item has at most 400 KB, its text a multiple of that.
const LONGEST_LINE_BYTES: u64 = 16 << 20;
const ION: &[u8] = b"$ion_1_0";

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

/// Reads and counts. What is malformed is `NativeExportFailed`.
pub(crate) async fn count(reading: &Reading<'_>, object: &Listed, content: Content) -> Result<Counted> {
    let (stream, breakage) = reading.store.stream(&object.key, &object.held, reading.stop.clone())?;
    let counters = Arc::clone(&reading.counters);
    let counted = tokio::task::spawn_blocking(move || whole(Hashing::new(stream, counters), content)).await;
    let counted =
        counted.map_err(|panic| Error::internal(format!("read {}", reading.store.locate(&object.key)), panic))?;
    let location = || reading.store.locate(&object.key);
    match (breakage.take(), counted) {
        (Some(error), _) => Err(error),
        (None, Ok(counted)) if counted.bytes != object.held.bytes => {
            Err(wrong(format!("{} is {} bytes long, and {} were read", location(), object.held.bytes, counted.bytes)))
        }
        (None, Ok(counted)) => Ok(counted),
        (None, Err(error)) => Err(Error::caused_by(Kind::NativeExportFailed, format!("read {}", location()), error)),
    }
}

/// Reads every object to its end, several at the same time. In the order of `listed`.
pub(super) async fn count_all(reading: &Reading<'_>, listed: &[(&Listed, Content)]) -> Result<Vec<Counted>> {
    stream::iter(listed.iter().copied())
        .map(|(object, content)| count(reading, object, content))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// An object as the list of all objects has it.
pub(super) fn entry(object: &Listed, counted: &Counted) -> NativeObject {
    NativeObject {
        key: object.key.clone(),
        bytes: object.held.bytes,
        sha256: counted.sha256.clone(),
        etag: object.held.etag.clone().unwrap_or_default(),
        items: counted.items,
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
        sha256: stream.sha256.finish().to_string(),
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
    sha256: Sha256Stream,
    md5: md5::Md5,
    bytes: u64,
    counters: Arc<Counters>,
}

impl<R: Read> Hashing<R> {
    fn new(stream: R, counters: Arc<Counters>) -> Self {
        Self { stream, sha256: Sha256Stream::default(), md5: md5::Md5::new(), bytes: 0, counters }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.sha256.update(&buffer[..count]);
        self.md5.update(&buffer[..count]);
        self.bytes += count as u64;
        self.counters.reading.add_bytes_read(count as u64);
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
