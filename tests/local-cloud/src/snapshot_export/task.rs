//! An export task, and how RDS shows it.

use crate::wire::Xml;

/// An export task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) source_arn: String,
    pub(super) snapshot_time: String,
    pub(super) export_only: Vec<String>,
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    pub(super) role_arn: String,
    pub(super) key_id: String,
    pub(super) status: Status,
    pub(super) started: jiff::Timestamp,
    pub(super) ended: Option<jiff::Timestamp>,
    pub(super) percent: u32,
    pub(super) size_bytes: u64,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Starting,
    InProgress,
    Complete,
    Failed { cause: String },
    Canceling,
    Canceled,
}

impl Status {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::InProgress => "IN_PROGRESS",
            Self::Complete => "COMPLETE",
            Self::Failed { .. } => "FAILED",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
        }
    }

    pub(super) fn is_running(&self) -> bool {
        match self {
            Self::Starting | Self::InProgress | Self::Canceling => true,
            Self::Complete | Self::Failed { .. } | Self::Canceled => false,
        }
    }
}

impl Task {
    /// Its size as RDS tells it.
    pub(super) fn size_gib(&self) -> u64 {
        self.size_bytes >> 30
    }

    /// The fields of `ExportTask`.
    pub(super) fn write(&self, out: &mut Xml) {
        let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        out.text("ExportTaskIdentifier", &self.id)
            .text("SourceArn", &self.source_arn)
            .text("SourceType", "SNAPSHOT")
            .text("SnapshotTime", &self.snapshot_time)
            .text("TaskStartTime", time(self.started))
            .optional("TaskEndTime", self.ended.map(time))
            .text("S3Bucket", &self.bucket)
            .text("S3Prefix", self.prefix.as_deref().unwrap_or_default())
            .text("IamRoleArn", &self.role_arn)
            .text("KmsKeyId", &self.key_id)
            .text("Status", self.status.name())
            .text("PercentProgress", self.percent)
            .text("TotalExtractedDataInGB", self.size_gib());
        if let Status::Failed { cause } = &self.status {
            out.text("FailureCause", cause);
        }
        out.texts("ExportOnly", "member", &self.export_only);
    }

    /// The key of one of its objects.
    pub(super) fn key(&self, name: &str) -> String {
        match self.prefix.as_deref() {
            None | Some("") => format!("{}/{name}", self.id),
            Some(prefix) => format!("{prefix}/{}/{name}", self.id),
        }
    }
}
