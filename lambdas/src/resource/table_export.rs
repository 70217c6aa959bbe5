//! Exports of tables, which DynamoDB itself writes. Once begun they cannot be cancelled.

use aws::CallError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ExportDescription, ExportFormat, ExportStatus};
use aws_smithy_types::DateTime;
use domain::failure::{Error, Kind};
use domain::plan::{Plan, Unit};
use domain::source::TableSource;
use jiff::Timestamp;

/// Asks for the export of a unit's table, as it is or as it was, once: the client token finds it again. Its ARN.
pub(crate) async fn start(
    dynamodb: &Client,
    plan: &Plan,
    unit: &Unit,
    source: &TableSource,
    at: Option<Timestamp>,
) -> Result<String, CallError> {
    let output = dynamodb
        .export_table_to_point_in_time()
        .table_arn(source.exported_table_arn())
        .s3_bucket(plan.bucket.as_str())
        .s3_bucket_owner(plan.bucket_owner.as_str())
        .s3_prefix(prefix(unit))
        .export_format(ExportFormat::from(source.format.name()))
        .client_token(plan.client_token(unit, "export"))
        .set_export_time(at.map(|at| DateTime::from_secs(at.as_second())))
        .send()
        .await
        .map_err(|error| CallError::of(&error))?;
    let arn = output.export_description.and_then(|export| export.export_arn);
    arn.ok_or_else(|| CallError::malformed("DynamoDB gave the export no ARN".to_owned()))
}

/// Whether the table has no such point in time, or none yet.
pub(crate) fn is_out_of_reach(failure: &CallError) -> bool {
    failure.is(&["PointInTimeRecoveryUnavailableException", "InvalidExportTimeException"])
}

/// The export of that ARN.
pub(crate) async fn describe(dynamodb: &Client, arn: &str) -> Result<ExportDescription, Error> {
    described(dynamodb, arn)
        .await?
        .ok_or_else(|| Error::new(Kind::Internal, format!("DynamoDB describes {arn} by nothing")))
}

async fn described(dynamodb: &Client, arn: &str) -> Result<Option<ExportDescription>, Error> {
    let result = dynamodb.describe_export().export_arn(arn).send().await;
    let output = result.map_err(|error| CallError::of(&error).during(format!("describe the export {arn}")))?;
    Ok(output.export_description)
}

/// Tells the ARNs of the exports of a table that are under way and write for `unit`. Others may export a live table,
/// too.
pub(crate) async fn each_running(
    dynamodb: &Client,
    unit: &Unit,
    table_arn: &str,
    mut tell: impl FnMut(&str),
) -> Result<(), Error> {
    let mut exports = dynamodb.list_exports().table_arn(table_arn).into_paginator().send();
    while let Some(page) = exports.next().await {
        let page = page.map_err(|error| CallError::of(&error).during(format!("list the exports of {table_arn}")))?;
        for export in page.export_summaries() {
            let (Some(arn), Some(ExportStatus::InProgress)) = (export.export_arn(), export.export_status()) else {
                continue;
            };
            let export = described(dynamodb, arn).await?;
            if export.as_ref().and_then(ExportDescription::s3_prefix) == Some(prefix(unit)) {
                tell(arn);
            }
        }
    }
    Ok(())
}

/// DynamoDB puts a slash behind it.
fn prefix(unit: &Unit) -> &str {
    unit.prefix.as_str().trim_end_matches('/')
}
