//! What comes out is what went in, by tools that know nothing of this project.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use domain::manifest::{Artifact, Manifest, Method};
use e2e::disk::{Disk, format, output, run, with_mounted};
use e2e::scene::assert_succeeded;
use e2e::stack::VAULT;
use e2e::{Settings, System};
use local_cloud::{EventShape, RecoveryPointOptions, VolumeImage};

const MIB: u64 = 1 << 20;

/// ext4, xfs, swap, a partition of raw data, btrfs.
fn partitioned(path: &Path) -> Result<Disk> {
    let disk = Disk::raw(path, 1200 * MIB)?;
    disk.partition(
        "label: gpt\nsize=128MiB, name=root\nsize=320MiB, name=data\nsize=16MiB, name=swap, type=swap\n\
         size=48MiB, name=raw\nsize=300MiB, name=home\n",
    )?;
    for (number, filesystem) in [(1, "ext4"), (2, "xfs"), (5, "btrfs")] {
        let partition = disk.attach_partition(number)?;
        format(partition.device(), filesystem, &format!("part{number}"))?;
        with_mounted(partition.device(), |at| {
            run(Command::new("cp").args(["--archive", "/etc"]).arg(at))?;
            std::fs::write(at.join("which"), format!("partition {number}"))?;
            run(Command::new("setfattr").args(["-n", "user.origin", "-v", filesystem]).arg(at.join("which")))
        })?;
        partition.detach()?;
    }
    let swap = disk.attach_partition(3)?;
    format(swap.device(), "swap", "swap")?;
    swap.detach()?;
    let raw = disk.attach_partition(4)?;
    run(Command::new("dd")
        .args(["if=/dev/urandom", "bs=1M", "count=20", "status=none"])
        .arg(format!("of={}", raw.device().display())))?;
    raw.detach()?;
    Ok(disk)
}

/// Extracts an archive with GNU tar onto the same kind of filesystem and compares it with what the disk holds.
fn compare_tar(archive: &Path, artifact: &Artifact, disk: &Disk) -> Result<()> {
    let source = artifact.source.as_ref().context("a source")?;
    let number = source.partition.context("a partition")?;
    let filesystem = source.filesystem.as_deref().context("a filesystem")?;
    let target = Disk::raw(&archive.with_extension("target"), 600 * MIB)?;
    let (target, source) = (target.attach()?, disk.attach_partition(number)?);
    format(target.device(), filesystem, "target")?;
    with_mounted(target.device(), |to| {
        run(Command::new("tar")
            .args(["xzf"])
            .arg(archive)
            .args(["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-C"])
            .arg(to))?;
        with_mounted(source.device(), |from| {
            let (from, to) = (format!("{}/", from.display()), format!("{}/", to.display()));
            let differences = output(
                Command::new("rsync")
                    .args(["-aHAXSn", "--delete", "--itemize-changes", "--exclude=/lost+found"])
                    .args([&from, &to]),
            )?;
            ensure!(differences.is_empty(), "{}: {differences}", artifact.name);
            Ok(())
        })
    })?;
    target.detach()?;
    source.detach()
}

fn read_by_every_tool(archive: &Path) -> Result<()> {
    let listed = output(Command::new("tar").arg("tzf").arg(archive))?.lines().count();
    run(Command::new("gunzip").arg("-t").arg("--stdout").stdin(std::fs::File::open(archive)?))?;
    let by_bsdtar = output(Command::new("bsdtar").arg("-tzf").arg(archive))?.lines().count();
    let python = "import sys, tarfile\nprint(len(tarfile.open(sys.argv[1]).getmembers()))";
    let by_python: usize = output(Command::new("python3").args(["-c", python]).arg(archive))?.trim().parse()?;
    ensure!(
        listed == by_bsdtar && listed == by_python,
        "{listed} entries by GNU tar, {by_bsdtar} by bsdtar, {by_python} by Python"
    );
    Ok(())
}

fn check(system: &System, manifest: &Manifest, disk: &Disk, scratch: &Path) -> Result<()> {
    let names: Vec<_> = manifest.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    ensure!(
        names == ["partition-1.tar.gz", "partition-2.tar.gz", "partition-4.img.gz", "partition-5.tar.gz"],
        "artifacts {names:?}"
    );
    ensure!(manifest.skipped.len() == 1 && manifest.skipped[0].source.partition == Some(3), "{:?}", manifest.skipped);
    ensure!(
        manifest.source.as_disk().is_some_and(|disk| disk.partition_table.is_some()),
        "the partition table was not saved"
    );
    for artifact in &manifest.artifacts {
        let file = scratch.join(artifact.key.replace('/', "_"));
        system.save(&artifact.key, &file)?;
        match artifact.method {
            Method::Tar => {
                read_by_every_tool(&file)?;
                compare_tar(&file, artifact, disk)?;
            }
            Method::Dump => anyhow::bail!("{} is a dump", artifact.name),
            Method::Image => {
                let source = artifact.source.as_ref().context("a source")?;
                ensure!(artifact.fallback_reason.is_some(), "{} does not say why it is an image", artifact.name);
                let script = format!(
                    "gunzip --stdout < '{}' | cmp - <(dd if='{}' iflag=skip_bytes,count_bytes skip={} count={} bs=1M status=none)",
                    file.display(),
                    disk.path().display(),
                    source.offset_bytes,
                    source.size_bytes
                );
                run(Command::new("bash").args(["-o", "pipefail", "-c", &script]))?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_partition_comes_back_as_it_was() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let disk = partitioned(&scratch.path().join("disk.img"))?;
    let system = System::start(Settings::default()).await?;
    let arn = system.cloud.add_ebs_recovery_point(VAULT, disk.path(), RecoveryPointOptions::default())?;
    assert_succeeded(&system.send(system.cloud.backup_event(VAULT, &arn, EventShape::BackupJob)?).await?)?;
    let manifests = system.manifests()?;
    ensure!(manifests.len() == 1, "{} manifests", manifests.len());
    for manifest in manifests.values() {
        check(&system, manifest, &disk, scratch.path())?;
    }
    system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_two_volumes_with_the_same_uuids_becomes_one_export() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let disk = partitioned(&scratch.path().join("disk.img"))?;
    let system = System::start(Settings::default()).await?;
    let volumes = ["/dev/xvda", "/dev/sdf"]
        .map(|device| VolumeImage { device_name: device.to_owned(), image: disk.path().to_owned() });
    let arn = system.cloud.add_ec2_recovery_point(VAULT, &volumes, RecoveryPointOptions::default())?;
    let execution = system.export(&arn).await?;
    assert_succeeded(&execution)?;
    let manifests = system.manifests()?;
    ensure!(manifests.len() == 2, "{} manifests, not two", manifests.len());
    for manifest in manifests.values() {
        check(&system, manifest, &disk, scratch.path())?;
        let point = manifest.recovery_point.as_ref().context("the recovery point")?;
        ensure!(point.resource_type == "EC2" && point.image.is_some(), "{point:?}");
    }
    system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn zstd_is_the_other_codec() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let disk = Disk::raw(&scratch.path().join("disk.img"), 64 * MIB)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-d", "/etc"]).arg(disk.path()))?;
    let system = System::start(Settings::default().with("CODEC", "zstd")).await?;
    let arn = system.cloud.add_ebs_recovery_point(VAULT, disk.path(), RecoveryPointOptions::default())?;
    assert_succeeded(&system.export(&arn).await?)?;
    let manifest = system.manifests()?.into_values().next().context("a manifest")?;
    let archive = scratch.path().join("archive.tar.zst");
    system.save(&manifest.artifacts[0].key, &archive)?;
    run(Command::new("zstd").args(["--test", "--quiet", "--stdout"]).stdin(std::fs::File::open(&archive)?))?;
    let script = format!("zstd -dc < '{}' | tar t > /dev/null", archive.display());
    run(Command::new("bash").args(["-o", "pipefail", "-c", &script]))?;
    system.shutdown_clean().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_starts_an_export_by_hand() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let disk = Disk::raw(&scratch.path().join("disk.img"), 64 * MIB)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-d", "/etc"]).arg(disk.path()))?;
    let system = System::start(Settings::default()).await?;
    let arn = system.cloud.add_ebs_recovery_point(VAULT, disk.path(), RecoveryPointOptions::default())?;
    let execution = system.start_by_hand(&arn, |_, _| {}).await?;
    assert_succeeded(&system.finished(&execution).await?)?;
    system.shutdown_clean().await
}
