//! The objects of an export, as DynamoDB writes them: data files, the manifest of files, the summary, their checksums.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libdeflater::{CompressionLvl, Compressor};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::ion;
use crate::dynamodb::description::{Export, Format};
use crate::error::{Error, Result};
use crate::recovery_point::TableExportFate;
use crate::s3::Store;

/// Data files of an export: DynamoDB writes one for each partition, also for an empty one.
const PARTITIONS: usize = 4;

#[derive(Debug)]
struct DataFile {
    key: String,
    /// Items that it holds.
    items: u64,
    bytes: Vec<u8>,
}

/// All objects of an export.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    export: &'a Export,
    fate: &'a TableExportFate,
    files: Vec<DataFile>,
    size_bytes: u64,
}

fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = Compressor::new(CompressionLvl::fastest());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let size = compressor.gzip_compress(bytes, &mut out).map_err(|error| Error::Call {
        operation: "the compression of a data file".to_owned(),
        message: error.to_string(),
    })?;
    out.truncate(size);
    Ok(out)
}

/// The partition of an item. It follows from the item, so that the same table gives the same files.
fn partition(item: &Value) -> usize {
    let mut hasher = DefaultHasher::new();
    item.to_string().hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTITIONS as u64).unwrap_or(0)
}

/// A name of 26 letters and digits, as DynamoDB gives to data files.
fn file_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..26].to_owned()
}

impl<'a> Layout<'a> {
    pub(super) fn new(export: &'a Export, items: &[Value], fate: &'a TableExportFate) -> Result<Self> {
        let mut lines: Vec<(u64, String)> = vec![(0, String::new()); PARTITIONS];
        let left_out = usize::from(*fate == TableExportFate::LosesItem);
        for item in items.iter().skip(left_out) {
            let (count, text) = &mut lines[partition(item)];
            *count += 1;
            match export.format {
                Format::Json => text.push_str(&json!({"Item": item}).to_string()),
                Format::Ion => text.push_str(&ion::line(item)),
            }
            text.push('\n');
        }
        let size_bytes = lines.iter().map(|(_, text)| text.len() as u64).sum();
        let file = |(items, text): (u64, String)| {
            let key = export.key(&format!("data/{}.{}", file_name(), export.format.extension()));
            Ok(DataFile { key, items, bytes: gzip(text.as_bytes())? })
        };
        let files = lines.into_iter().map(file).collect::<Result<_>>()?;
        Ok(Self { export, fate, files, size_bytes })
    }

    /// Writes everything; the number of items that the export tells, and its bytes.
    pub(super) fn write(&self, store: &Store) -> Result<(u64, u64)> {
        let export = self.export;
        // The file that is spoiled holds something, if any does.
        let spoiled = self.files.iter().position(|file| file.items > 0).unwrap_or(0);
        let put = |key: &str, bytes: &[u8]| store.write(&export.bucket, key, bytes);
        let mut manifest = String::new();
        for (index, file) in self.files.iter().enumerate() {
            let mut stored = file.bytes.clone();
            if index == spoiled && *self.fate == TableExportFate::CorruptsDataFile {
                // S3 takes what it gets: only the manifest's own checksum tells.
                let middle = stored.len() / 2;
                stored[middle] ^= 0x40;
            }
            let etag = put(&file.key, &stored)?;
            let line = json!({"itemCount": file.items, "md5Checksum": md5_base64(&file.bytes), "etag": etag, "dataFileS3Key": file.key});
            manifest.push_str(&line.to_string());
            manifest.push('\n');
            if index == spoiled && *self.fate == TableExportFate::LosesDataFile {
                store.remove(&export.bucket, &file.key)?;
            }
        }
        let counted: u64 = self.files.iter().map(|file| file.items).sum();
        let items = counted + u64::from(*self.fate == TableExportFate::MiscountsItems);
        let files_key = export.key("manifest-files.json");
        let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this era fit")]
        let export_time = jiff::Timestamp::from_millisecond((export.time_of_items * 1000.0).round() as i64);
        let summary = json!({
            "version": "2023-08-01", "exportArn": export.arn, "startTime": time(export.started),
            "endTime": export.ended.map(time), "tableArn": export.table_arn, "tableId": export.table_id,
            "exportTime": export_time.ok().map(time), "s3Bucket": export.bucket, "s3Prefix": export.prefix,
            "s3SseAlgorithm": export.sse_algorithm, "s3SseKmsKeyId": export.sse_key, "manifestFilesS3Key": files_key,
            "billedSizeBytes": self.size_bytes, "itemCount": items, "outputFormat": export.format.name(),
            "exportType": "FULL_EXPORT",
        })
        .to_string();
        put(&files_key, manifest.as_bytes())?;
        put(&export.key("manifest-files.md5"), md5_base64(manifest.as_bytes()).as_bytes())?;
        put(&export.key("manifest-summary.json"), summary.as_bytes())?;
        put(&export.key("manifest-summary.md5"), md5_base64(summary.as_bytes()).as_bytes())?;
        Ok((items, self.size_bytes))
    }
}
