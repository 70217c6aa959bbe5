//! One stream to one artifact with its index.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::Instant;

use archive::{ArchiveOptions, ArtifactSummary, Crc64NvmeStream, Sha256, Sha256Stream};
use bytes::Bytes;
use domain::failure::{Error, Result};
use domain::manifest::{Artifact, Method, SmallObject};
use domain::part::{MIN_PART_BYTES, PartPlan};
use store::write::{Existing, Finished, ObjectSink, Stored, StreamWriter, transfer};
use tokio_util::sync::CancellationToken;

use super::run::{Run, milliseconds};
use crate::config::Writing;
use crate::progress::Counters;

/// Bytes of members that may be under way between the archive writer and its compressors.
const COMPRESS_BUDGET_BYTES: usize = 64 << 20;
/// Pieces in which an index is read from its temporary file.
const INDEX_CHUNK_BYTES: usize = 512 << 10;

/// What an artifact is to be.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// What its name begins with. Holds no dot.
    pub(crate) stem: String,
    /// What follows, before the codec's: `tar`.
    pub(crate) extension: &'static str,
    /// How it holds its source.
    pub(crate) method: Method,
    /// How it is uploaded.
    pub(crate) parts: PartPlan,
    /// How many artifacts may be written at the same time, and share threads and memory.
    pub(crate) at_once: usize,
}

/// Where an artifact is written to.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    /// How.
    pub(crate) options: ArchiveOptions,
    /// Its members.
    pub(crate) stream: &'a StreamWriter,
    pub(crate) index: File,
}

impl Run<'_> {
    /// Writes one artifact and its index. `produce` runs on a thread of its own; the object appears only if it
    /// succeeds.
    pub(crate) async fn artifact<T: Send + 'static>(
        &self,
        recipe: &Recipe,
        writing: &Writing,
        counters: &Arc<Counters>,
        stop: &CancellationToken,
        produce: impl FnOnce(Output<'_>) -> Result<(ArtifactSummary, T)> + Send + 'static,
    ) -> Result<(Artifact, T)> {
        let clock = Instant::now();
        let compression = writing.compression;
        let name = format!("{}.{}{}", recipe.stem, recipe.extension, compression.codec().extension());
        let key = format!("{}{name}", self.place.destination.prefix());
        tracing::info!(artifact = name, "writing");
        let (index, index_writer) = index_file()?;
        let options = ArchiveOptions {
            artifact: name.clone(),
            export_id: self.assignment.as_ref().map(|assignment| assignment.plan.export_id.to_string()),
            compression,
            threads: (writing.compress_threads / recipe.at_once).max(1),
            budget_bytes: COMPRESS_BUDGET_BYTES / recipe.at_once,
        };
        let write = move |stream: StreamWriter| {
            let (summary, other) = produce(Output { options, stream: &stream, index: index_writer })?;
            let counted = Stored { bytes: summary.compressed_bytes, crc64nvme: summary.crc64nvme };
            Ok(((summary, other), stream.finish(counted)))
        };
        let sent = |bytes| counters.add_uploaded(bytes);
        let ((summary, other), _) = transfer(self.sink, &key, recipe.parts, stop, sent, write).await?;
        let index = self.index(&recipe.stem, index, counters, stop).await?;
        tracing::info!(
            artifact = name,
            bytes = summary.compressed_bytes,
            uncompressed_bytes = summary.uncompressed_bytes,
            entries = summary.entries,
            milliseconds = milliseconds(clock.elapsed()),
            "written and checked"
        );
        let artifact = Artifact {
            name,
            key,
            method: recipe.method,
            fallback_reason: None,
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
            source: None,
            dump: None,
            duration_ms: milliseconds(clock.elapsed()),
            bytes_read: 0,
            sockets: Vec::new(),
        };
        Ok((artifact, other))
    }

    /// Uploads the index, at once where it is small.
    async fn index(
        &self,
        stem: &str,
        mut file: File,
        counters: &Counters,
        stop: &CancellationToken,
    ) -> Result<SmallObject> {
        let name = format!("{stem}.parquet");
        let key = match &self.assignment {
            Some(assignment) => assignment.unit.index_prefix.key(&name),
            None => format!("{}{name}", self.place.destination.prefix()),
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
        let (sha256, stored) = transfer(self.sink, &key, plan, stop, sent, move |output| {
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
    let (mut hash, mut crc, mut bytes) = (Sha256Stream::default(), Crc64NvmeStream::default(), 0);
    loop {
        let mut chunk = Vec::with_capacity(INDEX_CHUNK_BYTES);
        (&mut file).take(INDEX_CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok((hash.finish().to_string(), output.finish(Stored { bytes, crc64nvme: crc.value() })));
        }
        hash.update(&chunk);
        crc.update(&chunk);
        bytes += chunk.len() as u64;
        output.send(chunk.into())?;
    }
}

/// Writes a small object and describes it.
pub(crate) async fn put_small(
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
