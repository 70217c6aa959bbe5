//! The tags that mark what an export created. They are given in the call that creates a resource, never later.

/// Tag key whose value is the [`ExportId`](crate::id::ExportId).
pub const EXPORT_ID: &str = "backup-export:export-id";
/// Tag key whose value is the [`ExecutionArn`](crate::id::ExecutionArn): two executions never clean up each other's resources.
pub const EXECUTION: &str = "backup-export:execution";
/// Tag key whose value names the volume within the export.
pub const VOLUME_KEY: &str = "backup-export:volume-key";
