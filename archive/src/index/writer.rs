//! Writing an index, a row group at a time.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::row::{IndexMetadata, IndexRow, RowKind};
use super::schema;
use crate::entry::{DeviceNumber, Timestamp};
use crate::error::{Error, Result};

/// A row group is written when it has so many rows, or so many bytes of paths and targets: what the writer holds in
/// memory.
const GROUP_ROWS: usize = 32 << 10;
const GROUP_NAME_BYTES: usize = 8 << 20;

/// Writes rows in the order in which they come.
pub(crate) struct IndexWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Vec<IndexRow>,
    name_bytes: usize,
    written: u64,
}

impl<W: Write + Send> IndexWriter<W> {
    pub(crate) fn new(out: W) -> Result<Self> {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(3).map_err(writing)?);
        let mut properties = WriterProperties::builder().set_compression(zstd);
        // Nearly every value differs: a dictionary would be built and thrown away.
        for column in ["path", "sha256", "stored_sha256", "member_offset", "member_end"] {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
        }
        let message = Arc::new(parse_message_type(schema::MESSAGE).map_err(writing)?);
        let file = SerializedFileWriter::new(out, message, Arc::new(properties.build())).map_err(writing)?;
        Ok(Self { file, rows: Vec::new(), name_bytes: 0, written: 0 })
    }

    pub(crate) fn push(&mut self, row: IndexRow) -> Result<()> {
        self.name_bytes += row.path.len() + target(&row).map_or(0, <[u8]>::len);
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS || self.name_bytes >= GROUP_NAME_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.rows.len() as u64
    }

    /// Writes the rest, and the metadata.
    pub(crate) fn finish(mut self, metadata: &IndexMetadata) -> Result<()> {
        if !self.rows.is_empty() {
            self.flush()?;
        }
        for pair in schema::to_pairs(metadata) {
            self.file.append_key_value_metadata(pair);
        }
        let mut out = self.file.into_inner().map_err(writing)?;
        out.flush().map_err(|error| writing(error.into()))
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.name_bytes = 0;
        self.written += rows.len() as u64;
        write_group(&mut self.file, &rows).map_err(writing)
    }
}

fn writing(source: ParquetError) -> Error {
    Error::Index { tried: "write", source }
}

/// One column after the other, in the order of [`schema::MESSAGE`].
fn write_group<W: Write + Send>(file: &mut SerializedFileWriter<W>, rows: &[IndexRow]) -> Result<(), ParquetError> {
    let mut group = Group { writer: file.next_row_group()?, rows };
    let is_entry = |row: &IndexRow| !matches!(row.kind, RowKind::Block { .. });
    group.optional::<ByteArrayType>(|row| is_entry(row).then(|| lossy(&row.path)))?;
    group.optional::<ByteArrayType>(|row| bytes_unless_utf8(&row.path))?;
    group.required::<ByteArrayType>(|row| ByteArray::from(type_name(&row.kind)))?;
    group.required::<Int64Type>(|row| signed(row.size))?;
    group.required::<Int64Type>(|row| signed(row.stored_bytes))?;
    group.optional::<Int64Type>(|row| block(row).map(|(offset, _)| signed(offset)))?;
    group.optional::<BoolType>(|row| block(row).map(|(_, zero)| zero))?;
    group.optional::<Int32Type>(|row| is_entry(row).then_some(row.mode.cast_signed()))?;
    group.optional::<Int64Type>(|row| is_entry(row).then_some(i64::from(row.uid)))?;
    group.optional::<Int64Type>(|row| is_entry(row).then_some(i64::from(row.gid)))?;
    group.optional::<Int64Type>(|row| if is_entry(row) { micros(row.mtime) } else { None })?;
    group.optional::<Int64Type>(|row| is_entry(row).then_some(row.mtime.seconds))?;
    group.optional::<Int32Type>(|row| is_entry(row).then_some(row.mtime.nanoseconds.cast_signed()))?;
    group.optional::<ByteArrayType>(|row| target(row).map(lossy))?;
    group.optional::<ByteArrayType>(|row| target(row).and_then(bytes_unless_utf8))?;
    group.optional::<Int64Type>(|row| device(row).map(|device| i64::from(device.major)))?;
    group.optional::<Int64Type>(|row| device(row).map(|device| i64::from(device.minor)))?;
    group.optional::<ByteArrayType>(|row| row.sha256.map(|hash| ByteArray::from(hash.to_string().as_str())))?;
    group.optional::<ByteArrayType>(|row| row.stored_sha256.map(|hash| ByteArray::from(hash.to_string().as_str())))?;
    group.required::<Int64Type>(|row| signed(row.member_offset))?;
    group.required::<Int64Type>(|row| signed(row.member_end))?;
    group.required::<Int64Type>(|row| signed(row.skip_bytes))?;
    group.required::<Int64Type>(|row| signed(row.entry_bytes))?;
    group.writer.close().map(|_| ())
}

struct Group<'a, W: Write + Send> {
    writer: SerializedRowGroupWriter<'a, W>,
    rows: &'a [IndexRow],
}

impl<W: Write + Send> Group<'_, W> {
    fn required<T: DataType>(&mut self, value: impl Fn(&IndexRow) -> T::T) -> Result<(), ParquetError> {
        let values: Vec<T::T> = self.rows.iter().map(value).collect();
        self.column::<T>(&values, None)
    }

    fn optional<T: DataType>(&mut self, value: impl Fn(&IndexRow) -> Option<T::T>) -> Result<(), ParquetError> {
        let (mut values, mut levels) = (Vec::new(), Vec::with_capacity(self.rows.len()));
        for row in self.rows {
            let value = value(row);
            levels.push(i16::from(value.is_some()));
            values.extend(value);
        }
        self.column::<T>(&values, Some(&levels))
    }

    fn column<T: DataType>(&mut self, values: &[T::T], levels: Option<&[i16]>) -> Result<(), ParquetError> {
        let mut column =
            self.writer.next_column()?.ok_or_else(|| ParquetError::General("the schema has fewer columns".into()))?;
        column.typed::<T>().write_batch(values, levels, None)?;
        column.close()
    }
}

pub(super) fn type_name(kind: &RowKind) -> &'static str {
    match kind {
        RowKind::File => "file",
        RowKind::Directory => "directory",
        RowKind::Symlink(_) => "symlink",
        RowKind::HardLink(_) => "hardlink",
        RowKind::Fifo => "fifo",
        RowKind::CharacterDevice(_) => "character_device",
        RowKind::BlockDevice(_) => "block_device",
        RowKind::Block { .. } => "block",
    }
}

fn target(row: &IndexRow) -> Option<&[u8]> {
    match &row.kind {
        RowKind::Symlink(target) | RowKind::HardLink(target) => Some(target),
        RowKind::File
        | RowKind::Directory
        | RowKind::Fifo
        | RowKind::CharacterDevice(_)
        | RowKind::BlockDevice(_)
        | RowKind::Block { .. } => None,
    }
}

fn device(row: &IndexRow) -> Option<DeviceNumber> {
    match row.kind {
        RowKind::CharacterDevice(device) | RowKind::BlockDevice(device) => Some(device),
        RowKind::File
        | RowKind::Directory
        | RowKind::Symlink(_)
        | RowKind::HardLink(_)
        | RowKind::Fifo
        | RowKind::Block { .. } => None,
    }
}

fn block(row: &IndexRow) -> Option<(u64, bool)> {
    match row.kind {
        RowKind::Block { offset, zero } => Some((offset, zero)),
        RowKind::File
        | RowKind::Directory
        | RowKind::Symlink(_)
        | RowKind::HardLink(_)
        | RowKind::Fifo
        | RowKind::CharacterDevice(_)
        | RowKind::BlockDevice(_) => None,
    }
}

fn lossy(bytes: &[u8]) -> ByteArray {
    ByteArray::from(String::from_utf8_lossy(bytes).into_owned().into_bytes())
}

fn bytes_unless_utf8(bytes: &[u8]) -> Option<ByteArray> {
    std::str::from_utf8(bytes).is_err().then(|| ByteArray::from(bytes.to_vec()))
}

/// Athena knows no time beyond 292,000 years; the exact time is in the next two columns anyway.
fn micros(time: Timestamp) -> Option<i64> {
    time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanoseconds / 1_000))
}

/// No file, and no object, is that long.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
