//! An export of a table, and how DynamoDB describes it.

use serde_json::{Value, json};

use super::request::epoch_seconds;

/// The format of the data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Ion,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "DYNAMODB_JSON",
            Self::Ion => "ION",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Json => "json.gz",
            Self::Ion => "ion.gz",
        }
    }
}

/// An export.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) table_arn: String,
    pub(crate) table_id: String,
    pub(crate) status: Status,
    pub(crate) started: jiff::Timestamp,
    pub(crate) ended: Option<jiff::Timestamp>,
    /// The time whose items it has, in seconds of the epoch.
    pub(crate) time_of_items: f64,
    pub(crate) client_token: String,
    pub(crate) bucket: String,
    pub(crate) bucket_owner: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) sse_algorithm: String,
    pub(crate) sse_key: Option<String>,
    pub(crate) format: Format,
    /// Items and bytes, once it is completed.
    pub(crate) counts: Option<(u64, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    InProgress,
    Completed,
    Failed { code: String, message: String },
}

impl Status {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed { .. } => "FAILED",
        }
    }
}

impl Export {
    /// The `ExportDescription`.
    pub(crate) fn view(&self) -> Value {
        let mut view = json!({
            "ExportArn": self.arn, "ExportStatus": self.status.name(), "StartTime": epoch_seconds(self.started),
            "TableArn": self.table_arn, "TableId": self.table_id, "ExportTime": self.time_of_items,
            "ClientToken": self.client_token, "S3Bucket": self.bucket, "S3SseAlgorithm": self.sse_algorithm,
            "ExportFormat": self.format.name(), "ExportType": "FULL_EXPORT",
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                view[name] = value;
            }
        };
        set("EndTime", self.ended.map(|time| json!(epoch_seconds(time))));
        set("S3BucketOwner", self.bucket_owner.clone().map(Value::from));
        set("S3Prefix", self.prefix.clone().map(Value::from));
        set("S3SseKmsKeyId", self.sse_key.clone().map(Value::from));
        match &self.status {
            Status::InProgress => {}
            Status::Completed => {
                set("ExportManifest", Some(json!(self.key("manifest-summary.json"))));
                set("ItemCount", self.counts.map(|(items, _)| json!(items)));
                set("BilledSizeBytes", self.counts.map(|(_, bytes)| json!(bytes)));
            }
            Status::Failed { code, message } => {
                set("FailureCode", Some(json!(code)));
                set("FailureMessage", Some(json!(message)));
            }
        }
        view
    }

    /// The key of one of its objects.
    pub(crate) fn key(&self, name: &str) -> String {
        let below = format!("AWSDynamoDB/{}/{name}", self.id);
        match self.prefix.as_deref() {
            None | Some("") => below,
            Some(prefix) => format!("{prefix}/{below}"),
        }
    }
}
