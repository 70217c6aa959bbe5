//! Snapshots: data directories that nobody writes to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::server::{Certificate, DatabaseAccess, DatabaseServer};
use super::{Rds, certificate_directory};
use crate::engine::DatabaseEngine;
use crate::error::{Error, Result};
use crate::gateway::Shared;
use crate::recovery_point::{DatabaseFate, RecoveryPointOptions};

/// What a stopped server left, to become a recovery point or to be opened again.
#[derive(Debug, Clone)]
pub struct DatabaseSource {
    /// Its engine.
    pub engine: DatabaseEngine,
    /// The version that RDS is to tell; the usual one of the engine when absent.
    pub engine_version: Option<String>,
    /// The directory in which the server kept everything.
    pub directory: PathBuf,
    /// The name of the instance or cluster that was backed up.
    pub name: String,
    /// The master user.
    pub master_user: String,
    /// The storage that the instance had, in GiB.
    pub allocated_storage_gib: u32,
    /// Days for which automated backups are kept; restored instances take it over.
    pub backup_retention_days: u32,
    /// Whether the backup is of a cluster. Aurora's always are; of other engines, Multi-AZ clusters.
    pub is_cluster: bool,
}

impl DatabaseSource {
    pub(super) fn new(engine: DatabaseEngine, directory: &Path, master_user: &str) -> Self {
        Self {
            engine,
            engine_version: None,
            directory: directory.to_owned(),
            name: "production".to_owned(),
            master_user: master_user.to_owned(),
            allocated_storage_gib: 20,
            backup_retention_days: 7,
            is_cluster: engine.is_aurora(),
        }
    }

    /// The same as the backup of another instance or cluster.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same with another version.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.engine_version = Some(version.to_owned());
        self
    }
}

/// A snapshot.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) arn: String,
    /// `awsbackup:job-…`.
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) is_cluster: bool,
    pub(super) engine: DatabaseEngine,
    pub(super) engine_version: String,
    /// Holds `data`, and what else goes with it.
    pub(super) directory: PathBuf,
    pub(super) source: String,
    pub(super) master_user: String,
    pub(super) allocated_storage_gib: u32,
    pub(super) backup_retention_days: u32,
    pub(super) storage_type: String,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) kms_key_arn: Option<String>,
    pub(super) fate: DatabaseFate,
}

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

impl Snapshot {
    pub(super) fn is_awsbackup(&self) -> bool {
        self.kind == "awsbackup"
    }
}

/// The files of a server's directory that are its data.
const DATA: [&str; 2] = ["data", "superuser.cnf"];

/// Copies the data of one directory to another, which is created; blocks are shared where the filesystem can.
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
pub(crate) fn add(
    shared: &Shared,
    source: &DatabaseSource,
    options: &RecoveryPointOptions,
    created: &str,
) -> Result<Added> {
    let job = uuid::Uuid::new_v4();
    let id = format!("awsbackup:job-{job}");
    let (kind, of, resource_type) = match (source.is_cluster, source.engine.is_aurora()) {
        (true, true) => ("cluster-snapshot", "cluster", "Aurora"),
        (true, false) => ("cluster-snapshot", "cluster", "RDS"),
        (false, _) => ("snapshot", "db", "RDS"),
    };
    let arn = shared.names.arn("rds", &format!("{kind}:{id}"));
    let directory = shared.directory.join("databases/snapshots").join(job.to_string());
    copy_data(&source.directory, &directory)?;
    let mut tags = options.tags.clone();
    let resource_arn =
        options.resource_arn.clone().unwrap_or_else(|| shared.names.arn("rds", &format!("{of}:{}", source.name)));
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
    let mut state = shared.rds.state();
    // Made with the first snapshot, under the lock: servers that start at the same time all find the same one.
    Certificate::of(&certificate_directory(&shared.directory))?;
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
    pub(crate) async fn scratch(&self, shared: &Shared) -> Result<ScratchDatabase> {
        let directory = shared.directory.join("databases").join(format!("scratch-{}", uuid::Uuid::new_v4()));
        let (from, to) = (self.directory.clone(), directory.clone());
        let copied = tokio::task::spawn_blocking(move || copy_data(&from, &to)).await;
        copied
            .map_err(|error| Error::Program { program: format!("cp of {}", self.arn), message: error.to_string() })??;
        let certificate = Certificate::of(&certificate_directory(&shared.directory))?;
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
pub(super) fn arn_of(shared: &Shared, name: &str, cluster: bool) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let kind = if cluster { "cluster-snapshot" } else { "snapshot" };
    shared.names.arn("rds", &format!("{kind}:{name}"))
}
