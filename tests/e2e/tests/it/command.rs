//! The command for people, on a finished export in S3.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use e2e::Settings;
use e2e::scene::{Scene, assert_succeeded};
use e2e::stack::{BUCKET, STATE_MACHINE, VAULT};
use support::compare::assert_same_contents;
use support::program::binary;

async fn command(scene: &Scene, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary("backup-export")?);
    command.args(arguments).envs(scene.system.cloud.environment());
    tokio::task::spawn_blocking(move || command.output()).await?.context("run backup-export")
}

async fn succeeds(scene: &Scene, arguments: &[&str]) -> Result<String> {
    let output = command(scene, arguments).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn fails(scene: &Scene, arguments: &[&str]) -> Result<String> {
    let output = command(scene, arguments).await?;
    ensure!(!output.status.success(), "{arguments:?} succeeded");
    Ok(String::from_utf8(output.stderr)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_starts_lists_looks_and_restores() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    let machine = scene.system.cloud.names().state_machine(STATE_MACHINE);
    let started =
        succeeds(&scene, &["start", "--state-machine", &machine, "--recovery-point", &scene.arn, "--vault", VAULT])
            .await?;
    assert_succeeded(&scene.system.finished(started.trim()).await?)?;

    let bucket = format!("s3://{BUCKET}");
    let listed = succeeds(&scene, &["list", &bucket]).await?;
    let manifest =
        listed.lines().map(str::trim).find(|line| line.starts_with("s3://")).context("no manifest listed")?;
    let files = succeeds(&scene, &["files", manifest, "etc/"]).await?;
    ensure!(files.lines().count() == 4 && files.contains("etc/users -> passwd"), "{files}");

    // Every row of the index by its own range, a large one by several of 8 MiB; ranges are all that is asked of the archive.
    scene.system.cloud.requests().clear();
    let restored = scene.directory().join("restored");
    let to = restored.to_str().context("a path in UTF-8")?;
    succeeds(&scene, &["extract", manifest, ".", "--to", to, "--full"]).await?;
    assert_same_contents(&scene.content, &restored)?;
    let rows = succeeds(&scene, &["files", manifest]).await?.lines().count();
    let reads = scene.system.cloud.requests().of("s3", "GetObject");
    let of_archive = reads.iter().filter(|request| request.resource.ends_with("disk.tar.gz")).count();
    let manifests = scene.system.manifests()?;
    let archive_bytes: u64 = manifests.values().flat_map(|manifest| &manifest.artifacts).map(|one| one.bytes).sum();
    let most = rows + usize::try_from(archive_bytes >> 23)?;
    ensure!((rows..=most).contains(&of_archive), "{of_archive} reads of the archive for {rows} rows");

    // A hard link alone comes with the content of the file that it is another name of.
    let one = scene.directory().join("one");
    let to = one.to_str().context("a path in UTF-8")?;
    succeeds(&scene, &["extract", manifest, "/etc/passwd-", "--to", to]).await?;
    ensure!(fs::read(one.join("etc/passwd-"))? == fs::read(scene.content.join("etc/passwd"))?, "another content");

    let said = fails(&scene, &["extract", manifest, "etc/passwd-", "--to", to]).await?;
    ensure!(said.contains("etc/passwd-") && said.contains("exists"), "{said}");
    let said = fails(&scene, &["extract", manifest, "etc/shadow", "--to", to]).await?;
    ensure!(said.contains("no etc/shadow"), "{said}");
    let said = fails(&scene, &["files", "s3://no-such-bucket/manifest.json"]).await?;
    ensure!(said.contains("no-such-bucket"), "{said}");
    scene.assert_only_the_export_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_not_restored_in_silence() -> Result<()> {
    let scene = Scene::start(Settings::default()).await?;
    assert_succeeded(&scene.system.export(&scene.arn).await?)?;
    let manifests = scene.system.manifests()?;
    let (key, manifest) = manifests.iter().next().context("no manifest")?;
    scene.system.cloud.flip_byte(BUCKET, &manifest.artifacts[0].key, 20_000_000)?;
    let to = scene.directory().join("restored");
    let url = format!("s3://{BUCKET}/{key}");
    let said = fails(&scene, &["extract", &url, "noise", "--to", to.to_str().context("a path in UTF-8")?]).await?;
    ensure!(said.contains("noise"), "{said}");
    scene.assert_only_the_export_left().await
}
