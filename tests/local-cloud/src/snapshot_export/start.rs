//! `StartExportTask`: what RDS refuses, and the start.

use std::sync::Arc;

use super::task::{Status, Task};
use super::{State, run};
use crate::gateway::Shared;
use crate::wire::{Answer, ApiError, Query, response};

/// Tasks that may run at a time in an account.
const LIMIT: usize = 5;

/// The longest identifier.
const LONGEST: usize = 60;

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

pub(super) fn start(shared: &Arc<Shared>, query: &Query, operation: &str) -> Answer {
    let id = query.required("ExportTaskIdentifier")?;
    let source_arn = query.required("SourceArn")?;
    let bucket = query.required("S3BucketName")?;
    let role_arn = query.required("IamRoleArn")?;
    let key_id = query.required("KmsKeyId")?;
    check_identifier(id)?;
    check_bucket(shared, bucket)?;
    let prefix = query.get("S3Prefix").map(str::to_owned);
    if prefix.as_deref().is_some_and(|prefix| prefix.contains(':')) {
        return Err(invalid("The S3 prefix may not contain a colon"));
    }
    if !role_arn.contains(":iam::") || !role_arn.contains(":role/") {
        return Err(ApiError::new(404, "IamRoleNotFound", format!("The role {role_arn} does not exist")));
    }
    if key_id.contains("alias/aws/") {
        // Nobody can grant the use of a key that AWS manages.
        return Err(ApiError::new(400, "KMSKeyNotAccessibleFault", format!("The key {key_id} cannot be used")));
    }
    let snapshot = shared.rds.snapshot(source_arn).ok_or_else(|| no_snapshot(source_arn))?;
    let task = Task {
        id: id.to_owned(),
        source_arn: source_arn.to_owned(),
        snapshot_time: snapshot.created.clone(),
        export_only: query.list("ExportOnly.member"),
        bucket: bucket.to_owned(),
        prefix,
        role_arn: role_arn.to_owned(),
        key_id: key_id.to_owned(),
        status: Status::Starting,
        started: jiff::Timestamp::now(),
        ended: None,
        percent: 0,
        size_bytes: 0,
    };
    check_export_only(&task.export_only)?;
    let fate = {
        let mut state = shared.snapshot_exports.state();
        check_room(&state, &task)?;
        state.tasks.insert(task.id.clone(), task.clone());
        state.fates.pop_front().unwrap_or_default()
    };
    shared.rds.spawn(run::run(Arc::clone(shared), task.clone(), snapshot, fate));
    Ok(response::rds(operation, |out| task.write(out)))
}

fn check_identifier(id: &str) -> Result<(), ApiError> {
    let letters = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let begins = id.starts_with(|c: char| c.is_ascii_alphabetic());
    if id.len() <= LONGEST && letters && begins && !id.ends_with('-') && !id.contains("--") {
        return Ok(());
    }
    Err(invalid(format!(
        "The parameter ExportTaskIdentifier is not a valid identifier: {id}. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; must not end with a hyphen or contain two consecutive hyphens; and have at most {LONGEST} characters."
    )))
}

fn check_bucket(shared: &Shared, bucket: &str) -> Result<(), ApiError> {
    if shared.s3.store.owner(bucket).is_some_and(|owner| owner == shared.names.account_id) {
        return Ok(());
    }
    let message =
        format!("The specified Amazon S3 bucket {bucket} can't be found or RDS isn't authorized to access it");
    Err(ApiError::new(400, "InvalidS3BucketFault", message))
}

fn check_export_only(names: &[String]) -> Result<(), ApiError> {
    let plain = |name: &String| {
        let count = name.split('.').count();
        count <= 3
            && name
                .split('.')
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "$_".contains(c)))
    };
    match names.iter().find(|name| !plain(name)) {
        None => Ok(()),
        Some(name) => Err(ApiError::new(400, "InvalidExportOnly", format!("{name} cannot be exported by itself"))),
    }
}

fn no_snapshot(arn: &str) -> ApiError {
    if arn.contains(":cluster-snapshot:") {
        ApiError::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot not found: {arn}"))
    } else if arn.contains(":snapshot:") {
        ApiError::new(404, "DBSnapshotNotFound", format!("DBSnapshot not found: {arn}"))
    } else if arn.contains(":cluster:") {
        ApiError::new(404, "DBClusterNotFoundFault", format!("DBCluster not found: {arn}"))
    } else {
        invalid(format!("Invalid ARN: {arn}"))
    }
}

fn check_room(state: &State, task: &Task) -> Result<(), ApiError> {
    if state.tasks.contains_key(&task.id) {
        let message = format!("The export task with the ID {} already exists.", task.id);
        return Err(ApiError::new(400, "ExportTaskAlreadyExists", message));
    }
    let running = || state.tasks.values().filter(|other| other.status.is_running());
    if let Some(other) = running().find(|other| other.source_arn == task.source_arn) {
        let message = format!("The snapshot is already exported by the export task {}", other.id);
        return Err(ApiError::new(400, "InvalidExportSourceState", message));
    }
    if running().count() >= LIMIT {
        // Not in the service's model, but what it answers.
        let message = format!("You have reached the limit of {LIMIT} concurrent export tasks");
        return Err(ApiError::new(400, "ExportTaskLimitReachedFault", message));
    }
    Ok(())
}
