//! What a tool prints to one artifact, counted on the way.

use std::io::Read;
use std::process::Stdio;

use archive::{ArtifactSummary, ImageWriter};
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Artifact, Dump, DumpContent, DumpFormat, Method};
use domain::part::{MIN_PART_BYTES, PartPlan};
use store::write::{PARTS_MEMORY_BYTES, in_flight};

use super::child::Tool;
use super::count::{Contents, Inspector, Unreadable};
use super::dumping::{Dumping, Session};
use crate::export::{Output, Recipe};
use crate::progress::Counters;

const READ_BYTES: usize = 256 << 10;

/// A dump that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// What the artifact's name begins with.
    pub(crate) stem: String,
    pub(crate) format: DumpFormat,
    pub(crate) content: DumpContent,
    pub(crate) database: Option<String>,
    /// What it is, for messages: `database orders`.
    pub(crate) what: String,
    /// About how large it may become.
    pub(crate) size_bytes: u64,
    /// How many artifacts are written at the same time.
    pub(crate) at_once: usize,
}

/// Where the bytes of a dump come from.
#[derive(Debug)]
pub(crate) enum Content {
    Tool(Tool),
    /// What a tool prints, changed on the way.
    Rewritten(Tool, Box<dyn Rewrite>),
    Text(String),
}

/// Takes a dump in pieces, and gives it back changed.
pub(crate) trait Rewrite: std::fmt::Debug + Send {
    /// Takes `data`, and adds to `output` what is written of it.
    fn write(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Unreadable>;

    /// Whether it ended where a dump may end.
    fn finish(self: Box<Self>) -> Result<(), Unreadable>;
}

impl Dumping<'_> {
    /// Writes one dump.
    pub(crate) async fn write(&self, job: Job, content: Content) -> Result<Artifact> {
        let recipe = Recipe {
            stem: job.stem.clone(),
            extension: match job.format {
                DumpFormat::Custom => "dump",
                DumpFormat::Sql => "sql",
            },
            method: Method::Dump,
            parts: self.parts(&job)?,
            at_once: job.at_once,
        };
        let (session, counters, making) =
            (std::sync::Arc::clone(&self.session), std::sync::Arc::clone(&self.counters), job.clone());
        let produce = move |output: Output<'_>| produce(&session, &counters, &making, content, output);
        let written = self.run.artifact(&recipe, &self.config.writing, &self.counters, &self.halt, produce).await;
        let (mut artifact, contents) = written?;
        artifact.bytes_read = artifact.uncompressed_bytes;
        artifact.dump = Some(Dump {
            format: job.format,
            content: job.content,
            database: job.database,
            objects: contents.objects,
            tables: contents.tables(),
        });
        Ok(artifact)
    }

    /// Parts by the size of what is dumped, and not of all: they are memory, of which several artifacts have a share
    /// each.
    fn parts(&self, job: &Job) -> Result<PartPlan> {
        let planned = PartPlan::for_source(job.size_bytes).map_err(|error| {
            Error::caused_by(Kind::InvalidSettings, format!("plan the upload of {}", job.what), error)
        })?;
        let planned = planned.part_bytes(1).unwrap_or(MIN_PART_BYTES);
        let bytes = self.config.writing.part_bytes.map_or(planned, |given| given.min(planned));
        Ok(PartPlan::with_base(bytes))
    }

    /// How many of `jobs` may be written at the same time.
    pub(crate) fn at_once(&self, jobs: &[Job]) -> Result<usize> {
        let mut most = 0;
        for job in jobs {
            let part_bytes = self.parts(job)?.part_bytes(1).unwrap_or(MIN_PART_BYTES);
            // Larger parts go through files.
            let parts = if part_bytes > PARTS_MEMORY_BYTES / 3 { 0 } else { in_flight(part_bytes) as u64 + 1 };
            most = most.max(parts * part_bytes);
        }
        // As much as the largest upload by itself may have, and half of it more: the compressors' share is divided.
        let by_memory = (PARTS_MEMORY_BYTES * 3 / 2 / most.max(1)).max(1);
        Ok(self.config.jobs.min(jobs.len()).min(usize::try_from(by_memory).unwrap_or(1)).max(1))
    }
}

fn produce(
    session: &Session,
    counters: &Counters,
    job: &Job,
    content: Content,
    output: Output<'_>,
) -> Result<(ArtifactSummary, Contents)> {
    let Output { options, stream, index } = output;
    let what = format!("dump {} of {}", job.what, session.login.address());
    let archive = |error: archive::Error| Error::internal(format!("compress {}", job.what), error);
    let mut writer = ImageWriter::new(options, stream.members(), index).map_err(archive)?;
    let mut inspector = Inspector::new(job.format, job.content, &session.children)?;
    let unreadable = |error| Error::caused_by(Kind::DumpFailed, what.clone(), error);
    let mut take = |data: &[u8]| -> Result<()> {
        writer.write(data).map_err(archive)?;
        counters.reading.add_bytes_read(data.len() as u64);
        inspector.write(data).map_err(unreadable)
    };
    match content {
        Content::Text(text) => take(text.as_bytes())?,
        Content::Tool(tool) => run(session, job, &tool, &mut take)?,
        Content::Rewritten(tool, mut rewriter) => {
            let mut rewritten = Vec::new();
            run(session, job, &tool, |data| {
                rewritten.clear();
                rewriter.write(data, &mut rewritten).map_err(unreadable)?;
                take(&rewritten)
            })?;
            rewriter.finish().map_err(unreadable)?;
        }
    }
    let contents = inspector.finish()?.map_err(|error| Error::caused_by(Kind::DumpFailed, what, error))?;
    Ok((writer.finish().map_err(archive)?, contents))
}

/// Gives away all that a tool prints, and waits for its end.
fn run(session: &Session, job: &Job, tool: &Tool, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut child = session.children.spawn(tool, Stdio::null())?;
    let mut printed = child.stdout()?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count =
            printed.read(&mut buffer).map_err(|error| Error::internal(format!("read from {}", job.what), error))?;
        if count == 0 {
            break;
        }
        take(&buffer[..count])?;
    }
    let what = format!("dump {} of {}", job.what, session.login.address());
    child.wait()?.map_err(|ended| ended.error(what))
}
