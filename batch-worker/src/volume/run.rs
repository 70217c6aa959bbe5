//! One disk to one export: a section of it after the other becomes an archive or an image.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::{ArtifactSummary, ImageWriter, TarArchiveWriter};
use disk::partition::Scheme;
use disk::{Access, Disk, Fate, Image, Layout, Mounted, Opened, Section};
use domain::failure::{Error, Kind, Result};
use domain::key;
use domain::manifest::{Cost, Disk as DiskFacts, Manifest, Method, Origin, Skipped};
use domain::part::PartPlan;
use jiff::Timestamp;
use store::Folder;
use tokio_util::sync::CancellationToken;

use super::attach::identity::Instance;
use super::attach::{Attachment, Ownership, Request, Timing, attach};
use crate::config::{DiskConfig, DiskSource};
use crate::export::{self, Harvest, Output, Recipe, Report, Run, blocking, put_small, stoppable};
use crate::progress::{Counters, Reporter};

/// Exports a volume or device as `config` says.
///
/// Whatever happens, the volume is detached, mounts and loop devices are gone and unfinished uploads aborted when this
/// returns. A failure is also left as `error.json` beside the artifacts when a state machine waits for it.
pub async fn run(config: &DiskConfig, stop: &CancellationToken) -> Result<Report> {
    let needs_aws =
        !matches!((&config.place.destination, &config.source), (Folder::Directory(_), DiskSource::Device(_)));
    export::export(&config.place, needs_aws, stop, async |run| exported(&DiskRun { run, config }).await).await
}

async fn exported(this: &DiskRun<'_>) -> Result<Manifest> {
    let DiskRun { run, config } = this;
    match &config.source {
        DiskSource::Device(path) => this.disk(path, Access::Untouched, None).await,
        DiskSource::Volume(volume) => {
            let aws = run.aws()?;
            let instance = stoppable(run.stop, Instance::discover(aws)).await?;
            let ownership = run.assignment.as_ref().map(|assignment| Ownership {
                export_id: assignment.plan.export_id.clone(),
                execution: assignment.plan.execution.clone(),
            });
            let request = Request {
                ec2: &aws_sdk_ec2::Client::new(aws),
                volume,
                instance: &instance,
                ownership: ownership.as_ref(),
                devices: &config.devices,
                timing: Timing::default(),
            };
            let attachment = attach(&request, run.stop).await?;
            let result = this.disk(attachment.path(), Access::ThrowAway, Some(&attachment)).await;
            // The export stands or falls without this: Cleanup detaches what stays, by tag.
            if let Err(error) = attachment.detach().await {
                tracing::warn!(error = error.chain(), "the volume could not be detached");
            }
            result
        }
    }
}

struct DiskRun<'a> {
    run: &'a Run<'a>,
    config: &'a DiskConfig,
}

/// A section as it is to be written.
#[derive(Debug)]
enum Job {
    Filesystem(Mounted),
    Image(Image),
}

/// What the writing thread found out beside the totals.
struct Written {
    bytes_read: u64,
    sockets: Vec<String>,
    notes: Vec<String>,
}

impl Job {
    fn filesystem(mounted: Mounted) -> Self {
        Self::Filesystem(mounted)
    }

    fn image(image: Image) -> Self {
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

    fn extension(&self) -> &'static str {
        match self {
            Self::Filesystem(_) => "tar",
            Self::Image(_) => "img",
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
        reading: disk::Options,
        counters: &Counters,
        output: Output<'_>,
    ) -> Result<(ArtifactSummary, Written)> {
        let result = self.archive(disk, reading, counters, output);
        if let Self::Filesystem(mounted) = self {
            let name = mounted.section.name.clone();
            if let Err(error) = mounted.unmount() {
                tracing::warn!(section = name, error = domain::failure::chain(&error), "unmounting failed");
            }
        }
        Ok(result?)
    }

    fn archive(
        &self,
        disk: &Disk,
        reading: disk::Options,
        counters: &Counters,
        output: Output<'_>,
    ) -> Result<(ArtifactSummary, Written), disk::Error> {
        let Output { options, stream, index } = output;
        match self {
            Self::Filesystem(mounted) => {
                let mut writer = TarArchiveWriter::new(options, stream.members(), index)?;
                let report = disk::export_filesystem(mounted, &mut writer, &reading, &counters.reading)?;
                let written = Written {
                    bytes_read: report.bytes_read,
                    sockets: report.sockets.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect(),
                    notes: report.notes,
                };
                Ok((writer.finish()?, written))
            }
            Self::Image(image) => {
                let mut writer = ImageWriter::new(options, stream.members(), index)?;
                let report = disk::export_image(disk, image, &mut writer, &reading, &counters.reading)?;
                let written = Written { bytes_read: report.bytes_read, sockets: Vec::new(), notes: Vec::new() };
                Ok((writer.finish()?, written))
            }
        }
    }
}

impl DiskRun<'_> {
    /// Exports the disk at `path`, manifest last.
    async fn disk(&self, path: &Path, access: Access, attachment: Option<&Attachment>) -> Result<Manifest> {
        let (disk, mut layout) = self.open(path.to_owned(), access).await?;
        let counters = Arc::new(Counters::default());
        let reporter = Reporter::start(Arc::clone(&counters));
        // The reading threads poll a flag of their own.
        let watch = {
            let (stop, counters) = (self.run.stop.clone(), Arc::clone(&counters));
            tokio::spawn(async move {
                stop.cancelled().await;
                counters.reading.cancel();
            })
        };
        let result = self.sections(&disk, &mut layout, &counters).await;
        watch.abort();
        let result = match result {
            Ok(harvest) => self.finish(&disk, &layout, harvest, &counters, attachment).await,
            Err(error) => Err(error),
        };
        reporter.finish();
        result
    }

    async fn open(&self, path: PathBuf, access: Access) -> Result<(Arc<Disk>, Layout)> {
        let expect = self.config.expect_bytes;
        blocking("open the disk", move || {
            let disk = Disk::open(&path, access, expect)?;
            let layout = Layout::read(&disk)?;
            Ok((Arc::new(disk), layout))
        })
        .await
    }

    async fn sections(&self, disk: &Arc<Disk>, layout: &mut Layout, counters: &Arc<Counters>) -> Result<Harvest> {
        let mut harvest = Harvest::default();
        for section in std::mem::take(&mut layout.sections) {
            if self.run.stop.is_cancelled() {
                return Err(Error::interrupted());
            }
            let opened = {
                let (disk, section) = (Arc::clone(disk), section.clone());
                blocking("open a partition", move || section.open(&disk)).await?
            };
            let fate = match opened {
                Opened::Skipped(skipped) => {
                    tracing::info!(section = section.name, reason = skipped.reason, "left out");
                    harvest.skipped.push(Skipped { source: skipped.section.source, reason: skipped.reason.clone() });
                    Fate::Skipped(skipped.reason)
                }
                Opened::Filesystem(mounted) => {
                    let used = mounted.used_bytes().unwrap_or_default();
                    counters.reading.add_total_bytes(used);
                    Fate::Artifact(self.artifact(Job::filesystem(mounted), disk, counters, &mut harvest).await?)
                }
                Opened::Image(image) => {
                    counters.reading.add_total_bytes(image.section.source.size_bytes);
                    Fate::Artifact(self.artifact(Job::image(image), disk, counters, &mut harvest).await?)
                }
            };
            layout.table.set_fate(&section, fate);
        }
        Ok(harvest)
    }

    /// Writes one artifact and its index, and returns the artifact's name.
    async fn artifact(
        &self,
        job: Job,
        disk: &Arc<Disk>,
        counters: &Arc<Counters>,
        harvest: &mut Harvest,
    ) -> Result<String> {
        let section = job.section().clone();
        let reason = job.reason();
        let recipe = Recipe {
            stem: section.name.clone(),
            extension: job.extension(),
            method: job.method(),
            parts: self.part_plan(&section)?,
            at_once: 1,
        };
        if let Some(reason) = &reason {
            tracing::info!(section = section.name, reason, "becomes an image");
        }
        let (disk, reading, shared) = (Arc::clone(disk), self.config.reading, Arc::clone(counters));
        let produce = move |output: Output<'_>| job.write(&disk, reading, &shared, output);
        let (mut artifact, Written { bytes_read, sockets, notes }) =
            self.run.artifact(&recipe, &self.config.writing, counters, self.run.stop, produce).await?;
        harvest.notes.extend(notes);
        artifact.fallback_reason = reason;
        artifact.source = Some(section.source);
        artifact.bytes_read = bytes_read;
        artifact.sockets = sockets;
        let name = artifact.name.clone();
        harvest.artifacts.push(artifact);
        Ok(name)
    }

    fn part_plan(&self, section: &Section) -> Result<PartPlan> {
        if let Some(bytes) = self.config.writing.part_bytes {
            return Ok(PartPlan::with_base(bytes));
        }
        PartPlan::for_source(section.source.size_bytes).map_err(|error| {
            Error::caused_by(Kind::InvalidSettings, format!("plan the upload of {}", section.name), error)
        })
    }

    async fn finish(
        &self,
        disk: &Disk,
        layout: &Layout,
        mut harvest: Harvest,
        counters: &Counters,
        attachment: Option<&Attachment>,
    ) -> Result<Manifest> {
        let run = self.run;
        let partition_table = match layout.table.scheme {
            Scheme::None => None,
            Scheme::Gpt | Scheme::Mbr => {
                let key = format!("{}{}", run.place.destination.prefix(), key::PARTITION_TABLE);
                let content = layout.table.to_json().into();
                Some(stoppable(run.stop, put_small(run.sink, key, content, counters)).await?)
            }
        };
        harvest.notes.splice(..0, layout.table.notes.iter().cloned());
        let source = DiskFacts {
            unit_key: run.assignment.as_ref().map(|assignment| assignment.unit.key.clone()),
            size_bytes: disk.size_bytes(),
            sector_bytes: layout.table.sector_bytes,
            partition_scheme: match layout.table.scheme {
                Scheme::Gpt => "gpt",
                Scheme::Mbr => "mbr",
                Scheme::None => "none",
            }
            .to_owned(),
            partition_table,
        };
        let cost = attachment.and_then(|attachment| self.cost(attachment, Timestamp::now()));
        run.finish(Origin::Disk(source), harvest, counters, cost).await
    }

    /// What is known here: the size and age of the volume, and how long this process ran. Prices, requests and the host
    /// are not.
    fn cost(&self, attachment: &Attachment, until: Timestamp) -> Option<Cost> {
        let volume = attachment.volume();
        let seconds = until.duration_since(volume.created_at?).as_secs_f64();
        Some(self.run.cost(f64::from(volume.size_gib), seconds, 0.0))
    }
}
