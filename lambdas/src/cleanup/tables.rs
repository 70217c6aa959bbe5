//! The temporary table of an execution, found by its derived name, and what DynamoDB still writes of it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TableStatus;
use domain::failure::Error;
use domain::plan::Unit;
use domain::source::TableSource;

use super::turn::Turn;
use crate::resource::removal::Removal;
use crate::resource::{table, table_export};

/// Deletes the table. `wait_for_exports` when objects are about to be removed: an export cannot be cancelled, and
/// writes until it ends.
pub(super) async fn remove(
    dynamodb: &Client,
    unit: &Unit,
    source: &TableSource,
    wait_for_exports: bool,
    turn: &mut Turn,
) {
    if let Some(name) = source.temporary_table() {
        remove_table(dynamodb, name, turn).await;
    }
    if wait_for_exports {
        let remaining = &mut turn.remaining;
        let tell = |arn: &str| remaining.push(format!("export {arn} (cannot be cancelled, and writes until it ends)"));
        let result = table_export::each_running(dynamodb, unit, &source.exported_table_arn(), tell).await;
        turn.note(result);
    }
}

/// Deletes a table.
pub(super) async fn remove_table(dynamodb: &Client, name: &str, turn: &mut Turn) {
    let result = delete(dynamodb, name, turn).await;
    turn.note(result);
}

async fn delete(dynamodb: &Client, name: &str, turn: &mut Turn) -> Result<(), Error> {
    let Some(found) = table::find(dynamodb, name).await? else {
        return Ok(());
    };
    let status = found.table_status().map_or("unknown", TableStatus::as_str);
    if found.table_status() != Some(&TableStatus::Deleting) {
        match table::delete(dynamodb, name).await? {
            Removal::Begun => turn.removed.push(format!("table {name}")),
            Removal::Gone => return Ok(()),
            // The next turn sees what it is.
            Removal::Busy => {}
        }
    }
    turn.remaining.push(format!("table {name} ({status})"));
    Ok(())
}
