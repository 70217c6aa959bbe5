//! An export of a DynamoDB table: its own description, each file against it, and the items against the table itself.
//!
//! Layout: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html>.

use std::collections::{BTreeMap, BTreeSet};

use aws::CallError;
use aws_sdk_dynamodb::types::Select;
use base64::Engine as _;
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Origin, Table, TableCount};
use domain::plan::VerifyMode;
use domain::source::{TableFormat, TableOrigin, TableSource};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use md5::Digest as _;
use serde::Deserialize;
use store::read::Listed;

use super::count::{Counted, count_all, entry};
use super::format::Content;
use super::reading::{Found, Reading, wrong};
use crate::export::Run;

const SUMMARY: &str = "manifest-summary.json";
/// Segments of the scan, all at the same time. An on-demand table begins with four partitions, and throttling is
/// retried.
const SEGMENTS: i32 = 8;
/// What is told of many.
const MOST_TOLD: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    export_arn: String,
    table_arn: String,
    item_count: u64,
    output_format: String,
    manifest_files_s3_key: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataFile {
    item_count: u64,
    md5_checksum: String,
    etag: String,
    #[serde(rename = "dataFileS3Key")]
    key: String,
}

pub(super) async fn check(
    run: &Run<'_>,
    reading: &Reading<'_>,
    source: &TableSource,
    prefix: &str,
    listed: &[Listed],
) -> Result<Found> {
    let summary = summary(reading, source, prefix, listed).await?;
    let files = files(reading, &summary, listed).await?;
    let content = match source.format {
        TableFormat::DynamodbJson => Content::Json,
        TableFormat::Ion => Content::Ion,
    };
    let known: BTreeSet<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    let missing: Vec<&str> = files.keys().map(String::as_str).filter(|key| !known.contains(key)).collect();
    tell("its list of files names objects that are not there", &missing)?;
    let unlisted: Vec<&str> =
        known.iter().copied().filter(|key| is_data(prefix, key) && !files.contains_key(*key)).collect();
    tell("there are data files that its list does not name", &unlisted)?;

    let work: Vec<(&Listed, Content)> = listed
        .iter()
        .map(|object| (object, if files.contains_key(&object.key) { content } else { Content::Opaque }))
        .collect();
    let counted = count_all(reading, &work).await?;
    let mut objects = Vec::with_capacity(work.len());
    let mut items = 0;
    for ((object, _), counted) in work.iter().zip(&counted) {
        if let Some(file) = files.get(&object.key) {
            compare(&reading.store.locate(&object.key), file, object, counted)?;
            items += counted.items.unwrap_or_default();
        }
        objects.push(entry(object, counted));
    }
    if items != summary.item_count {
        return Err(wrong(format!(
            "{} says {} items, and its files hold {items}",
            summary.export_arn, summary.item_count
        )));
    }
    let mut notes = Vec::new();
    let created_at = run.assignment.as_ref().map(|assignment| assignment.plan.recovery_point.created_at);
    let (live_table, as_of) = match &source.origin {
        TableOrigin::LiveTable { at } => {
            notes.push(format!("this is the live table as it was at {at}, and not the backup itself"));
            (true, *at)
        }
        TableOrigin::Backup { temporary_table, .. } => {
            let verify = run.assignment.as_ref().map_or(VerifyMode::Readback, |assignment| assignment.plan.verify);
            match verify {
                VerifyMode::Readback | VerifyMode::Checksum => compare_table(run, temporary_table, items).await?,
                VerifyMode::None => {}
            }
            (false, created_at.unwrap_or_default())
        }
    };
    let name = source.table_arn.rsplit('/').next().unwrap_or(&source.table_arn).to_owned();
    Ok(Found {
        origin: Origin::Table(Table {
            table_arn: source.table_arn.clone(),
            live_table,
            as_of,
            size_bytes: source.size_bytes,
        }),
        format: source.format.name(),
        export: summary.export_arn,
        objects,
        tables: vec![TableCount { name, rows: items }],
        notes,
    })
}

/// Whether an object holds items, by its place.
fn is_data(prefix: &str, key: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|name| name.contains("data/") && !name.ends_with('/'))
}

async fn summary(reading: &Reading<'_>, source: &TableSource, prefix: &str, listed: &[Listed]) -> Result<Summary> {
    let found: Vec<&str> =
        listed.iter().map(|object| object.key.as_str()).filter(|key| name_of(key) == SUMMARY).collect();
    let key = match found.as_slice() {
        [only] => *only,
        [] => return Err(wrong(format!("{} is missing", reading.store.locate(&format!("{prefix}{SUMMARY}"))))),
        several => return Err(wrong(format!("several exports lie under one prefix: {}", several.join(", ")))),
    };
    let summary: Summary = described(reading, listed, key).await?.parse_one()?;
    let expected = source.exported_table_arn();
    let location = reading.store.locate(key);
    if summary.table_arn != expected {
        return Err(wrong(format!("{location} is of {}, and {expected} was to be exported", summary.table_arn)));
    }
    if !summary.export_arn.starts_with(&format!("{expected}/export/")) {
        return Err(wrong(format!("{location} is of the export {}, which is none of {expected}", summary.export_arn)));
    }
    if summary.output_format != source.format.name() {
        return Err(wrong(format!(
            "{location} says {}, and {} was asked for",
            summary.output_format,
            source.format.name()
        )));
    }
    Ok(summary)
}

async fn files(reading: &Reading<'_>, summary: &Summary, listed: &[Listed]) -> Result<BTreeMap<String, DataFile>> {
    let description = described(reading, listed, &summary.manifest_files_s3_key).await?;
    let mut files = BTreeMap::new();
    for file in description.parse_lines::<DataFile>()? {
        if let Some(twice) = files.insert(file.key.clone(), file) {
            return Err(wrong(format!("{} names {} twice", description.location, twice.key)));
        }
    }
    Ok(files)
}

/// A description whose hash was right.
struct Description {
    location: String,
    content: Vec<u8>,
}

async fn described(reading: &Reading<'_>, listed: &[Listed], key: &str) -> Result<Description> {
    let content = reading.description(listed, key).await?;
    let location = reading.store.locate(key);
    let stem = key.strip_suffix(".json").unwrap_or(key);
    // The guide calls them so and so.
    let beside = [format!("{stem}.md5"), format!("{key}.md5"), format!("{stem}.checksum"), format!("{key}.checksum")];
    let hash = listed
        .iter()
        .find(|object| beside.contains(&object.key))
        .ok_or_else(|| wrong(format!("{} is missing", reading.store.locate(&beside[0]))))?;
    let expected = reading.description(listed, &hash.key).await?;
    let actual = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(&content));
    if expected.trim_ascii() != actual.as_bytes() {
        return Err(wrong(format!(
            "{location} has the MD5 {actual}, and {} says {}",
            name_of(&hash.key),
            String::from_utf8_lossy(&expected).trim()
        )));
    }
    Ok(Description { location, content })
}

impl Description {
    fn malformed(&self, error: &serde_json::Error) -> Error {
        wrong(format!("{} is not readable: {error}", self.location))
    }

    fn parse_one<T: for<'a> Deserialize<'a>>(&self) -> Result<T> {
        serde_json::from_slice(&self.content).map_err(|error| self.malformed(&error))
    }

    fn parse_lines<T: for<'a> Deserialize<'a>>(&self) -> Result<Vec<T>> {
        let lines = self.content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|error| self.malformed(&error))).collect()
    }
}

fn compare(location: &str, file: &DataFile, object: &Listed, counted: &Counted) -> Result<()> {
    let etag = object.held.etag.as_deref().map(|etag| etag.trim_matches('"'));
    if etag.is_some_and(|etag| etag != file.etag.trim_matches('"')) {
        return Err(wrong(format!(
            "{location} has the ETag {}, and DynamoDB says {}",
            etag.unwrap_or_default(),
            file.etag
        )));
    }
    if counted.md5 != file.md5_checksum {
        return Err(wrong(format!("{location} has the MD5 {}, and DynamoDB says {}", counted.md5, file.md5_checksum)));
    }
    let items = counted.items.unwrap_or_default();
    if items != file.item_count {
        return Err(wrong(format!("{location} holds {items} items, and DynamoDB says {}", file.item_count)));
    }
    Ok(())
}

/// Counts the table that was made of the backup, which is still there.
async fn compare_table(run: &Run<'_>, table: &str, exported: u64) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(run.aws()?);
    let counts: Vec<u64> = stream::iter(0..SEGMENTS)
        .map(|segment| count_segment(&client, table, segment))
        .buffer_unordered(usize::try_from(SEGMENTS).unwrap_or(1))
        .try_collect()
        .await?;
    let there: u64 = counts.iter().sum();
    if there == exported {
        tracing::info!(table, items = there, "the table holds as many items as its export");
        return Ok(());
    }
    Err(Error::new(
        Kind::VerificationFailed,
        format!("the table {table}, which was made of the backup, holds {there} items, and its export {exported}"),
    ))
}

async fn count_segment(client: &aws_sdk_dynamodb::Client, table: &str, segment: i32) -> Result<u64> {
    let request = client.scan().table_name(table).select(Select::Count).segment(segment).total_segments(SEGMENTS);
    let mut pages = request.into_paginator().send();
    let mut items = 0;
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| CallError::of(&error).during(format!("count the items of the table {table}")))?;
        items += u64::try_from(page.count()).unwrap_or_default();
    }
    Ok(items)
}

fn tell(what: &str, keys: &[&str]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let more = if keys.len() > MOST_TOLD { format!(" and {} more", keys.len() - MOST_TOLD) } else { String::new() };
    Err(wrong(format!("{what}: {}{more}", keys[..keys.len().min(MOST_TOLD)].join(", "))))
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
