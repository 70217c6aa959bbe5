//! Tables that come to be by a restore, and tables that go: what moto does at once takes a while here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::request::{required, table_name};
use super::service::{Dynamodb, Known, Now, Phase, ask};
use crate::observe::TableView;
use crate::recovery_point::TableFate;
use crate::wire::ApiError;

impl Dynamodb {
    pub(super) fn now(&self, table: &str) -> Now {
        self.state().tables.get(table).map_or(Now::Active, |known| known.now())
    }

    /// Ends the creation of a table; `false` when none is being created.
    pub(crate) fn release(&self, table: &str) -> bool {
        let mut state = self.state();
        let known = state.tables.get_mut(table).filter(|known| known.now() == Now::Creating);
        known.map(|known| known.phase = Phase::Creating(Some(Instant::now()))).is_some()
    }

    /// Restored tables that are not gone.
    pub(crate) fn restored(&self) -> Vec<String> {
        let state = self.state();
        state.tables.iter().filter(|(_, known)| known.restored).map(|(name, _)| name.clone()).collect()
    }
}

fn no_table(table: &str) -> ApiError {
    ApiError::new(400, "ResourceNotFoundException", format!("Requested resource not found: Table: {table} not found"))
}

fn in_use(table: &str, status: &str) -> ApiError {
    let message = format!("Attempt to change a resource which is still in use: Table is being {status}: {table}");
    ApiError::new(400, "ResourceInUseException", message)
}

pub(super) fn no_backup(arn: &str) -> ApiError {
    ApiError::new(400, "BackupNotFoundException", format!("Backup not found: {arn}"))
}

/// Refuses what AWS refuses while a table is not ACTIVE.
pub(super) fn check_usable(dynamodb: &Dynamodb, operation: &str, body: &Value) -> Result<(), ApiError> {
    let named = ["TableName", "ResourceArn"].iter().find_map(|name| body.get(name)?.as_str());
    let Some(table) = named.map(table_name) else { return Ok(()) };
    let changes = ["UpdateTable", "TagResource", "UntagResource", "UpdateTimeToLive", "CreateTable", "CreateBackup"];
    match dynamodb.now(table) {
        Now::Active => Ok(()),
        Now::Creating | Now::Deleting if operation == "ListTagsOfResource" => Ok(()),
        Now::Creating if changes.contains(&operation) => Err(in_use(table, "created")),
        Now::Deleting if changes.contains(&operation) => Err(in_use(table, "deleted")),
        // Reads and writes of items.
        Now::Creating | Now::Deleting => Err(no_table(table)),
    }
}

/// Makes a description say what the table is here.
fn correct(description: &mut Value, now: Now) {
    let status = match now {
        Now::Active => return,
        Now::Creating => "CREATING",
        Now::Deleting => "DELETING",
    };
    description["TableStatus"] = json!(status);
    if now == Now::Creating {
        description["ItemCount"] = json!(0);
        description["TableSizeBytes"] = json!(0);
    }
    if let Some(summary) = description.get_mut("RestoreSummary") {
        summary["RestoreInProgress"] = json!(now == Now::Creating);
    }
}

pub(super) async fn describe(dynamodb: &Dynamodb, body: &Value) -> Result<Value, ApiError> {
    let table = table_name(required(body, "TableName")?);
    let mut answer = ask(dynamodb, "DescribeTable", &json!({"TableName": table})).await?;
    correct(&mut answer["Table"], dynamodb.now(table));
    Ok(answer)
}

/// Deletes a table: DELETING for a while, and then gone.
pub(super) async fn delete(dynamodb: &Arc<Dynamodb>, body: &Value) -> Result<Value, ApiError> {
    let table = table_name(required(body, "TableName")?).to_owned();
    match dynamodb.now(&table) {
        Now::Creating => return Err(in_use(&table, "created")),
        Now::Deleting => return Err(in_use(&table, "deleted")),
        Now::Active => {}
    }
    let input = json!({"TableName": table});
    let mut described = ask(dynamodb, "DescribeTable", &input).await?;
    if described["Table"]["DeletionProtectionEnabled"] == true {
        // moto refuses it.
        return ask(dynamodb, "DeleteTable", &input).await;
    }
    {
        let mut state = dynamodb.state();
        let restored = state.tables.get(&table).is_some_and(|known| known.restored);
        state.tables.insert(table.clone(), Known { restored, phase: Phase::Deleting });
        state.windows.remove(&table);
    }
    let mut description = described["Table"].take();
    correct(&mut description, Now::Deleting);
    let dynamodb = Arc::clone(dynamodb);
    tokio::spawn(async move {
        tokio::time::sleep(dynamodb.context.options.table_deletion).await;
        // It was there a moment ago, and nobody else deletes tables.
        ask(&dynamodb, "DeleteTable", &input).await.ok();
        dynamodb.state().tables.remove(&table);
    });
    Ok(json!({"TableDescription": description}))
}

pub(super) async fn restore_from_backup(dynamodb: &Arc<Dynamodb>, body: &Value) -> Result<Value, ApiError> {
    let arn = required(body, "BackupArn")?;
    required(body, "TargetTableName")?;
    let fate = {
        let state = dynamodb.state();
        if state.hidden.contains(arn) || !arn.contains("/backup/") {
            return Err(no_backup(arn));
        }
        state.backups.get(arn).map_or(TableFate::Active, |kept| kept.fate)
    };
    restore(dynamodb, body, fate).await
}

/// Makes a table of one of moto's backups.
pub(super) async fn restore(dynamodb: &Dynamodb, body: &Value, fate: TableFate) -> Result<Value, ApiError> {
    let table = required(body, "TargetTableName")?.to_owned();
    let end = match fate {
        TableFate::Active | TableFate::Failed => Some(Instant::now() + dynamodb.context.options.table_creation),
        TableFate::Stuck => None,
    };
    let mut answer = ask(dynamodb, "RestoreTableFromBackup", body).await?;
    let known = Known { restored: true, phase: Phase::Creating(end) };
    dynamodb.state().tables.insert(table, known);
    correct(&mut answer["TableDescription"], Now::Creating);
    Ok(answer)
}

/// All tables with their tags.
pub(crate) async fn views(dynamodb: &Dynamodb) -> Result<Vec<TableView>, ApiError> {
    let mut views = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut input = json!({});
        if !after.is_null() {
            input["ExclusiveStartTableName"] = after;
        }
        let page = ask(dynamodb, "ListTables", &input).await?;
        for name in page["TableNames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // A table may go between the list and the look.
            let Ok(described) = describe(dynamodb, &json!({"TableName": name})).await else { continue };
            let text = |field: &str| described["Table"][field].as_str().unwrap_or_default().to_owned();
            let arn = text("TableArn");
            views.push(TableView {
                name: name.to_owned(),
                status: text("TableStatus"),
                tags: tags(dynamodb, &arn).await.unwrap_or_default(),
                restored_from: described["Table"]["RestoreSummary"]["SourceBackupArn"].as_str().map(str::to_owned),
                arn,
            });
        }
        after = page["LastEvaluatedTableName"].clone();
        if after.is_null() {
            return Ok(views);
        }
    }
}

async fn tags(dynamodb: &Dynamodb, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    let mut input = json!({"ResourceArn": arn});
    loop {
        let page = ask(dynamodb, "ListTagsOfResource", &input).await?;
        for tag in page["Tags"].as_array().into_iter().flatten() {
            let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
            tags.insert(text("Key"), text("Value"));
        }
        let Some(token) = page["NextToken"].as_str() else { return Ok(tags) };
        input["NextToken"] = json!(token);
    }
}
