//! Reading an index, a row group at a time.

use std::fs::File;
use std::path::Path;
use std::vec;

use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::parser::parse_message_type;

use super::row::{IndexMetadata, IndexRow, RowKind};
use super::schema;
use crate::digest::Sha256;
use crate::entry::{DeviceNumber, Timestamp};
use crate::error::{Error, Result};

/// An open index, in a local file or anything else that gives ranges of bytes (`bytes::Bytes` does).
pub struct IndexReader {
    file: Box<dyn FileReader>,
    metadata: IndexMetadata,
}

impl IndexReader {
    /// Opens a local file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| reading(error.into()))?;
        Self::new(file)
    }

    /// Opens any source.
    pub fn new<R: ChunkReader + 'static>(source: R) -> Result<Self> {
        let file = SerializedFileReader::new(source).map_err(reading)?;
        let about = file.metadata().file_metadata();
        let metadata = schema::from_pairs(about.key_value_metadata().map_or(&[][..], Vec::as_slice))?;
        let known = parse_message_type(schema::MESSAGE).map_err(reading)?;
        if *about.schema() != known {
            return Err(Error::UnknownIndex("its columns are not those of its format version".into()));
        }
        Ok(Self { file: Box::new(file), metadata })
    }

    /// What the index says about its artifact.
    pub fn metadata(&self) -> &IndexMetadata {
        &self.metadata
    }

    /// Every row, in the order of the stream. Memory holds one row group.
    pub fn rows(&self) -> Rows<'_> {
        Rows { file: self.file.as_ref(), next_group: 0, group: Vec::new().into_iter(), failed: false }
    }

    /// The row of one path (as in [`IndexRow::path`]). Reads the paths of each row group until it is found, and the
    /// other columns only there.
    pub fn find(&self, path: &[u8]) -> Result<Option<IndexRow>> {
        for number in 0..self.file.num_row_groups() {
            let group = self.file.get_row_group(number).map_err(reading)?;
            let rows = row_count(group.as_ref())?;
            let lossy = Column::<ByteArrayType>::read(group.as_ref(), 0, rows)?;
            let wanted = String::from_utf8_lossy(path);
            if !lossy.any(|value| value.data() == wanted.as_bytes()) {
                continue;
            }
            if let Some(row) = read_group(group.as_ref())?.into_iter().find(|row| row.path == path && !is_block(row)) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// The rows of an index.
pub struct Rows<'a> {
    file: &'a dyn FileReader,
    next_group: usize,
    group: vec::IntoIter<IndexRow>,
    failed: bool,
}

impl Iterator for Rows<'_> {
    type Item = Result<IndexRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.group.next() {
                return Some(Ok(row));
            }
            if self.failed || self.next_group == self.file.num_row_groups() {
                return None;
            }
            let group = self.file.get_row_group(self.next_group).map_err(reading);
            self.next_group += 1;
            match group.and_then(|group| read_group(group.as_ref())) {
                Ok(rows) => self.group = rows.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn reading(source: ParquetError) -> Error {
    Error::Index { tried: "read", source }
}

fn damaged(what: &str) -> Error {
    Error::UnknownIndex(format!("a row has {what}"))
}

fn is_block(row: &IndexRow) -> bool {
    matches!(row.kind, RowKind::Block { .. })
}

/// A file of billions of rows in a group is not ours, and would not fit in memory.
fn row_count(group: &dyn RowGroupReader) -> Result<usize> {
    usize::try_from(group.metadata().num_rows())
        .ok()
        .filter(|rows| *rows <= 1 << 20)
        .ok_or_else(|| Error::UnknownIndex("a row group has more rows than this format's".into()))
}

/// One column of a row group: its values, one by one.
struct Column<T: DataType> {
    values: vec::IntoIter<T::T>,
    levels: Option<vec::IntoIter<i16>>,
}

impl<T: DataType> Column<T> {
    fn read(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<Self> {
        let optional = group.metadata().column(column).column_descr().max_def_level() > 0;
        let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column).map_err(reading)?);
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < rows {
            let levels = optional.then_some(&mut levels);
            let (records, ..) = reader.read_records(rows - read, levels, None, &mut values).map_err(reading)?;
            if records == 0 {
                return Err(damaged("fewer columns than others"));
            }
            read += records;
        }
        Ok(Self { values: values.into_iter(), levels: optional.then(|| levels.into_iter()) })
    }

    fn optional(&mut self) -> Result<Option<T::T>> {
        let present = match &mut self.levels {
            Some(levels) => levels.next().ok_or_else(|| damaged("fewer columns than others"))? > 0,
            None => true,
        };
        if !present {
            return Ok(None);
        }
        self.values.next().map(Some).ok_or_else(|| damaged("fewer columns than others"))
    }

    fn required(&mut self) -> Result<T::T> {
        self.optional()?.ok_or_else(|| damaged("no value where one must be"))
    }

    fn any(self, wanted: impl Fn(&T::T) -> bool) -> bool {
        self.values.as_slice().iter().any(wanted)
    }
}

impl Column<Int64Type> {
    fn unsigned(&mut self) -> Result<u64> {
        u64::try_from(self.required()?).map_err(|_| damaged("a negative size or offset"))
    }
}

impl Column<ByteArrayType> {
    fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.optional()?.map(|bytes: ByteArray| bytes.data().to_vec()))
    }

    fn sha256(&mut self) -> Result<Option<Sha256>> {
        let Some(text) = self.bytes()? else { return Ok(None) };
        let hash = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        hash.map(Some).ok_or_else(|| damaged("a hash that is none"))
    }
}

fn narrow<T: TryFrom<i64>>(value: Option<i64>) -> Result<T> {
    T::try_from(value.unwrap_or(0)).map_err(|_| damaged("an id or device number out of range"))
}

/// Reads every column, in the order of [`schema::MESSAGE`].
fn read_group(group: &dyn RowGroupReader) -> Result<Vec<IndexRow>> {
    let rows = row_count(group)?;
    let bytes = |column| Column::<ByteArrayType>::read(group, column, rows);
    let long = |column| Column::<Int64Type>::read(group, column, rows);
    let short = |column| Column::<Int32Type>::read(group, column, rows);
    let (mut path, mut path_bytes, mut kind) = (bytes(0)?, bytes(1)?, bytes(2)?);
    let (mut size, mut stored_bytes, mut block_offset) = (long(3)?, long(4)?, long(5)?);
    let mut zero = Column::<BoolType>::read(group, 6, rows)?;
    let (mut mode, mut uid, mut gid) = (short(7)?, long(8)?, long(9)?);
    let (mut seconds, mut nanoseconds) = (long(11)?, short(12)?);
    let (mut target, mut target_bytes) = (bytes(13)?, bytes(14)?);
    let (mut major, mut minor) = (long(15)?, long(16)?);
    let (mut sha256, mut stored_sha256) = (bytes(17)?, bytes(18)?);
    let (mut member_offset, mut member_end, mut skip_bytes, mut entry_bytes) =
        (long(19)?, long(20)?, long(21)?, long(22)?);
    (0..rows)
        .map(|_| {
            let lossy = path.bytes()?;
            let target_lossy = target.bytes()?;
            let target = target_bytes.bytes()?.or(target_lossy);
            let device = DeviceNumber { major: narrow(major.optional()?)?, minor: narrow(minor.optional()?)? };
            let (offset, zero) = (block_offset.optional()?, zero.optional()?.unwrap_or(false));
            let kind = match kind.bytes()?.as_deref() {
                Some(b"file") => RowKind::File,
                Some(b"directory") => RowKind::Directory,
                Some(b"symlink") => RowKind::Symlink(target.unwrap_or_default()),
                Some(b"hardlink") => RowKind::HardLink(target.unwrap_or_default()),
                Some(b"fifo") => RowKind::Fifo,
                Some(b"character_device") => RowKind::CharacterDevice(device),
                Some(b"block_device") => RowKind::BlockDevice(device),
                Some(b"block") => RowKind::Block { offset: narrow(offset)?, zero },
                _ => return Err(damaged("an unknown type")),
            };
            Ok(IndexRow {
                path: path_bytes.bytes()?.or(lossy).unwrap_or_default(),
                kind,
                size: size.unsigned()?,
                stored_bytes: stored_bytes.unsigned()?,
                mode: mode.optional()?.unwrap_or(0).cast_unsigned(),
                uid: narrow(uid.optional()?)?,
                gid: narrow(gid.optional()?)?,
                mtime: Timestamp {
                    seconds: seconds.optional()?.unwrap_or(0),
                    nanoseconds: nanoseconds.optional()?.unwrap_or(0).cast_unsigned(),
                },
                sha256: sha256.sha256()?,
                stored_sha256: stored_sha256.sha256()?,
                member_offset: member_offset.unsigned()?,
                member_end: member_end.unsigned()?,
                skip_bytes: skip_bytes.unsigned()?,
                entry_bytes: entry_bytes.unsigned()?,
            })
        })
        .collect()
}
