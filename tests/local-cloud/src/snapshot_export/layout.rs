//! What a task writes beside the data: what it was, and what became of every table.

use serde_json::{Value, json};

use super::table::Table;
use super::task::Task;
use crate::error::Result;
use crate::s3::Store;

/// What became of a table.
#[derive(Debug)]
pub(super) enum Outcome {
    Complete { size_bytes: u64 },
    Skipped(String),
    Failed(String),
}

/// A table, and what became of it.
#[derive(Debug)]
pub(super) struct TableResult<'a> {
    pub(super) table: &'a Table,
    pub(super) outcome: Outcome,
}

/// Tables that one file tells of. RDS's number is larger; with a small one readers meet several files.
const TABLES_OF_A_FILE: usize = 5;

impl TableResult<'_> {
    pub(super) fn size_bytes(&self) -> u64 {
        match self.outcome {
            Outcome::Complete { size_bytes } => size_bytes,
            Outcome::Skipped(_) | Outcome::Failed(_) => 0,
        }
    }

    fn view(&self, task: &Task) -> Value {
        let mappings: Vec<Value> = self
            .table
            .columns
            .iter()
            .map(|column| {
                json!({"columnName": column.name, "originalType": column.original_type,
                    "expectedExportedType": column.kind.name(), "originalCharMaxLength": 0,
                    "originalNumPrecision": 0, "originalDateTimePrecision": 0})
            })
            .collect();
        let (status, warning) = match &self.outcome {
            Outcome::Complete { .. } => ("COMPLETE", None),
            Outcome::Skipped(reason) => ("SKIPPED", Some(reason)),
            Outcome::Failed(reason) => ("FAILED", Some(reason)),
        };
        let completed = u32::from(warning.is_none());
        #[expect(clippy::cast_precision_loss, reason = "a size for people")]
        let size_gib = self.size_bytes() as f64 / f64::from(1 << 30);
        let mut view = json!({
            "tableStatistics": {
                "extractionStartTime": words(task.started), "extractionEndTime": words(jiff::Timestamp::now()),
                "partitioningInfo": {"numberOfPartitions": 1, "numberOfCompletedPartitions": completed}},
            "schemaMetadata": {"originalTypeMappings": mappings},
            "status": status, "sizeGB": size_gib, "target": self.table.target(),
        });
        if let Some(warning) = warning {
            view["warningMessage"] = json!(warning);
        }
        view
    }
}

/// A time as these files tell it.
fn words(time: jiff::Timestamp) -> String {
    time.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()
}

pub(super) fn write_summaries(store: &Store, task: &Task, results: &[TableResult<'_>]) -> Result<()> {
    for (index, page) in results.chunks(TABLES_OF_A_FILE).enumerate() {
        let first = index * TABLES_OF_A_FILE + 1;
        let name = format!("export_tables_info_{}_from_{first}_to_{}.json", task.id, first + page.len() - 1);
        let views: Vec<Value> = page.iter().map(|result| result.view(task)).collect();
        let text = json!({"perTableStatus": views}).to_string();
        store.write(&task.bucket, &task.key(&name), text.as_bytes())?;
    }
    let info = json!({
        "exportTaskIdentifier": task.id, "sourceArn": task.source_arn, "exportOnly": task.export_only,
        "snapshotTime": task.snapshot_time, "taskStartTime": words(task.started),
        "taskEndTime": words(jiff::Timestamp::now()), "s3Bucket": task.bucket, "s3Prefix": task.prefix,
        "exportedFilesPath": task.key("").trim_end_matches('/'), "iamRoleArn": task.role_arn,
        "kmsKeyId": task.key_id, "status": task.status.name(), "percentProgress": task.percent,
        "totalExportedDataInGB": task.size_gib(),
    });
    let key = task.key(&format!("export_info_{}.json", task.id));
    store.write(&task.bucket, &key, info.to_string().as_bytes()).map(drop)
}
