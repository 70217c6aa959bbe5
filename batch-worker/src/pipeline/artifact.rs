//! One section to one archive or image with its index.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::Instant;

use archive::{ArchiveOptions, ArtifactSummary, ImageWriter, Sha256, TarArchiveWriter};
use bytes::Bytes;
use domain::failure::Kind;
use domain::manifest::{Artifact, Method, SmallObject};
use domain::part::{MIN_PART_BYTES, PartPlan};

use super::{COMPRESS_BUDGET_BYTES, Harvest, Run, milliseconds};
use crate::error::{Error, Result};
use crate::progress::Counters;
use crate::sink::{Existing, Finished, ObjectSink, Stored, StreamWriter, transfer};
use crate::source::{self, Disk, Image, Mounted, Section, SourceError};

/// Pieces in which an index is read from its temporary file.
const INDEX_CHUNK_BYTES: usize = 512 << 10;

/// A section as it is to be written.
#[derive(Debug)]
pub(super) enum Job {
    Filesystem(Mounted),
    Image(Image),
}

/// What the writing thread found out.
struct Written {
    summary: ArtifactSummary,
    bytes_read: u64,
    sockets: Vec<String>,
    notes: Vec<String>,
}

impl Job {
    pub(super) fn filesystem(mounted: Mounted) -> Self {
        Self::Filesystem(mounted)
    }

    pub(super) fn image(image: Image) -> Self {
        Self::Image(image)
    }

    fn section(&self) -> &Section {
        match self {
            Self::Filesystem(mounted) => &mounted.section,
            Self::Image(image) => &image.section,
        }
    }

    fn method(&self) -> Method {
        match self {
            Self::Filesystem(_) => Method::Tar,
            Self::Image(_) => Method::Image,
        }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::Filesystem(_) => None,
            Self::Image(image) => Some(image.reason.clone()),
        }
    }

    /// Writes the archive on this thread and those of its writer. Whatever happens, the filesystem is unmounted.
    fn write(
        self,
        disk: &Disk,
        options: ArchiveOptions,
        reading: source::Options,
        counters: &Counters,
        output: StreamWriter,
        index: File,
    ) -> Result<(Written, Finished)> {
        let result = self.archive(disk, options, reading, counters, &output, index);
        if let Self::Filesystem(mounted) = self {
            let name = mounted.section.name.clone();
            if let Err(error) = mounted.unmount() {
                tracing::warn!(section = name, error = domain::failure::chain(&error), "unmounting failed");
            }
        }
        Ok((result?, output.finish()))
    }

    fn archive(
        &self,
        disk: &Disk,
        options: ArchiveOptions,
        reading: source::Options,
        counters: &Counters,
        output: &StreamWriter,
        index: File,
    ) -> Result<Written, SourceError> {
        match self {
            Self::Filesystem(mounted) => {
                let mut writer = TarArchiveWriter::new(options, output.members(), index)?;
                let report = source::export_filesystem(mounted, &mut writer, &reading, &counters.reading)?;
                Ok(Written {
                    summary: writer.finish()?,
                    bytes_read: report.bytes_read,
                    sockets: report.sockets.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect(),
                    notes: report.notes,
                })
            }
            Self::Image(image) => {
                let mut writer = ImageWriter::new(options, output.members(), index)?;
                let report = source::export_image(disk, image, &mut writer, &reading, &counters.reading)?;
                Ok(Written {
                    summary: writer.finish()?,
                    bytes_read: report.bytes_read,
                    sockets: Vec::new(),
                    notes: Vec::new(),
                })
            }
        }
    }
}

impl Run<'_> {
    /// Writes one artifact and its index, and returns the artifact's name.
    pub(super) async fn artifact(
        &self,
        job: Job,
        disk: &Arc<Disk>,
        counters: &Arc<Counters>,
        harvest: &mut Harvest,
    ) -> Result<String> {
        let clock = Instant::now();
        let section = job.section().clone();
        let (method, reason) = (job.method(), job.reason());
        let compression = self.config.compression;
        let name = format!("{}.{}{}", section.name, extension(method), compression.codec().extension());
        let key = format!("{}{name}", self.config.destination.prefix());
        tracing::info!(artifact = name, reason, "writing");
        let (index, index_writer) = index_file()?;
        let options = ArchiveOptions {
            artifact: name.clone(),
            export_id: self.assignment.as_ref().map(|assignment| assignment.plan.export_id.to_string()),
            compression,
            threads: self.config.compress_threads,
            budget_bytes: COMPRESS_BUDGET_BYTES,
        };
        let plan = self.part_plan(&section)?;
        let (disk, reading, shared) = (Arc::clone(disk), self.config.reading, Arc::clone(counters));
        let produce = move |output| job.write(&disk, options, reading, &shared, output, index_writer);
        let sent = |bytes| counters.add_uploaded(bytes);
        let (written, stored) = transfer(self.sink, &key, plan, self.stop, sent, produce).await?;
        agree(&name, &written.summary, stored)?;
        let index = self.index(&section.name, index, counters).await?;
        let Written { summary, bytes_read, sockets, notes } = written;
        tracing::info!(
            artifact = name,
            bytes = summary.compressed_bytes,
            uncompressed_bytes = summary.uncompressed_bytes,
            entries = summary.entries,
            milliseconds = milliseconds(clock.elapsed()),
            "written and checked"
        );
        harvest.notes.extend(notes);
        harvest.artifacts.push(Artifact {
            name: name.clone(),
            key,
            method,
            fallback_reason: reason,
            codec: compression.codec().to_string(),
            level: compression.level(),
            member_bytes: compression.member_bytes().into(),
            bytes: summary.compressed_bytes,
            uncompressed_bytes: summary.uncompressed_bytes,
            entries: summary.entries,
            sha256: summary.sha256.to_string(),
            uncompressed_sha256: summary.uncompressed_sha256.to_string(),
            crc64nvme: summary.crc64nvme.to_string(),
            index,
            source: section.source,
            duration_ms: milliseconds(clock.elapsed()),
            bytes_read,
            sockets,
        });
        Ok(name)
    }

    fn part_plan(&self, section: &Section) -> Result<PartPlan> {
        if let Some(bytes) = self.config.part_bytes {
            return Ok(PartPlan::with_base(bytes));
        }
        PartPlan::for_source(section.source.size_bytes).map_err(|error| {
            Error::caused_by(Kind::InvalidSettings, format!("plan the upload of {}", section.name), error)
        })
    }

    /// Uploads the index, at once where it is small.
    async fn index(&self, section: &str, mut file: File, counters: &Counters) -> Result<SmallObject> {
        let name = format!("{section}.parquet");
        let key = match &self.assignment {
            Some(assignment) => assignment.volume.index_prefix.key(&name),
            None => format!("{}{name}", self.config.destination.prefix()),
        };
        let failed = |error| Error::internal(format!("read the index {name} back"), error);
        let bytes = file.metadata().map_err(failed)?.len();
        file.rewind().map_err(failed)?;
        if bytes <= MIN_PART_BYTES {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(failed)?;
            return put_small(self.sink, key, content.into(), counters).await;
        }
        let plan = PartPlan::with_base(0);
        let sent = |bytes| counters.add_uploaded(bytes);
        let what = format!("read the index {name} back");
        let (sha256, stored) = transfer(self.sink, &key, plan, self.stop, sent, move |output| {
            copy(file, output).map_err(|error| Error::internal(what, error))
        })
        .await?;
        Ok(SmallObject { key, bytes: stored.bytes, sha256, crc64nvme: stored.crc64nvme.to_string() })
    }
}

/// A temporary file without a name, and its second handle for the writer.
fn index_file() -> Result<(File, File)> {
    let create = || {
        let file = tempfile::tempfile()?;
        let writer = file.try_clone()?;
        Ok::<_, std::io::Error>((file, writer))
    };
    create().map_err(|error| {
        let place = std::env::temp_dir();
        Error::internal(format!("create a temporary file in {}", place.display()), error)
    })
}

fn copy(mut file: File, mut output: StreamWriter) -> std::io::Result<(String, Finished)> {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    loop {
        let mut chunk = Vec::with_capacity(INDEX_CHUNK_BYTES);
        (&mut file).take(INDEX_CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok((Sha256(hash.finalize().into()).to_string(), output.finish()));
        }
        hash.update(&chunk);
        output.send(chunk.into())?;
    }
}

/// Writes a small object and describes it.
pub(super) async fn put_small(
    sink: &dyn ObjectSink,
    key: String,
    content: Bytes,
    counters: &Counters,
) -> Result<SmallObject> {
    let object = SmallObject {
        bytes: content.len() as u64,
        sha256: Sha256::of(&content).to_string(),
        crc64nvme: archive::Crc64Nvme::of(&content).to_string(),
        key,
    };
    sink.put(&object.key, content, Existing::Replace).await?;
    counters.add_uploaded(object.bytes);
    Ok(object)
}

/// What the archive writer counted must be what the destination holds.
fn agree(name: &str, summary: &ArtifactSummary, stored: Stored) -> Result<()> {
    if summary.compressed_bytes == stored.bytes && summary.crc64nvme == stored.crc64nvme {
        return Ok(());
    }
    Err(Error::new(
        Kind::Internal,
        format!(
            "{name}: the writer counted {} bytes ({}), the destination holds {} ({})",
            summary.compressed_bytes, summary.crc64nvme, stored.bytes, stored.crc64nvme
        ),
    ))
}

fn extension(method: Method) -> &'static str {
    match method {
        Method::Tar => "tar",
        Method::Image => "img",
    }
}
