//! Point-in-time recovery: refused while a table comes to be, and usable a little after it was enabled.

use std::time::Instant;

use serde_json::{Value, json};

use super::request::{epoch_seconds, required, table_name};
use super::service::{Dynamodb, Now, ask};
use crate::wire::ApiError;

fn no_table(table: &str) -> ApiError {
    ApiError::new(400, "TableNotFoundException", format!("Table not found: {table}"))
}

pub(super) async fn update(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let table = table_name(required(body, "TableName")?).to_owned();
    match dynamodb.now(&table) {
        Now::Active => {}
        Now::Creating => {
            let message = "Backups are being enabled for the table or index. Please retry later";
            return Err(ApiError::new(400, "ContinuousBackupsUnavailableException", message));
        }
        Now::Deleting => return Err(no_table(&table)),
    }
    let before = ask(dynamodb, "DescribeContinuousBackups", &json!({"TableName": table})).await?;
    let answer = ask(dynamodb, "UpdateContinuousBackups", body).await?;
    let enabled = |value: &Value| {
        value["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
            == "ENABLED"
    };
    {
        let mut state = dynamodb.state();
        if !enabled(&answer) {
            state.windows.remove(&table);
        } else if !enabled(&before) {
            state.windows.insert(table.clone(), Instant::now() + dynamodb.context.options.point_in_time_recovery);
        }
    }
    Ok(correct(dynamodb, &table, answer))
}

pub(super) async fn describe(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let table = table_name(required(body, "TableName")?);
    if dynamodb.now(table) == Now::Deleting {
        return Err(no_table(table));
    }
    let answer = ask(dynamodb, "DescribeContinuousBackups", &json!({"TableName": table})).await?;
    Ok(correct(dynamodb, table, answer))
}

/// Leaves the window out until it is open, and lets it end now.
fn correct(dynamodb: &Dynamodb, table: &str, mut answer: Value) -> Value {
    let open = dynamodb.state().windows.get(table).is_some_and(|start| *start <= Instant::now());
    let recovery = &mut answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    if open {
        recovery["LatestRestorableDateTime"] = json!(epoch_seconds(jiff::Timestamp::now()));
    } else if let Some(fields) = recovery.as_object_mut() {
        fields.remove("EarliestRestorableDateTime");
        fields.remove("LatestRestorableDateTime");
    }
    answer
}

/// The earliest time to which a table can be restored, in seconds of the epoch; an error when there is none.
pub(super) async fn earliest(dynamodb: &Dynamodb, table: &str) -> Result<f64, ApiError> {
    let answer = describe(dynamodb, &json!({"TableName": table})).await?;
    let recovery = &answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    recovery["EarliestRestorableDateTime"].as_f64().ok_or_else(|| {
        let message = format!("Point in time recovery is not enabled for table '{table}'");
        ApiError::new(400, "PointInTimeRecoveryUnavailableException", message)
    })
}
