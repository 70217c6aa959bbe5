//! The demo: sample disks, a database and a table exported on this machine, with a report that a newcomer can follow.

mod report;
mod sample;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use local_cloud::{
    DatabaseEngine, DatabaseServer, Devices, EventShape, ExecutionStatus, Options, RecoveryPointOptions, VolumeImage,
};

use domain::key::MANIFEST;
use support::program::binary;

use crate::stack::{BUCKET, VAULT};
use crate::{Settings, System, table};
use report::{heading, note};

/// Runs the demo. Everything that it makes lies in `directory`, which stays, so that a person can look at it.
pub async fn run(directory: &Path, with_databases: bool) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    println!("AWS Backup Export: sample backups become files, on this machine, without an AWS account.");
    if !root {
        note("Not root, and mounts need root: volumes are exported as raw images instead of tar archives.");
        note("Run `sudo make demo`, or install sudo, to see filesystems archived.");
    }
    let samples = directory.join("disks");
    let disks = sample::make(&samples, root).context("make the sample disks")?;

    let mut settings = Settings::default().with("DELETE_RECOVERY_POINT", "true");
    settings.cloud = Options {
        directory: Some(directory.join("cloud")),
        devices: if root { Devices::Auto } else { Devices::Files },
        ..Options::default()
    };
    note(
        "Starting the local cloud: state machine engine, Lambda, Batch, S3, EC2, RDS, DynamoDB, AWS Backup, EventBridge.",
    );
    let system = System::start(settings).await?;
    let mut outcome = export_all(&system, &disks).await;
    if with_databases && let Ok(manifests) = &mut outcome {
        match export_databases(&system, directory).await {
            Ok(more) => manifests.extend(more),
            Err(error) => outcome = Err(error),
        }
    }
    let closing = match &outcome {
        Ok(manifests) => closing(&system, manifests),
        Err(_) => Ok(()),
    };
    let shutdown = system.shutdown_clean().await;
    outcome?;
    closing?;
    shutdown
}

async fn export_all(system: &System, disks: &sample::Disks) -> Result<Vec<String>> {
    let cloud = &system.cloud;
    let mut manifests = Vec::new();

    heading("1. A whole-disk volume, started by the event that AWS Backup sends");
    let options = RecoveryPointOptions { tags: [("owner".to_owned(), "demo".to_owned())].into(), ..Default::default() };
    let arn = cloud.add_ebs_recovery_point(VAULT, disks.whole.path(), options)?;
    cloud.requests().clear();
    let execution = system.send(cloud.backup_event(VAULT, &arn, EventShape::BackupJob)?).await?;
    manifests.extend(report::export(system, &execution, &arn)?);

    heading("2. A partitioned disk, started by hand");
    let arn = cloud.add_ebs_recovery_point(VAULT, disks.partitioned.path(), RecoveryPointOptions::default())?;
    cloud.requests().clear();
    let execution = system.start_by_hand(&arn, tell_command).await?;
    let execution = system.finished(&execution).await?;
    manifests.extend(report::export(system, &execution, &arn)?);

    heading("3. An EC2 recovery point of two volumes");
    let volumes = [("/dev/xvda", &disks.partitioned), ("/dev/sdf", &disks.whole)]
        .map(|(device, disk)| VolumeImage { device_name: device.to_owned(), image: disk.path().to_owned() });
    let arn = cloud.add_ec2_recovery_point(VAULT, &volumes, RecoveryPointOptions::default())?;
    cloud.requests().clear();
    let execution = system.send(cloud.backup_event(VAULT, &arn, EventShape::RecoveryPoint)?).await?;
    manifests.extend(report::export(system, &execution, &arn)?);

    heading("4. A disk that fails half-way");
    let arn = cloud.add_ebs_recovery_point(VAULT, disks.whole.path(), RecoveryPointOptions::default())?;
    let snapshot = arn.rsplit('/').next().unwrap_or_default();
    cloud.break_snapshot(snapshot, disks.breaks_at)?;
    note("The restored volume can be read for its first 64 MiB only.");
    cloud.requests().clear();
    let execution = system.export(&arn).await?;
    ensure!(execution.status == ExecutionStatus::Failed, "the export of a broken disk ended as {}", execution.status);
    system.reap().await?;
    report::failure(system, &execution, &arn)?;
    Ok(manifests)
}

/// A real PostgreSQL and a table, each backed up and exported.
async fn export_databases(system: &System, directory: &Path) -> Result<Vec<String>> {
    let cloud = &system.cloud;
    let mut manifests = Vec::new();

    heading("5. An RDS recovery point: a PostgreSQL server, restored and dumped");
    let server = DatabaseServer::create(DatabaseEngine::Postgres, &directory.join("production")).await?;
    server.superuser().sql("postgres", sample::ROLES_AND_DATABASE).await?;
    server.superuser().sql("shop", sample::SHOP).await?;
    let source = server.stop().await?.named("shop-production");
    let arn = cloud.add_database(VAULT, &source, RecoveryPointOptions::default())?;
    cloud.requests().clear();
    let execution = system.send(cloud.backup_event(VAULT, &arn, EventShape::BackupJob)?).await?;
    manifests.extend(report::export(system, &execution, &arn)?);

    heading("6. A DynamoDB backup: a table of its own, exported by DynamoDB, checked item by item");
    let arn = table::make(system, RecoveryPointOptions::default()).await?;
    cloud.requests().clear();
    let execution = system.start_by_hand(&arn, tell_command).await?;
    let execution = system.finished(&execution).await?;
    manifests.extend(report::export(system, &execution, &arn)?);
    Ok(manifests)
}

/// What a person types.
fn tell_command(machine: &str, input: &str) {
    println!("  $ aws stepfunctions start-execution --state-machine-arn {machine} \\");
    println!("      --input '{input}'");
}

fn closing(system: &System, manifests: &[String]) -> Result<()> {
    let kept = copy_bucket(system)?;
    let manifest = manifests.first().context("no export was made")?;
    let manifest = kept.join(manifest);
    let prefix = manifest.parent().context("the manifest lies in no directory")?;
    heading("Look further");
    println!("  The bucket is kept in {}; remove it when you have seen enough.", kept.display());
    let programs = binary("backup-export")?;
    let programs = programs.parent().context("the programs lie in no directory")?;
    println!("  $ export PATH=\"{}:$PATH\"", programs.display());
    println!("  $ cd {}", prefix.display());
    println!("  $ backup-export list file://{}", kept.display());
    println!("  $ backup-export files file://$PWD/{MANIFEST} | head");
    let archive = std::fs::read_dir(prefix)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| name.ends_with(".tar.gz"));
    if let Some(archive) = archive {
        println!("  $ backup-export extract file://$PWD/{MANIFEST} README.md --to /tmp/restored");
        println!("  $ tar tzf {archive} | head");
    }
    println!("  $ batch-worker verify file://$PWD/{MANIFEST}");
    println!("  How databases and tables are restored: docs/databases.md.");
    Ok(())
}

/// Copies the bucket out of the cloud's store, by key.
fn copy_bucket(system: &System) -> Result<PathBuf> {
    let kept = system.cloud.directory().with_file_name("bucket");
    for object in system.cloud.objects(BUCKET, "")? {
        let path = kept.join(&object.key);
        std::fs::create_dir_all(path.parent().unwrap_or(&kept))?;
        system.save(&object.key, &path)?;
    }
    Ok(kept)
}
