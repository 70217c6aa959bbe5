//! What most end-to-end tests begin with: the system, and a recovery point of a small disk with known content.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local_cloud::{ExecutionResult, ExecutionStatus, JobView, RecoveryPointOptions};
use support::compare::assert_same_contents;
use support::disk::Disk;
use support::run;

use crate::stack::VAULT;
use crate::{Settings, System};

const MIB: u64 = 1 << 20;
/// How long a condition that must come true may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The system, a disk and its recovery point.
#[derive(Debug)]
pub struct Scene {
    /// The deployed system.
    pub system: System,
    /// The recovery point of the disk.
    pub arn: String,
    /// The tree from which the disk's filesystem was made.
    pub content: PathBuf,
    directory: tempfile::TempDir,
}

impl Scene {
    /// A system with these settings and an EBS recovery point of a whole-disk ext4 filesystem: a few small files and 40
    /// MiB that do not compress, so that an upload has several parts.
    pub async fn start(settings: Settings) -> Result<Self> {
        Self::with(settings, RecoveryPointOptions::default()).await
    }

    /// The same with a recovery point that differs from an ordinary one.
    pub async fn with(settings: Settings, options: RecoveryPointOptions) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a directory")?;
        let content = directory.path().join("content");
        fill(&content)?;
        let disk = Disk::of_tree(&directory.path().join("disk.img"), &content, 128 * MIB)?;
        let system = System::start(settings).await?;
        let arn = system.cloud.add_ebs_recovery_point(VAULT, disk.path(), options)?;
        Ok(Self { system, arn, content, directory })
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The id of the snapshot behind the recovery point.
    pub fn snapshot_id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// Starts the export by hand and waits until its worker has begun an upload.
    pub async fn start_and_wait_for_upload(&self) -> Result<(String, JobView)> {
        let execution = self.system.start_export(&self.arn).await?;
        let job = self.system.cloud.wait_for_job("exp-", PATIENCE, |job| job.process_id.is_some()).await?;
        eventually("the worker begins an upload", || !self.system.cloud.uploads().is_empty()).await?;
        Ok((execution, job))
    }

    /// Asserts that the export is whole: the archive, extracted by GNU tar, holds what the disk did.
    pub fn assert_exported(&self) -> Result<()> {
        let manifest = self.system.manifest()?;
        ensure!(manifest.artifacts.len() == 1, "one artifact: {:?}", manifest.artifacts);
        let archive = self.directory.path().join("archive.tar.gz");
        self.system.save(&manifest.artifacts[0].key, &archive)?;
        let restored = self.directory.path().join("restored");
        fs::create_dir_all(&restored)?;
        run(Command::new("tar")
            .arg("--extract")
            .arg("--gzip")
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(&restored))?;
        assert_same_contents(&self.content, &restored)
    }

    /// As [`System::assert_nothing_left`].
    pub async fn assert_nothing_left(self) -> Result<()> {
        self.system.assert_nothing_left(&self.arn).await
    }

    /// As [`System::assert_only_the_export_left`].
    pub async fn assert_only_the_export_left(self) -> Result<()> {
        self.system.assert_only_the_export_left().await
    }
}

fn fill(content: &Path) -> Result<()> {
    fs::create_dir_all(content.join("etc"))?;
    fs::write(content.join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n")?;
    fs::write(content.join("etc/empty"), "")?;
    fs::hard_link(content.join("etc/passwd"), content.join("etc/passwd-"))?;
    std::os::unix::fs::symlink("passwd", content.join("etc/users"))?;
    let mut noise = vec![0; 40 << 20];
    fs::File::open("/dev/urandom")?.read_exact(&mut noise)?;
    fs::write(content.join("noise"), noise)?;
    Ok(())
}

/// Waits until a condition holds; the error says which did not.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        ensure!(tokio::time::Instant::now() < deadline, "did not happen within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Asserts that an execution succeeded; the error says how it failed.
pub fn assert_succeeded(execution: &ExecutionResult) -> Result<()> {
    ensure!(
        execution.status == ExecutionStatus::Succeeded,
        "the execution ended as {}: {}: {}\nstates: {:?}",
        execution.status,
        execution.error.as_deref().unwrap_or_default(),
        execution.cause.as_deref().unwrap_or_default(),
        execution.state_names()
    );
    Ok(())
}

/// Asserts that an execution failed with this error, and that its cause says all of `words`.
pub fn assert_failed(execution: &ExecutionResult, error: &str, words: &[&str]) -> Result<()> {
    let cause = execution.cause.as_deref().unwrap_or_default();
    ensure!(
        execution.status == ExecutionStatus::Failed && execution.error.as_deref() == Some(error),
        "expected {error}, but the execution ended as {}: {}: {cause}\nstates: {:?}",
        execution.status,
        execution.error.as_deref().unwrap_or_default(),
        execution.state_names()
    );
    for word in words {
        ensure!(cause.contains(word), "the cause does not say {word:?}: {cause}");
    }
    Ok(())
}
