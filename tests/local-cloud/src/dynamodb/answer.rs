//! The DynamoDB operations.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::service::Dynamodb;
use super::{backup, continuous, export, table};
use crate::wire::{Answer, Call, header_text, json_answer};

/// The operation and the table, backup or export that a request names.
pub(crate) fn identify(parts: &Parts, body: &Bytes) -> (String, String) {
    let target = header_text(&parts.headers, "x-amz-target").unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let names = ["TargetTableName", "TableName", "ResourceArn", "ExportArn", "TableArn", "BackupArn"];
    let resource = names.iter().find_map(|name| body.get(name)?.as_str());
    (operation.to_owned(), resource.unwrap_or_default().to_owned())
}

pub(crate) async fn answer(dynamodb: &Arc<Dynamodb>, call: &Call) -> Answer {
    let body = call.json()?;
    let value = match call.operation.as_str() {
        "DescribeTable" => table::describe(dynamodb, &body).await?,
        "DeleteTable" => table::delete(dynamodb, &body).await?,
        "RestoreTableFromBackup" => table::restore_from_backup(dynamodb, &body).await?,
        "DescribeBackup" => backup::describe(dynamodb, &body).await?,
        "DeleteBackup" => backup::delete(dynamodb, &body).await?,
        "ListBackups" => backup::list(dynamodb, &body).await?,
        "UpdateContinuousBackups" => continuous::update(dynamodb, &body).await?,
        "DescribeContinuousBackups" => continuous::describe(dynamodb, &body).await?,
        "ExportTableToPointInTime" => export::start(dynamodb, &body).await?,
        "DescribeExport" => export::describe(dynamodb, &body)?,
        "ListExports" => export::list(dynamodb, &body),
        operation => {
            table::check_usable(dynamodb, operation, &body)?;
            return dynamodb.context.moto.answer(call).await;
        }
    };
    Ok(json_answer(200, &value))
}
