//! Disks, mounts and exports for the tests of the source side.

pub(crate) mod tree;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use archive::{ArchiveOptions, Codec, Compression, ImageWriter, Member, TarArchiveWriter};
use disk::{Disk, FilesystemReport, Image, Mounted, Options, Progress, export_filesystem, export_image};

/// Fails, rather than skips, without root.
pub(crate) fn require_root() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "this test mounts filesystems: run it as root (sudo)");
    Ok(())
}

/// Runs a command; its failure says what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.env("LC_ALL", "C.UTF-8").output().with_context(|| format!("run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a line of shell.
pub(crate) fn sh(line: &str) -> Result<String> {
    run(Command::new("bash").args(["-euo", "pipefail", "-c", line]))
}

/// A sparse image file.
pub(crate) fn image(path: &Path, bytes: u64) -> Result<PathBuf> {
    File::create_new(path)?.set_len(bytes)?;
    Ok(path.to_owned())
}

/// Gives `sfdisk` a script.
pub(crate) fn sfdisk(path: &Path, script: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(script.as_bytes())?;
    let input = File::open(file.path())?;
    run(Command::new("sfdisk").arg("--quiet").arg(path).stdin(input)).map(drop)
}

/// A mounted image file; unmounted when dropped.
pub(crate) struct MountedImage {
    directory: tempfile::TempDir,
    mounted: bool,
}

impl MountedImage {
    pub(crate) fn new(image: &Path, options: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        run(Command::new("mount").args(["-o", &format!("loop,{options}")]).arg(image).arg(directory.path()))?;
        Ok(Self { directory, mounted: true })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn unmount(mut self) -> Result<()> {
        self.mounted = false;
        run(Command::new("umount").arg(self.directory.path())).map(drop)
    }
}

impl Drop for MountedImage {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.directory.path()))
        {
            eprintln!("{error:#}");
        }
    }
}

/// Makes a filesystem on an image file or a part of a device.
pub(crate) fn format(path: &Path, filesystem: &str) -> Result<()> {
    let force = if filesystem.starts_with("ext") { "-F" } else { "-f" };
    run(Command::new(format!("mkfs.{filesystem}")).args(["-q", force, "-L", "data"]).arg(path)).map(drop)
}

/// An image file with a filesystem, filled.
pub(crate) fn filesystem(
    path: &Path,
    kind: &str,
    bytes: u64,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let path = image(path, bytes)?;
    format(&path, kind)?;
    let mounted = MountedImage::new(&path, "rw")?;
    fill(mounted.path())?;
    mounted.unmount()?;
    Ok(path)
}

fn options(artifact: &str) -> ArchiveOptions {
    ArchiveOptions {
        artifact: artifact.to_owned(),
        export_id: None,
        compression: Compression::new(Codec::Gzip, 1, 1 << 20).expect("a good setting"),
        threads: 2,
        budget_bytes: 32 << 20,
    }
}

fn sink(path: &Path) -> Result<impl archive::MemberSink + 'static> {
    let mut file = File::create(path)?;
    Ok(move |member: Member| file.write_all(&member.data).map_err(Into::into))
}

/// Exports a mounted filesystem to a file.
pub(crate) fn to_tar(mounted: &Mounted, path: &Path, read: &Options) -> Result<Result<FilesystemReport, disk::Error>> {
    let index = File::create(path.with_extension("parquet"))?;
    let mut writer = TarArchiveWriter::new(options("disk.tar.gz"), sink(path)?, index)?;
    match export_filesystem(mounted, &mut writer, read, &Progress::new()) {
        Ok(report) => {
            let summary = writer.finish()?;
            assert_eq!(summary.entries, report.entries);
            Ok(Ok(report))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Exports an image to a file.
pub(crate) fn to_image(disk: &Disk, image: &Image, path: &Path, read: &Options) -> Result<Result<(), disk::Error>> {
    let index = File::create(path.with_extension("parquet"))?;
    let mut writer = ImageWriter::new(options("disk.img.gz"), sink(path)?, index)?;
    match export_image(disk, image, &mut writer, read, &Progress::new()) {
        Ok(_) => {
            writer.finish()?;
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Loop devices whose backing file lies below a directory.
pub(crate) fn loops_below(directory: &Path) -> Result<Vec<String>> {
    let listed = run(Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]))?;
    let below = directory.display().to_string();
    Ok(listed.lines().filter(|line| line.contains(&below)).map(str::to_owned).collect())
}
