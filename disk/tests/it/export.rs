//! Disks opened, and exported into files of this machine.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use archive::{ArchiveOptions, Codec, Compression, ImageWriter, Member, TarArchiveWriter};
use disk::{
    Access, Disk, FilesystemReport, Image, Layout, Mounted, Opened, Options, Progress, export_filesystem, export_image,
};

/// A disk that is left as it is, and what is on it.
pub(crate) fn layout(path: &Path) -> Result<(Disk, Layout)> {
    let disk = Disk::open(path, Access::Untouched, None)?;
    let layout = Layout::read(&disk)?;
    Ok((disk, layout))
}

/// A section that nothing can mount.
pub(crate) fn as_image(disk: &Disk, layout: &Layout, index: usize) -> Result<Image> {
    match layout.sections[index].open(disk)? {
        Opened::Image(image) => Ok(image),
        other => bail!("expected an image, not {other:?}"),
    }
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
