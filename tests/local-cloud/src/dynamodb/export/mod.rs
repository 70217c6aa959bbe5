//! Exports of tables to S3: started with a ClientToken, under way for a while, and then COMPLETED or FAILED.

mod ion;
mod layout;

use std::sync::Arc;

use serde_json::{Value, json};

use self::layout::Layout;
use super::continuous;
use super::description::{Export, Format, Status};
use super::request::{epoch_seconds, required, table_name};
use super::service::{Dynamodb, Now, ask};
use crate::recovery_point::TableExportFate;
use crate::wire::ApiError;

impl Dynamodb {
    /// Exports that have not ended, by ARN.
    pub(crate) fn unfinished_exports(&self) -> Vec<String> {
        let state = self.state();
        let running = state.exports.values().filter(|export| export.status == Status::InProgress);
        running.map(|export| export.arn.clone()).collect()
    }
}

pub(super) async fn start(dynamodb: &Arc<Dynamodb>, body: &Value) -> Result<Value, ApiError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let table_arn = required(body, "TableArn")?.to_owned();
    let bucket = required(body, "S3Bucket")?.to_owned();
    let identity = identity(body);
    let client_token = text("ClientToken").unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    {
        let state = dynamodb.state();
        match state.tokens.get(&client_token) {
            Some((same, arn)) if *same == identity => {
                let export = state.exports.get(arn).map(Export::view);
                return Ok(json!({"ExportDescription": export}));
            }
            Some(_) => {
                let message = "An export with the same client token and other parameters was requested before";
                return Err(ApiError::new(400, "ExportConflictException", message));
            }
            None => {}
        }
    }
    let table = table_name(&table_arn).to_owned();
    let missing = || ApiError::new(400, "TableNotFoundException", format!("Table not found: {table}"));
    if dynamodb.now(&table) != Now::Active {
        return Err(missing());
    }
    let described = ask(dynamodb, "DescribeTable", &json!({"TableName": table})).await.map_err(|_| missing())?;
    let now = jiff::Timestamp::now();
    let earliest = continuous::earliest(dynamodb, &table).await?;
    let export_time = body.get("ExportTime").and_then(Value::as_f64).unwrap_or_else(|| epoch_seconds(now));
    if export_time < earliest || export_time > epoch_seconds(now) {
        let message = "The specified ExportTime is outside of the point in time recovery window";
        return Err(ApiError::new(400, "InvalidExportTimeException", message));
    }
    let invalid = |message: String| ApiError::new(400, "ValidationException", message);
    if text("ExportType").is_some_and(|kind| kind != "FULL_EXPORT") {
        return Err(invalid("Only full exports are played".to_owned()));
    }
    let format = match text("ExportFormat").as_deref() {
        None | Some("DYNAMODB_JSON") => Format::Json,
        Some("ION") => Format::Ion,
        Some(other) => {
            return Err(invalid(format!("Value '{other}' at 'exportFormat' is not one of [DYNAMODB_JSON, ION]")));
        }
    };
    let items = items(dynamodb, &table).await?;
    let digits = uuid::Uuid::new_v4().simple().to_string();
    let id = format!("{:014}-{}", now.as_millisecond(), &digits[..8]);
    let arn = format!("{table_arn}/export/{id}");
    let described_text = |name: &str| described["Table"][name].as_str().unwrap_or_default().to_owned();
    let export = Export {
        arn: arn.clone(),
        id,
        table_id: described_text("TableId"),
        table_arn,
        status: Status::InProgress,
        started: now,
        ended: None,
        time_of_items: export_time,
        client_token: client_token.clone(),
        bucket,
        bucket_owner: text("S3BucketOwner"),
        prefix: text("S3Prefix"),
        sse_algorithm: text("S3SseAlgorithm").unwrap_or_else(|| "AES256".to_owned()),
        sse_key: text("S3SseKmsKeyId"),
        format,
        counts: None,
    };
    let view = export.view();
    let fate = {
        let mut state = dynamodb.state();
        // Of two requests that come at once, the second finds the first's.
        if let Some((same, arn)) = state.tokens.get(&client_token)
            && *same == identity
        {
            return Ok(json!({"ExportDescription": state.exports.get(arn).map(Export::view)}));
        }
        state.tokens.insert(client_token, (identity, arn.clone()));
        state.exports.insert(arn, export.clone());
        state.fates.pop_front().unwrap_or_default()
    };
    tokio::spawn(run(Arc::clone(dynamodb), export, items, fate));
    Ok(json!({"ExportDescription": view}))
}

/// What two requests for the same export have in common.
fn identity(body: &Value) -> String {
    let mut kept = body.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.remove("ClientToken");
    }
    kept.to_string()
}

/// All items of a table, as they are now.
async fn items(dynamodb: &Dynamodb, table: &str) -> Result<Vec<Value>, ApiError> {
    let mut input = json!({"TableName": table, "ConsistentRead": true});
    let mut items = Vec::new();
    loop {
        let mut page = ask(dynamodb, "Scan", &input).await?;
        if let Some(found) = page["Items"].as_array_mut() {
            items.append(found);
        }
        match page.get("LastEvaluatedKey").filter(|key| !key.is_null()) {
            Some(key) => input["ExclusiveStartKey"] = key.clone(),
            None => return Ok(items),
        }
    }
}

async fn run(dynamodb: Arc<Dynamodb>, mut export: Export, items: Vec<Value>, fate: TableExportFate) {
    let began = dynamodb.store.write(&export.bucket, &export.key("_started"), b"").map(drop);
    tokio::time::sleep(dynamodb.context.options.table_export).await;
    let failure = match &fate {
        TableExportFate::Stuck => return,
        TableExportFate::Failed { code, message } => Some((code.clone(), message.clone())),
        TableExportFate::Completed
        | TableExportFate::LosesDataFile
        | TableExportFate::CorruptsDataFile
        | TableExportFate::LosesItem
        | TableExportFate::MiscountsItems => refusal(&dynamodb, &export),
    };
    export.ended = Some(jiff::Timestamp::now());
    export.status = match (failure, began) {
        (Some((code, message)), _) => Status::Failed { code, message },
        (None, Err(error)) => Status::Failed { code: "S3InternalError".to_owned(), message: error.to_string() },
        (None, Ok(())) => match Layout::new(&export, &items, &fate).and_then(|layout| layout.write(&dynamodb.store)) {
            Ok(counts) => {
                export.counts = Some(counts);
                Status::Completed
            }
            Err(error) => Status::Failed { code: "UNKNOWN".to_owned(), message: error.to_string() },
        },
    };
    dynamodb.state().exports.insert(export.arn.clone(), export);
}

/// Why the bucket cannot be written to.
fn refusal(dynamodb: &Dynamodb, export: &Export) -> Option<(String, String)> {
    let refused = |code: &str, message: &str| Some((code.to_owned(), message.to_owned()));
    let owner = dynamodb.store.owner(&export.bucket);
    let expected = export.bucket_owner.as_ref().unwrap_or(&dynamodb.context.names.account_id);
    match owner {
        None => refused("S3NoSuchBucket", "The specified bucket does not exist"),
        Some(owner) if owner != *expected => refused("S3AccessDenied", "Access Denied"),
        Some(_) => None,
    }
}

pub(super) fn describe(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let arn = required(body, "ExportArn")?;
    let state = dynamodb.state();
    let export = state.exports.get(arn);
    let missing = || ApiError::new(400, "ExportNotFoundException", format!("Export not found: {arn}"));
    Ok(json!({"ExportDescription": export.ok_or_else(missing)?.view()}))
}

pub(super) fn list(dynamodb: &Dynamodb, body: &Value) -> Value {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<usize>().ok());
    let start = body.get("NextToken").and_then(number).unwrap_or(0);
    let most = body.get("MaxResults").and_then(Value::as_u64).unwrap_or(25);
    let most = usize::try_from(most).unwrap_or(25);
    let of = body.get("TableArn").and_then(Value::as_str);
    let state = dynamodb.state();
    let all: Vec<&Export> =
        state.exports.values().filter(|export| of.is_none_or(|table| export.table_arn == table)).collect();
    let view = |export: &&Export| json!({"ExportArn": export.arn, "ExportStatus": export.status.name(), "ExportType": "FULL_EXPORT"});
    let page: Vec<Value> = all.iter().skip(start).take(most).map(view).collect();
    let mut answer = json!({"ExportSummaries": page});
    if all.len() > start + most {
        answer["NextToken"] = json!((start + most).to_string());
    }
    answer
}
