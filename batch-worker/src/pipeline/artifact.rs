//! One stream to one artifact with its index.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::Instant;

use archive::{ArchiveOptions, ArtifactSummary, Sha256};
use bytes::Bytes;
use domain::failure::Kind;
use domain::manifest::{Artifact, Method, SmallObject};
use domain::part::{MIN_PART_BYTES, PartPlan};
use tokio_util::sync::CancellationToken;

use super::{COMPRESS_BUDGET_BYTES, Run, milliseconds};
use crate::config::Writing;
use crate::progress::Counters;
use crate::sink::{Existing, Finished, ObjectSink, Stored, StreamWriter, transfer};
use domain::failure::{Error, Result};

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
    /// Its index.
    pub(crate) index: File,
}

impl Run<'_> {
    /// Writes one artifact and its index. `produce` runs on a thread of its own; the object appears only if it succeeds.
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
            let written = produce(Output { options, stream: &stream, index: index_writer })?;
            Ok((written, stream.finish()))
        };
        let sent = |bytes| counters.add_uploaded(bytes);
        let ((summary, other), stored) = transfer(self.sink, &key, recipe.parts, stop, sent, write).await?;
        agree(&name, &summary, stored)?;
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
