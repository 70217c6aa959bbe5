//! One artifact and its index: by S3's checksums, or read back, decompressed and compared hash by hash.

use std::io::Read;
use std::sync::Arc;

use archive::{ArtifactKind, Expected, VerifyError, verify_image_and};
use domain::failure::{Error, Kind, Result};
use domain::manifest::{Artifact, InvalidManifest, Method};
use store::read::Store;
use tokio_util::sync::CancellationToken;

use super::dump::Again;
use super::manifest::disbelieved;
use super::object::{compare_checksum, differs, held, small};
use crate::cli::Mode;
use crate::database::child::Children;
use crate::progress::Counters;

/// What was found equal.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) bytes: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) entries: u64,
    pub(super) rows: u64,
}

pub(super) async fn checksums(store: &Store, artifact: &Artifact, stop: &CancellationToken) -> Result<Checked> {
    let object = held(store, &artifact.key, artifact.bytes).await?;
    compare_checksum(store, &artifact.key, &object, &artifact.crc64nvme)?;
    small(store, &artifact.index, Mode::Checksum, stop).await?;
    Ok(Checked { bytes: artifact.bytes, ..Checked::default() })
}

pub(super) async fn readback(
    store: &Store,
    artifact: &Artifact,
    threads: usize,
    children: &Children,
    stop: &CancellationToken,
    counters: &Arc<Counters>,
) -> Result<Checked> {
    let expected = expected(artifact).map_err(|error| disbelieved(&artifact.name, error))?;
    let object = held(store, &artifact.key, artifact.bytes).await?;
    let index = small(store, &artifact.index, Mode::Readback, stop)
        .await?
        .ok_or_else(|| Error::new(Kind::Internal, "an index that was not read"))?;
    let (stream, breakage) = store.stream(&artifact.key, &object, stop.clone())?;
    let shared = Arc::clone(counters);
    let (dump, children) = (artifact.dump.clone(), children.clone());
    let checking = tokio::task::spawn_blocking(move || {
        let stream: Box<dyn Read + Send> = stream;
        let mut again = dump.as_ref().map(|dump| Again::new(dump, &children)).transpose()?;
        let mut told = 0;
        let mut progress = |bytes: u64| {
            shared.reading.add_bytes_read(bytes.saturating_sub(told));
            told = bytes;
        };
        let mut content = |data: &[u8]| {
            if let Some(again) = &mut again {
                again.write(data);
            }
        };
        let verified = verify_image_and(stream, index, &expected, threads, &mut progress, &mut content);
        // What differs byte by byte differs in what it holds, too, and the first says it better.
        let read = match (&verified, again) {
            (Ok(_), Some(again)) => Some(again.finish()?),
            _ => None,
        };
        Ok::<_, Error>((verified, read))
    });
    let checking = checking.await.map_err(|panic| Error::internal(format!("verify {}", artifact.name), panic))?;
    let (verified, read) = match (checking, breakage.take()) {
        (_, Some(error)) => return Err(error),
        (result, None) => result?,
    };
    if let Some(Err(difference)) = &read {
        return Err(differs(format!("{} in {}: {difference}", artifact.name, store.folder_of(&artifact.key))));
    }
    let rows = artifact.dump.iter().flat_map(|dump| &dump.tables).map(|table| table.rows).sum();
    match verified {
        Ok(verified) => Ok(Checked {
            bytes: verified.compressed_bytes,
            uncompressed_bytes: verified.uncompressed_bytes,
            entries: verified.entries,
            rows,
        }),
        Err(VerifyError::Mismatch(mismatch)) => Err(differs(format!(
            "{} in {}: {}",
            mismatch.artifact,
            store.folder_of(&artifact.key),
            mismatch.difference
        ))),
        Err(error) => Err(Error::caused_by(
            Kind::Unavailable,
            format!("read {} back", store.locate(&artifact.key)),
            domain::failure::chain(&error),
        )),
    }
}

fn expected(artifact: &Artifact) -> Result<Expected, InvalidManifest> {
    let contradiction = |error: archive::Error| InvalidManifest::Contradiction(error.to_string());
    Ok(Expected {
        artifact: artifact.name.clone(),
        kind: match artifact.method {
            Method::Tar => ArtifactKind::Tar,
            Method::Image | Method::Dump => ArtifactKind::Image,
        },
        codec: artifact.codec.parse().map_err(contradiction)?,
        compressed_bytes: artifact.bytes,
        uncompressed_bytes: artifact.uncompressed_bytes,
        entries: artifact.entries,
        sha256: artifact.sha256.parse().map_err(contradiction)?,
        crc64nvme: artifact.crc64nvme.parse().map_err(contradiction)?,
        uncompressed_sha256: artifact.uncompressed_sha256.parse().map_err(contradiction)?,
    })
}
