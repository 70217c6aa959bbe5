//! DynamoDB: backups, restores, point-in-time recovery and exports. Tables and their items are moto's; what moto lacks,
//! or does otherwise than AWS, is played here: tables that are CREATING or DELETING for a while, recovery points of AWS
//! Backup, and exports with the objects that AWS writes.

mod backup;
mod continuous;
mod export;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use self::backup::Kept;
pub(crate) use self::backup::{Form, add as add_recovery_point, metadata as restore_metadata, restore_job};
use self::export::Export;
use self::table::Known;
pub(crate) use self::table::views;
use crate::gateway::{Shared, forward};
use crate::recovery_point::TableExportFate;
use crate::wire::{Answer, ApiError, Call, header_text, json_answer};

/// The DynamoDB of one region, as far as moto does not play it.
#[derive(Debug, Default)]
pub(crate) struct Dynamodb {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Tables that were restored, or are being deleted.
    tables: BTreeMap<String, Known>,
    /// The backups behind recovery points, by the recovery point's ARN.
    backups: BTreeMap<String, Kept>,
    /// moto's backups that nobody may see: behind recovery points of a vault's own form, or deleted.
    hidden: BTreeSet<String>,
    /// When the window of point-in-time recovery opens, by table.
    windows: BTreeMap<String, Instant>,
    exports: BTreeMap<String, Export>,
    /// ClientToken → what was asked for, and the export that was started.
    tokens: BTreeMap<String, (String, String)>,
    /// The fates of the exports to come.
    fates: VecDeque<TableExportFate>,
}

impl Dynamodb {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about the next export that is not decided about.
    pub(crate) fn push_fate(&self, fate: TableExportFate) {
        self.state().fates.push_back(fate);
    }
}

/// The operation and the table, backup or export that a request names.
pub(crate) fn identify(parts: &Parts, body: &Bytes) -> (String, String) {
    let target = header_text(&parts.headers, "x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let names = ["TargetTableName", "TableName", "ResourceArn", "ExportArn", "TableArn", "BackupArn"];
    let resource = names.iter().find_map(|name| body.get(name)?.as_str());
    (operation.to_owned(), resource.unwrap_or_default().to_owned())
}

pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let body = call.json()?;
    let value = match call.operation.as_str() {
        "DescribeTable" => table::describe(shared, &body).await?,
        "DeleteTable" => table::delete(shared, &body).await?,
        "RestoreTableFromBackup" => table::restore_from_backup(shared, &body).await?,
        "DescribeBackup" => backup::describe(shared, &body).await?,
        "DeleteBackup" => backup::delete(shared, &body).await?,
        "ListBackups" => backup::list(shared, &body).await?,
        "UpdateContinuousBackups" => continuous::update(shared, &body).await?,
        "DescribeContinuousBackups" => continuous::describe(shared, &body).await?,
        "ExportTableToPointInTime" => export::start(shared, &body).await?,
        "DescribeExport" => export::describe(shared, &body)?,
        "ListExports" => export::list(shared, &body),
        operation => {
            table::check_usable(shared, operation, &body)?;
            return forward(shared, call).await;
        }
    };
    Ok(json_answer(200, &value))
}

/// Asks moto; its error is what the caller of the operation gets.
async fn ask(shared: &Shared, operation: &str, input: &Value) -> Result<Value, ApiError> {
    let target = format!("DynamoDB_20120810.{operation}");
    let asked = shared.moto.ask_json(&shared.names, "local", "dynamodb", &target, input).await;
    let (status, answer) = asked.map_err(|error| ApiError::new(500, "InternalServerError", error.to_string()))?;
    if status.is_success() {
        return Ok(answer);
    }
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let code = text("__type").and_then(|kind| kind.rsplit('#').next()).unwrap_or("InternalServerError");
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    Err(ApiError::new(status.as_u16(), code, message))
}

fn required<'a>(body: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty()).ok_or_else(|| {
        let member = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
        let message =
            format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
        ApiError::new(400, "ValidationException", message)
    })
}

/// The name of a table that is named by its name or its ARN.
fn table_name(name_or_arn: &str) -> &str {
    match name_or_arn.split_once(":table/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => name_or_arn,
    }
}

/// Seconds of the epoch, as the JSON protocol tells times.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this era are exact in a double")]
fn epoch_seconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_by_name_or_arn() {
        for text in [
            "orders",
            "arn:aws:dynamodb:us-east-1:1:table/orders",
            "arn:aws:dynamodb:us-east-1:1:table/orders/export/0-a",
        ] {
            assert_eq!(table_name(text), "orders");
        }
    }
}
