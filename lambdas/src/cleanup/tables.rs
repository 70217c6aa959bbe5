//! The temporary table of an execution, found by its derived name, and what DynamoDB still writes of it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ExportStatus, TableStatus};
use domain::plan::Unit;
use domain::source::TableSource;

use super::Turn;
use crate::aws::Failure;
use crate::error::Error;
use crate::restore::table::find;

/// Deletes the table. `wait_for_exports` when objects are about to be removed: an export cannot be cancelled, and writes until it ends.
pub(super) async fn remove(
    dynamodb: &Client,
    unit: &Unit,
    source: &TableSource,
    wait_for_exports: bool,
    turn: &mut Turn,
) {
    if let Some(name) = source.temporary_table() {
        delete(dynamodb, name, turn).await;
    }
    if wait_for_exports {
        let result = exports(dynamodb, unit, &source.exported_table_arn(), turn).await;
        turn.note(result);
    }
}

pub(super) async fn delete(dynamodb: &Client, name: &str, turn: &mut Turn) {
    let result = delete_table(dynamodb, name, turn).await;
    turn.note(result);
}

async fn delete_table(dynamodb: &Client, name: &str, turn: &mut Turn) -> Result<(), Error> {
    let Some(table) = find(dynamodb, name).await? else {
        return Ok(());
    };
    let status = table.table_status().map_or("unknown", TableStatus::as_str);
    if table.table_status() != Some(&TableStatus::Deleting) {
        let result = dynamodb.delete_table().table_name(name).send().await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(_) => turn.removed.push(format!("table {name}")),
            Err(failure) if failure.is(&["ResourceNotFoundException"]) => return Ok(()),
            // Being restored, which cannot be stopped: the next turn sees what it is.
            Err(failure) if failure.is(&["ResourceInUseException", "LimitExceededException"]) => {}
            Err(failure) => return Err(failure.during(format!("delete the table {name}"))),
        }
    }
    turn.remaining.push(format!("table {name} ({status})"));
    Ok(())
}

/// Others may export a live table, too: ours are those that write under our prefix.
async fn exports(dynamodb: &Client, unit: &Unit, table_arn: &str, turn: &mut Turn) -> Result<(), Error> {
    let mut exports = dynamodb.list_exports().table_arn(table_arn).into_paginator().send();
    while let Some(page) = exports.next().await {
        let page = page.map_err(|error| Failure::of(&error).during(format!("list the exports of {table_arn}")))?;
        for export in page.export_summaries() {
            let (Some(arn), Some(ExportStatus::InProgress)) = (export.export_arn(), export.export_status()) else {
                continue;
            };
            let result = dynamodb.describe_export().export_arn(arn).send().await;
            let output = result.map_err(|error| Failure::of(&error).during(format!("describe the export {arn}")))?;
            let prefix = output.export_description().and_then(|export| export.s3_prefix());
            if prefix == Some(unit.prefix.as_str().trim_end_matches('/')) {
                turn.remaining.push(format!("export {arn} (cannot be cancelled, and writes until it ends)"));
            }
        }
    }
    Ok(())
}
