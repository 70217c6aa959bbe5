//! Export tasks of RDS: the tables of a snapshot, read from a scratch server of it, become Parquet in S3.

mod layout;
mod parquet;
mod run;
mod start;
mod table;
mod task;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::task::{Status, Task};
use crate::gateway::Shared;
use crate::recovery_point::ExportTaskFate;
use crate::wire::{Answer, ApiError, Call, Query, response};

/// The export tasks of one region.
#[derive(Debug, Default)]
pub(crate) struct SnapshotExports {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By identifier. None is ever removed, so that no identifier is used twice.
    tasks: BTreeMap<String, Task>,
    /// The fates of the tasks to come.
    fates: VecDeque<ExportTaskFate>,
}

impl SnapshotExports {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about the next task that is not decided about.
    pub(crate) fn push_fate(&self, fate: ExportTaskFate) {
        self.state().fates.push_back(fate);
    }

    /// Tasks that have not ended.
    pub(crate) fn running(&self) -> Vec<String> {
        let state = self.state();
        state.tasks.values().filter(|task| task.status.is_running()).map(|task| task.id.clone()).collect()
    }

    /// Moves a task on; `false` when it is not where that is possible.
    fn advance(&self, id: &str, from: &Status, to: Status) -> bool {
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(id).filter(|task| task.status == *from) else { return false };
        if !to.is_running() {
            task.ended = Some(jiff::Timestamp::now());
        }
        if to == Status::Complete {
            task.percent = 100;
        }
        task.status = to;
        true
    }
}

/// Answers `StartExportTask`, `DescribeExportTasks` and `CancelExportTask`.
pub(crate) fn answer(shared: &Arc<Shared>, call: &Call, operation: &str) -> Answer {
    let query = Query::new(&call.body);
    match operation {
        "StartExportTask" => start::start(shared, &query, operation),
        "DescribeExportTasks" => describe(shared, &query, operation),
        "CancelExportTask" => cancel(shared, &query, operation),
        _ => Err(ApiError::new(400, "InvalidAction", format!("{operation} is not an operation of export tasks"))),
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::new(404, "ExportTaskNotFound", format!("Export task {id} was not found"))
}

/// The page that RDS gives when nothing else is asked for.
const PAGE: usize = 100;

fn describe(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.snapshot_exports.state();
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

fn cancel(shared: &Arc<Shared>, query: &Query, operation: &str) -> Answer {
    let id = query.required("ExportTaskIdentifier")?.to_owned();
    let task = {
        let mut state = shared.snapshot_exports.state();
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
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::time::sleep(shared.options.export_task / 2).await;
        shared.snapshot_exports.advance(&id, &Status::Canceling, Status::Canceled);
    });
    Ok(response::rds(operation, |out| task.write(out)))
}
