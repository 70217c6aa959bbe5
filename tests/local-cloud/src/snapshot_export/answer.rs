//! The operations of export tasks.

use std::sync::Arc;

use super::service::SnapshotExports;
use super::start;
use super::task::{Status, Task};
use crate::wire::{Answer, ApiError, Call, Query, response};

/// Whether an operation of RDS is one of export tasks.
pub(crate) fn plays(operation: &str) -> bool {
    ["StartExportTask", "DescribeExportTasks", "CancelExportTask"].contains(&operation)
}

/// Answers `StartExportTask`, `DescribeExportTasks` and `CancelExportTask`.
pub(crate) fn answer(exports: &Arc<SnapshotExports>, call: &Call) -> Answer {
    let query = Query::new(&call.body);
    let operation = call.operation.as_str();
    match operation {
        "StartExportTask" => start::start(exports, &query, operation),
        "DescribeExportTasks" => describe(exports, &query, operation),
        "CancelExportTask" => cancel(exports, &query, operation),
        _ => Err(ApiError::new(400, "InvalidAction", format!("{operation} is not an operation of export tasks"))),
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::new(404, "ExportTaskNotFound", format!("Export task {id} was not found"))
}

/// The page that RDS gives when nothing else is asked for.
const PAGE: usize = 100;

fn describe(exports: &SnapshotExports, query: &Query, operation: &str) -> Answer {
    let state = exports.state();
    let id = query.get("ExportTaskIdentifier");
    if let Some(id) = id.filter(|id| !state.tasks.contains_key(*id)) {
        return Err(missing(id));
    }
    let filters: Vec<(String, Vec<String>)> = (1..)
        .map_while(|n| {
            let name = query.get(&format!("Filters.Filter.{n}.Name"))?;
            Some((name.to_owned(), query.list(&format!("Filters.Filter.{n}.Values.Value"))))
        })
        .collect();
    let passes = |task: &Task| {
        filters.iter().all(|(name, values)| {
            let has = match name.as_str() {
                "export-task-identifier" => task.id.clone(),
                "s3-bucket" => task.bucket.clone(),
                "source-arn" => task.source_arn.clone(),
                "status" => task.status.name().to_lowercase(),
                _ => return false,
            };
            values.contains(&has)
        })
    };
    let chosen: Vec<&Task> = state
        .tasks
        .values()
        .filter(|task| id.is_none_or(|id| id == task.id))
        .filter(|task| query.get("SourceArn").is_none_or(|arn| arn == task.source_arn))
        .filter(|_| query.get("SourceType").is_none_or(|kind| kind == "SNAPSHOT"))
        .filter(|task| passes(task))
        .collect();
    let number = |name: &str| query.number(name).and_then(|number| usize::try_from(number).ok());
    let (start, most) = (number("Marker").unwrap_or(0), number("MaxRecords").unwrap_or(PAGE));
    let next = (chosen.len() > start + most).then(|| (start + most).to_string());
    Ok(response::rds(operation, |out| {
        out.optional("Marker", next);
        let page = chosen.into_iter().skip(start).take(most);
        out.list("ExportTasks", "ExportTask", page, |out, task| task.write(out));
    }))
}

fn cancel(exports: &Arc<SnapshotExports>, query: &Query, operation: &str) -> Answer {
    let id = query.required("ExportTaskIdentifier")?.to_owned();
    let task = {
        let mut state = exports.state();
        let task = state.tasks.get_mut(&id).ok_or_else(|| missing(&id))?;
        match task.status {
            Status::Starting | Status::InProgress => task.status = Status::Canceling,
            Status::Canceling | Status::Canceled | Status::Complete | Status::Failed { .. } => {
                let message = format!("Cannot cancel the export task {id}: it is {}", task.status.name());
                return Err(ApiError::new(400, "InvalidExportTaskStateFault", message));
            }
        }
        task.clone()
    };
    let exports = Arc::clone(exports);
    tokio::spawn(async move {
        tokio::time::sleep(exports.context.options.export_task / 2).await;
        exports.advance(&id, &Status::Canceling, Status::Canceled);
    });
    Ok(response::rds(operation, |out| task.write(out)))
}
