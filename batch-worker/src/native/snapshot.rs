//! An export of an RDS snapshot as Parquet: every table complete, every object read, every row counted.
//!
//! Layout: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ExportSnapshot.FileNames.html>.

use std::collections::{BTreeMap, BTreeSet};

use domain::failure::Result;
use domain::manifest::{Database, Origin, TableCount};
use domain::source::SnapshotExportSource;
use serde::Deserialize;
use serde_json::Value;
use store::read::Listed;

use super::count::{count_all, entry};
use super::format::{Content, PARQUET};
use super::reading::{Found, Reading, wrong};

const COMPLETE: &str = "COMPLETE";
/// What is told of many.
const MOST_TOLD: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    export_task_identifier: String,
    status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tables {
    per_table_status: Vec<TableStatus>,
}

#[derive(Debug, Deserialize)]
struct TableStatus {
    target: String,
    status: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

pub(super) async fn check(
    reading: &Reading<'_>,
    source: &SnapshotExportSource,
    prefix: &str,
    listed: &[Listed],
) -> Result<Found> {
    let statuses = statuses(reading, source, prefix, listed).await?;
    let bad: Vec<String> =
        statuses.iter().filter(|table| !table.status.eq_ignore_ascii_case(COMPLETE)).map(TableStatus::told).collect();
    if !bad.is_empty() {
        let more = if bad.len() > MOST_TOLD { format!(" and {} more", bad.len() - MOST_TOLD) } else { String::new() };
        return Err(wrong(format!(
            "RDS left out {} of {} tables of {}: {}{more}; set the tag backup-export:method to dump to have them",
            bad.len(),
            statuses.len(),
            source.snapshot_arn,
            bad[..bad.len().min(MOST_TOLD)].join("; ")
        )));
    }
    let present: BTreeSet<String> = listed.iter().filter_map(|object| table_of(prefix, &object.key)).collect();
    let lacking: Vec<&str> = statuses
        .iter()
        .map(|table| table.target.as_str())
        .filter(|target| !present.iter().any(|present| is_table(present, target)))
        .collect();
    if !lacking.is_empty() {
        return Err(wrong(format!(
            "RDS says that these tables are complete, and there are no objects of them: {}",
            lacking[..lacking.len().min(MOST_TOLD)].join(", ")
        )));
    }
    let mut notes = Vec::new();
    for table in present.iter().filter(|present| !statuses.iter().any(|status| is_table(present, &status.target))) {
        notes.push(format!("there are objects of {table}, which RDS does not list as a table that it exported"));
    }
    let work: Vec<(&Listed, Content)> =
        listed.iter().map(|object| (object, Content::of(PARQUET, &object.key))).collect();
    let counted = count_all(reading, &work).await?;
    let objects = work.iter().zip(&counted).map(|((object, _), counted)| entry(object, counted)).collect();
    let tables =
        rows(prefix, work.iter().zip(&counted).map(|((object, _), counted)| (object.key.as_str(), counted.items)));
    Ok(Found {
        origin: Origin::Database(Database {
            engine: source.engine.to_string(),
            engine_version: source.engine_version.clone(),
            size_bytes: u64::from(source.size_gib) << 30,
            dump_tool: None,
        }),
        format: PARQUET,
        export: source.task_id.clone(),
        objects,
        tables,
        notes,
    })
}

/// Rows of each table, of those that have a folder.
pub(super) fn rows<'a>(prefix: &str, objects: impl Iterator<Item = (&'a str, Option<u64>)>) -> Vec<TableCount> {
    let mut tables: BTreeMap<String, u64> = BTreeMap::new();
    for (key, items) in objects {
        if let Some(table) = table_of(prefix, key) {
            *tables.entry(table).or_default() += items.unwrap_or_default();
        }
    }
    tables.into_iter().map(|(name, rows)| TableCount { name, rows }).collect()
}

async fn statuses(
    reading: &Reading<'_>,
    source: &SnapshotExportSource,
    prefix: &str,
    listed: &[Listed],
) -> Result<Vec<TableStatus>> {
    let named = |start: &str| -> Vec<&str> {
        let keys = listed.iter().map(|object| object.key.as_str());
        keys.filter(|key| name_of(key).starts_with(start) && has_suffix(key)).collect()
    };
    let info_key = match named("export_info_").as_slice() {
        [only] => *only,
        [] => return Err(wrong(format!("export_info_….json is missing under {}", reading.store.locate(prefix)))),
        several => return Err(wrong(format!("several exports lie under one prefix: {}", several.join(", ")))),
    };
    let info: Info = parsed(reading, listed, info_key).await?;
    if info.export_task_identifier != source.task_id {
        return Err(wrong(format!(
            "{} is of the export task {}, and {} was to run",
            reading.store.locate(info_key),
            info.export_task_identifier,
            source.task_id
        )));
    }
    if !info.status.eq_ignore_ascii_case(COMPLETE) {
        return Err(wrong(format!("{} says {}, not {COMPLETE}", reading.store.locate(info_key), info.status)));
    }
    let keys = named("export_tables_info_");
    if keys.is_empty() {
        return Err(wrong(format!("export_tables_info_….json is missing under {}", reading.store.locate(prefix))));
    }
    let mut statuses = Vec::new();
    for key in keys {
        let tables: Tables = parsed(reading, listed, key).await?;
        statuses.extend(tables.per_table_status);
    }
    Ok(statuses)
}

fn has_suffix(key: &str) -> bool {
    key.strip_suffix(".json").is_some()
}

async fn parsed<T: for<'a> Deserialize<'a>>(reading: &Reading<'_>, listed: &[Listed], key: &str) -> Result<T> {
    let content = reading.description(listed, key).await?;
    serde_json::from_slice(&content)
        .map_err(|error| wrong(format!("{} is not readable: {error}", reading.store.locate(key))))
}

impl TableStatus {
    /// With whatever RDS says besides.
    fn told(&self) -> String {
        let mut words = Vec::new();
        for (name, value) in &self.more {
            let name = name.to_ascii_lowercase();
            if ["warning", "message", "reason", "cause"].iter().any(|word| name.contains(word)) {
                words.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
        let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
        let told = format!("{} is {}{words}", self.target, self.status);
        told.chars().take(300).collect()
    }
}

/// `shop.public.orders` of `<prefix>[<task>/]shop/public.orders/1/part-….parquet`; `shop.orders` where MySQL repeats
/// the database.
fn table_of(prefix: &str, key: &str) -> Option<String> {
    let mut folders: Vec<&str> = key.strip_prefix(prefix)?.split('/').collect();
    folders.pop();
    let at = folders.iter().rposition(|folder| folder.contains('.'))?;
    let (database, table) = (folders.get(at.checked_sub(1)?)?, folders[at]);
    if table.split_once('.').is_some_and(|(schema, _)| schema == *database) {
        return Some(table.to_owned());
    }
    Some(format!("{database}.{table}"))
}

/// Whether RDS means this table. It names some with their database and some without.
fn is_table(present: &str, target: &str) -> bool {
    let ends =
        |long: &str, short: &str| long == short || long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
    ends(present, target) || ends(target, present)
}

fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_by_its_folder() {
        let of = |key: &str| table_of("data/x/", key);
        assert_eq!(of("data/x/shop/public.orders/1/part-0.gz.parquet").as_deref(), Some("shop.public.orders"));
        assert_eq!(of("data/x/task/shop/shop.orders/1/part-0.gz.parquet").as_deref(), Some("shop.orders"));
        assert_eq!(of("data/x/export_info_task.json"), None);
        assert!(is_table("shop.public.orders", "shop.public.orders"));
        assert!(is_table("shop.public.orders", "public.orders"));
        assert!(is_table("shop.orders", "shop.shop.orders"));
        assert!(!is_table("shop.public.orders", "shop.public.preorders"));
    }
}
