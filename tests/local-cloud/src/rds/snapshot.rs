//! Snapshots: data directories that nobody writes to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::server::{DatabaseAccess, DatabaseServer};
use super::service::Rds;
use super::source::DatabaseSource;
use super::state::{Snapshot, State};
use crate::engine::DatabaseEngine;
use crate::error::{Error, Result};
use crate::recovery_point::RecoveryPointOptions;
use crate::wire::ApiError;

/// A snapshot as other parts of the cloud see it.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotView {
    pub(crate) arn: String,
    pub(crate) engine: DatabaseEngine,
    /// Holds `data`; nothing may write to it.
    pub(crate) directory: PathBuf,
    pub(crate) master_user: String,
    pub(crate) created: String,
}

/// What a recovery point needs to know of the snapshot that it is.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) arn: String,
    pub(crate) resource_arn: String,
    pub(crate) resource_type: String,
    pub(crate) size_bytes: u64,
}

/// The files of a server's directory that are its data.
const DATA: [&str; 2] = ["data", "superuser.cnf"];

/// Copies the data of one directory to another, which is created; blocks are rds where the filesystem can.
pub(super) fn copy_data(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::file("create", to))?;
    let mut command = std::process::Command::new("cp");
    command.args(["-a", "--reflink=auto"]);
    command.args(DATA.iter().map(|name| from.join(name)).filter(|path| path.exists())).arg(to);
    let failed = |message: String| Error::Program { program: format!("cp of {}", from.display()), message };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Makes a snapshot of AWS Backup's of what a server left.
pub(crate) fn add(rds: &Rds, source: &DatabaseSource, options: &RecoveryPointOptions, created: &str) -> Result<Added> {
    let job = uuid::Uuid::new_v4();
    let id = format!("awsbackup:job-{job}");
    let (kind, of, resource_type) = match (source.is_cluster, source.engine.is_aurora()) {
        (true, true) => ("cluster-snapshot", "cluster", "Aurora"),
        (true, false) => ("cluster-snapshot", "cluster", "RDS"),
        (false, _) => ("snapshot", "db", "RDS"),
    };
    let arn = rds.context.names.arn("rds", &format!("{kind}:{id}"));
    let directory = rds.context.directory.join("databases/snapshots").join(job.to_string());
    copy_data(&source.directory, &directory)?;
    let mut tags = options.tags.clone();
    let resource_arn =
        options.resource_arn.clone().unwrap_or_else(|| rds.context.names.arn("rds", &format!("{of}:{}", source.name)));
    tags.insert("aws:backup:source-resource".to_owned(), resource_arn.clone());
    let snapshot = Snapshot {
        id,
        kind: "awsbackup",
        is_cluster: source.is_cluster,
        engine: source.engine,
        engine_version: source.engine_version.clone().unwrap_or_else(|| source.engine.usual_version().to_owned()),
        directory,
        source: source.name.clone(),
        master_user: source.master_user.clone(),
        allocated_storage_gib: options.size_gib.unwrap_or(source.allocated_storage_gib),
        backup_retention_days: source.backup_retention_days,
        storage_type: if source.engine.is_aurora() { "aurora" } else { "gp3" }.to_owned(),
        created: created.to_owned(),
        tags,
        kms_key_arn: options.kms_key_arn.clone(),
        fate: options.databases,
        arn: arn.clone(),
    };
    let size_bytes = u64::from(snapshot.allocated_storage_gib) << 30;
    let mut state = rds.state();
    // Made with the first snapshot, under the lock: servers that start at the same time all find the same one.
    rds.make_certificate()?;
    state.snapshots.insert(arn.clone(), snapshot);
    Ok(Added { arn, resource_arn, resource_type: resource_type.to_owned(), size_bytes })
}

impl Rds {
    /// A snapshot, by its ARN.
    pub(crate) fn snapshot(&self, arn: &str) -> Option<SnapshotView> {
        let state = self.state();
        let snapshot = state.snapshots.get(arn)?;
        Some(SnapshotView {
            arn: snapshot.arn.clone(),
            engine: snapshot.engine,
            directory: snapshot.directory.clone(),
            master_user: snapshot.master_user.clone(),
            created: snapshot.created.clone(),
        })
    }

    /// Removes a snapshot and its files; what was restored from it stays.
    pub(crate) fn remove_snapshot(&self, arn: &str) {
        if let Some(snapshot) = self.state().snapshots.remove(arn) {
            // The directory may be gone already.
            std::fs::remove_dir_all(&snapshot.directory).ok();
        }
    }
}

/// A server on a copy of a snapshot, which nobody else sees: the way to look into a backup.
#[derive(Debug)]
pub struct ScratchDatabase {
    server: DatabaseServer,
}

impl SnapshotView {
    /// Starts a server on a copy of the snapshot.
    pub(crate) async fn scratch(&self, rds: &Rds) -> Result<ScratchDatabase> {
        let directory = rds.directory_of(&format!("scratch-{}", uuid::Uuid::new_v4()));
        let (from, to) = (self.directory.clone(), directory.clone());
        let copied = tokio::task::spawn_blocking(move || copy_data(&from, &to)).await;
        copied
            .map_err(|error| Error::Program { program: format!("cp of {}", self.arn), message: error.to_string() })??;
        let certificate = rds.make_certificate()?;
        let server =
            DatabaseServer::start(self.engine, &directory, &self.master_user, &certificate, &BTreeMap::new()).await?;
        Ok(ScratchDatabase { server })
    }
}

impl ScratchDatabase {
    /// The superuser's way in.
    pub fn superuser(&self) -> DatabaseAccess {
        self.server.superuser()
    }

    /// Ends the server and removes its files.
    pub async fn close(self) -> Result<()> {
        let directory = self.server.directory().to_owned();
        self.server.crash().await?;
        std::fs::remove_dir_all(&directory).map_err(Error::file("remove", &directory))
    }
}

/// The ARN of a snapshot of this account that is given by its name or its ARN.
pub(super) fn arn_of(rds: &Rds, name: &str, cluster: bool) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let kind = if cluster { "cluster-snapshot" } else { "snapshot" };
    rds.context.names.arn("rds", &format!("{kind}:{name}"))
}

/// A snapshot of this account by its name or its ARN.
pub(super) fn find_snapshot<'a>(
    rds: &Rds,
    state: &'a State,
    name: &str,
    cluster: bool,
) -> Result<&'a Snapshot, ApiError> {
    let found = state.snapshots.get(&arn_of(rds, name, cluster));
    found.filter(|snapshot| snapshot.is_cluster == cluster).ok_or_else(|| {
        if cluster {
            ApiError::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {name} not found."))
        } else {
            ApiError::new(404, "DBSnapshotNotFound", format!("DBSnapshot {name} not found."))
        }
    })
}
