//! What a task does: STARTING, then table after table, then COMPLETE or FAILED.

use std::sync::Arc;

use super::layout::{Outcome, TableResult, write_summaries};
use super::parquet;
use super::service::SnapshotExports;
use super::table::{Table, rows, tables};
use super::task::{Status, Task};
use crate::error::{Error, Result};
use crate::rds::{DatabaseAccess, SnapshotView};
use crate::recovery_point::ExportTaskFate;

/// Rows of one Parquet file.
const PART_ROWS: usize = 1000;

pub(super) async fn run(exports: Arc<SnapshotExports>, task: Task, snapshot: SnapshotView, fate: ExportTaskFate) {
    tokio::time::sleep(exports.context.options.export_task / 2).await;
    if !exports.advance(&task.id, &Status::Starting, Status::InProgress) {
        return;
    }
    let end = match &fate {
        ExportTaskFate::Stuck => return,
        ExportTaskFate::Failed { cause } => Err(cause.clone()),
        ExportTaskFate::Complete
        | ExportTaskFate::SkipsTable
        | ExportTaskFate::FailsTable
        | ExportTaskFate::LosesObject
        | ExportTaskFate::TruncatesObject => {
            export(&exports, &task, &snapshot, &fate).await.map_err(|error| error.to_string())
        }
    };
    tokio::time::sleep(exports.context.options.export_task / 2).await;
    let end = match end {
        Ok(()) => Status::Complete,
        Err(cause) => Status::Failed { cause },
    };
    exports.advance(&task.id, &Status::InProgress, end);
}

/// Exports what a snapshot holds.
async fn export(exports: &SnapshotExports, task: &Task, snapshot: &SnapshotView, fate: &ExportTaskFate) -> Result<()> {
    let scratch = snapshot.scratch(&exports.rds).await?;
    let exported = export_tables(exports, task, &scratch.superuser(), snapshot, fate).await;
    scratch.close().await?;
    exported
}

async fn export_tables(
    exports: &SnapshotExports,
    task: &Task,
    access: &DatabaseAccess,
    snapshot: &SnapshotView,
    fate: &ExportTaskFate,
) -> Result<()> {
    let found: Vec<Table> =
        tables(access, snapshot.engine).await?.into_iter().filter(|table| table.is_chosen(&task.export_only)).collect();
    if found.is_empty() && !task.export_only.is_empty() {
        return Err(Error::Missing { kind: "what is to be exported:", name: task.export_only.join(", ") });
    }
    // What is spoiled is the first table that would be exported.
    let mut spoil = Some(fate).filter(|fate| **fate != ExportTaskFate::Complete);
    let mut results = Vec::new();
    for (index, table) in found.iter().enumerate() {
        let outcome = match (&table.skipped, spoil) {
            (Some(reason), _) => Outcome::Skipped(reason.clone()),
            (None, Some(ExportTaskFate::SkipsTable)) => {
                spoil = None;
                Outcome::Skipped("The table was skipped because of a row that is larger than 2 GB".to_owned())
            }
            (None, Some(ExportTaskFate::FailsTable)) => {
                spoil = None;
                Outcome::Failed("The table could not be read".to_owned())
            }
            (None, _) => {
                let size = export_table(exports, task, access, snapshot, table, &mut spoil).await?;
                Outcome::Complete { size_bytes: size }
            }
        };
        results.push(TableResult { table, outcome });
        let done = u32::try_from((index + 1) * 90 / found.len()).unwrap_or(90);
        let mut state = exports.state();
        let Some(current) = state.tasks.get_mut(&task.id) else { break };
        if current.status != Status::InProgress {
            // Canceled. What was written stays, as RDS leaves it.
            return Ok(());
        }
        current.percent = done;
        current.size_bytes += results.last().map_or(0, TableResult::size_bytes);
    }
    let size_bytes = results.iter().map(TableResult::size_bytes).sum();
    write_summaries(
        &exports.store,
        &Task { size_bytes, percent: 100, status: Status::Complete, ..task.clone() },
        &results,
    )
}

/// Exports a table; the bytes that were written.
async fn export_table(
    exports: &SnapshotExports,
    task: &Task,
    access: &DatabaseAccess,
    snapshot: &SnapshotView,
    table: &Table,
    spoil: &mut Option<&ExportTaskFate>,
) -> Result<u64> {
    let rows = rows(access, snapshot.engine, table).await?;
    let folder = table.folder();
    let mut size_bytes = 0;
    for (index, part) in rows.chunks(PART_ROWS).enumerate() {
        let mut bytes = parquet::file(&table.columns, part)?;
        let key = task.key(&format!("{folder}/1/part-{index:05}-{}.gz.parquet", uuid::Uuid::new_v4()));
        size_bytes += bytes.len() as u64;
        match spoil.take_if(|fate| matches!(fate, ExportTaskFate::LosesObject | ExportTaskFate::TruncatesObject)) {
            Some(ExportTaskFate::LosesObject) => continue,
            Some(ExportTaskFate::TruncatesObject) => bytes.truncate(bytes.len() / 2),
            _ => {}
        }
        exports.store.write(&task.bucket, &key, &bytes)?;
    }
    exports.store.write(&task.bucket, &task.key(&format!("{folder}/1/_success")), b"")?;
    Ok(size_bytes)
}
