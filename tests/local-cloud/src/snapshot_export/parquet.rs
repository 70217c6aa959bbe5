//! Rows as a Parquet file.

use std::str::FromStr;
use std::sync::Arc;

use parquet::basic::{Compression, GzipLevel, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::table::{Column, Kind, Row};
use crate::error::{Error, Result};

fn failed(message: impl std::fmt::Display) -> Error {
    Error::Call { operation: "the writing of Parquet".to_owned(), message: message.to_string() }
}

/// A file with some rows; every column may be null, as in RDS's files.
pub(super) fn file(columns: &[Column], rows: &[Row]) -> Result<Vec<u8>> {
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let schema = Type::group_type_builder("spark_schema").with_fields(fields).build().map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::GZIP(GzipLevel::default())).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).map_err(failed)?;
    let mut group = writer.next_row_group().map_err(failed)?;
    for (index, column) in columns.iter().enumerate() {
        let values = rows.iter().map(|row| row.get(index).and_then(Option::as_deref));
        write(&mut group, column.kind, values)?;
    }
    group.close().map_err(failed)?;
    writer.into_inner().map_err(failed)
}

fn field(column: &Column) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match column.kind {
        Kind::Boolean => (Physical::BOOLEAN, None),
        Kind::Int32 => (Physical::INT32, None),
        Kind::Int64 => (Physical::INT64, None),
        Kind::Float => (Physical::FLOAT, None),
        Kind::Double => (Physical::DOUBLE, None),
        Kind::Bytes => (Physical::BYTE_ARRAY, None),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(&column.name, physical);
    builder.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build().map(Arc::new)
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn write<'a>(group: &mut Group<'_>, kind: Kind, values: impl Iterator<Item = Option<&'a [u8]>>) -> Result<()> {
    match kind {
        Kind::Boolean => column::<BoolType>(group, values, |bytes| Ok(bytes == b"true" || bytes == b"t")),
        Kind::Int32 => column::<Int32Type>(group, values, parsed),
        Kind::Int64 => column::<Int64Type>(group, values, parsed),
        Kind::Float => column::<FloatType>(group, values, parsed),
        Kind::Double => column::<DoubleType>(group, values, parsed),
        Kind::Bytes | Kind::Text => column::<ByteArrayType>(group, values, |bytes| Ok(ByteArray::from(bytes.to_vec()))),
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(bytes: &[u8]) -> Result<T> {
    let text = String::from_utf8_lossy(bytes);
    text.parse().map_err(|error| failed(format!("{text}: {error}")))
}

fn column<'a, T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    convert: impl Fn(&[u8]) -> Result<T::T>,
) -> Result<()> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        if let Some(bytes) = value {
            present.push(convert(bytes)?);
        }
    }
    let writer = group.next_column().map_err(failed)?;
    let mut writer = writer.ok_or_else(|| failed("the schema has fewer columns"))?;
    writer.typed::<T>().write_batch(&present, Some(&levels), None).map_err(failed)?;
    writer.close().map_err(failed)
}
