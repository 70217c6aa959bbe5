//! Reading an export back: what is stored must be what the manifest says, object by object.
//!
//! Every difference is reported, not only the first, in words that name the object. Failing to read says nothing about what is stored and is
//! another kind of failure.

mod download;
mod dump;
pub(crate) mod store;

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use archive::{ArtifactKind, Expected, VerifyError, verify_image_and};
use domain::failure::Kind;
use domain::key;
use domain::manifest::{Artifact, InvalidManifest, Manifest, Method, SmallObject};
use tokio_util::sync::CancellationToken;

use self::dump::Again;
use self::store::{Held, Store};
use crate::cli::Mode;
use crate::config::VerifyConfig;
use crate::database::child::Children;
use crate::native;
use domain::failure::{Error, Result};

/// What a verification found equal, printed as one line of JSON.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The manifest.
    pub manifest: String,
    /// `readback` or `checksum`.
    pub mode: &'static str,
    /// Always true: a difference is an error.
    pub verified: bool,
    /// Archives, images and dumps.
    pub artifacts: usize,
    /// Objects that AWS itself wrote.
    pub objects: u64,
    /// The bytes of both.
    pub bytes: u64,
    /// Bytes that were decompressed and hashed.
    pub uncompressed_bytes: u64,
    /// Rows of the indexes that were found, with their hashes.
    pub entries: u64,
    /// Rows of tables that were counted again, in dumps and in what AWS wrote.
    pub rows: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Verifies the export of a manifest.
pub async fn run(config: &VerifyConfig, stop: &CancellationToken) -> Result<Report> {
    let store = Store::open(&config.folder, config.bucket_owner.as_ref(), stop).await;
    let children = Children::default();
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = verify(config, &store, &children, stop) => result,
    };
    children.halt();
    if let (Err(error), true) = (&result, config.in_batch)
        && let Some(sink) = store.sink()
    {
        crate::pipeline::leave_word(&sink, &config.folder, error).await;
    }
    result
}

async fn verify(config: &VerifyConfig, store: &Store, children: &Children, stop: &CancellationToken) -> Result<Report> {
    let clock = std::time::Instant::now();
    store.preflight().await?;
    let manifest_key = format!("{}{}", config.folder.prefix(), config.name);
    let location = store.locate(&manifest_key);
    let content = store.read(&manifest_key).await?.ok_or_else(|| {
        Error::new(
            Kind::SourceNotFound,
            format!("{location} does not exist: no export was finished there, or its manifest was removed"),
        )
    })?;
    let copied = store.copied_bucket(&content);
    let (store, prefix) =
        copied.as_ref().map_or((store, config.folder.prefix()), |(store, prefix)| (store, prefix.as_str()));
    let manifest = Manifest::parse(&content, prefix)
        .and_then(|manifest| keys_are_its_own(manifest, prefix))
        .map_err(|error| disbelieved(&location, error))?;
    let done = Arc::new(AtomicU64::new(0));
    let watch = report_progress(Arc::clone(&done), &manifest);
    let mut report = Report {
        manifest: location.clone(),
        mode: match config.mode {
            Mode::Readback => "readback",
            Mode::Checksum => "checksum",
        },
        verified: true,
        artifacts: manifest.artifacts.len(),
        objects: 0,
        bytes: 0,
        uncompressed_bytes: 0,
        entries: 0,
        rows: 0,
        duration_ms: 0,
    };
    if config.mode == Mode::Readback {
        dump::require_tools(&manifest, children).await?;
    }
    let mut differences = Vec::new();
    if let Some(table) = partition_table(&manifest) {
        collect(small(store, table, config.mode).await, &mut differences)?;
    }
    for artifact in &manifest.artifacts {
        let checked = match config.mode {
            Mode::Checksum => checksums(store, artifact).await,
            Mode::Readback => readback(store, artifact, config.threads, children, stop, &done).await,
        };
        if let Some(checked) = collect(checked, &mut differences)? {
            report.bytes += checked.bytes;
            report.uncompressed_bytes += checked.uncompressed_bytes;
            report.entries += checked.entries;
            report.rows += checked.rows;
        }
    }
    if let Some(native) = &manifest.native {
        let listing = collect(small(store, &native.listing, Mode::Readback).await, &mut differences)?.flatten();
        if let Some(mut listing) = listing {
            let mut content = Vec::new();
            let read = listing.read_to_end(&mut content);
            read.map_err(|error| Error::internal("read the list of objects", error))?;
            let what = native::verify::Subject { store, native, folder: prefix, mode: config.mode };
            let verified = what.verify(&content, stop, &done, &mut differences).await;
            if let Some(verified) = collect(verified, &mut differences)? {
                report.objects = verified.objects;
                report.bytes += verified.bytes;
                report.rows += verified.items;
            }
        }
    }
    watch.abort();
    if !differences.is_empty() {
        return Err(Error::new(
            Kind::VerificationFailed,
            format!("what is stored differs from {location}: {}", differences.join("; ")),
        ));
    }
    report.duration_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

#[derive(Debug, Default)]
struct Checked {
    bytes: u64,
    uncompressed_bytes: u64,
    entries: u64,
    rows: u64,
}

/// Keeps a difference for the end; any other failure ends the verification.
fn collect<T>(result: Result<T>, differences: &mut Vec<String>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Kind::VerificationFailed => {
            tracing::error!(difference = error.chain(), "not as the manifest says");
            differences.push(error.chain());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the manifest of a prefix may name: objects of that prefix, and file indexes.
fn keys_are_its_own(manifest: Manifest, prefix: &str) -> Result<Manifest, InvalidManifest> {
    let outside = |what: &str, key: &str| {
        Err(InvalidManifest::Contradiction(format!("{what} is said to be at {key}, outside {prefix:?}")))
    };
    for artifact in &manifest.artifacts {
        if artifact.key != format!("{prefix}{}", artifact.name) {
            return outside(&artifact.name, &artifact.key);
        }
        let stem = artifact.name.split('.').next().unwrap_or_default();
        let index = &artifact.index.key;
        let beside = *index == format!("{prefix}{stem}.parquet");
        let in_catalog = manifest.export_id.as_ref().is_some_and(|export| {
            index.starts_with("catalog/files/")
                && index.contains(&format!("/{export}-"))
                && index.ends_with(&format!("-{stem}.parquet"))
        });
        if !beside && !in_catalog {
            return outside(&format!("the index of {}", artifact.name), index);
        }
    }
    if let Some(table) = partition_table(&manifest)
        && table.key != format!("{prefix}{}", key::PARTITION_TABLE)
    {
        return outside("the partition table", &table.key);
    }
    if let Some(native) = &manifest.native
        && native.listing.key != format!("{prefix}{}", key::NATIVE_LISTING)
    {
        return outside("the list of objects", &native.listing.key);
    }
    Ok(manifest)
}

fn partition_table(manifest: &Manifest) -> Option<&SmallObject> {
    manifest.source.as_disk()?.partition_table.as_ref()
}

fn disbelieved(location: &str, error: InvalidManifest) -> Error {
    let kind = match error {
        InvalidManifest::UnknownSchema(_) => Kind::InvalidSettings,
        InvalidManifest::Malformed(_) | InvalidManifest::Contradiction(_) => Kind::VerificationFailed,
    };
    Error::caused_by(kind, format!("believe {location}"), error)
}

fn differs(what: String) -> Error {
    Error::new(Kind::VerificationFailed, what)
}

/// The name of an object within its folder, for messages.
fn name_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Looks at an object and compares its size.
async fn held(store: &Store, key: &str, expected_bytes: u64) -> Result<Held> {
    let (name, folder) = (name_of(key), store.folder_of(key));
    let Some(held) = store.look(key).await? else {
        return Err(differs(format!("{name} is missing from {folder}: it was removed after the export")));
    };
    if held.bytes == expected_bytes {
        return Ok(held);
    }
    let fate = if held.bytes < expected_bytes { "it was cut short" } else { "it was replaced or added to" };
    Err(differs(format!(
        "{name} in {folder} is {} bytes, the manifest says {}: {fate}",
        grouped(held.bytes),
        grouped(expected_bytes)
    )))
}

fn compare_checksum(store: &Store, key: &str, held: &Held, expected: &str) -> Result<()> {
    let (name, folder) = (name_of(key), store.folder_of(key));
    match &held.crc64nvme {
        Some(stored) if stored == expected => Ok(()),
        Some(stored) => Err(differs(format!(
            "{name} in {folder} has the CRC64NVME {stored}, the manifest says {expected}: its content was changed"
        ))),
        None => Err(differs(format!(
            "S3 knows no CRC64NVME of {name} in {folder}: it was copied or replaced without one, use --mode readback"
        ))),
    }
}

async fn checksums(store: &Store, artifact: &Artifact) -> Result<Checked> {
    let object = held(store, &artifact.key, artifact.bytes).await?;
    compare_checksum(store, &artifact.key, &object, &artifact.crc64nvme)?;
    small(store, &artifact.index, Mode::Checksum).await?;
    Ok(Checked { bytes: artifact.bytes, ..Checked::default() })
}

/// Verifies an object that has no members: its bytes as they are. In checksum mode they are not read.
async fn small(store: &Store, object: &SmallObject, mode: Mode) -> Result<Option<File>> {
    let found = held(store, &object.key, object.bytes).await?;
    match mode {
        Mode::Checksum => compare_checksum(store, &object.key, &found, &object.crc64nvme).map(|()| None),
        Mode::Readback => {
            let (file, sha256) = store.fetch(&object.key, &found).await?;
            if sha256.to_string() == object.sha256 {
                return Ok(Some(file));
            }
            Err(differs(format!(
                "{} in {} has the SHA-256 {sha256}, the manifest says {}: its content was changed",
                name_of(&object.key),
                store.folder_of(&object.key),
                object.sha256
            )))
        }
    }
}

async fn readback(
    store: &Store,
    artifact: &Artifact,
    threads: usize,
    children: &Children,
    stop: &CancellationToken,
    done: &Arc<AtomicU64>,
) -> Result<Checked> {
    let expected = expected(artifact).map_err(|error| disbelieved(&artifact.name, error))?;
    let object = held(store, &artifact.key, artifact.bytes).await?;
    let index = small(store, &artifact.index, Mode::Readback)
        .await?
        .ok_or_else(|| Error::new(Kind::Internal, "an index that was not read"))?;
    let (stream, failure) = store.stream(&artifact.key, &object, stop.clone())?;
    let (before, shared) = (done.load(Ordering::Relaxed), Arc::clone(done));
    let (dump, children) = (artifact.dump.clone(), children.clone());
    let checking = tokio::task::spawn_blocking(move || {
        let stream: Box<dyn Read + Send> = stream;
        let mut again = dump.as_ref().map(|dump| Again::new(dump, &children)).transpose()?;
        let mut progress = |bytes| shared.store(before + bytes, Ordering::Relaxed);
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
    let (verified, read) = match (checking, failure.take()) {
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

fn report_progress(done: Arc<AtomicU64>, manifest: &Manifest) -> tokio::task::JoinHandle<()> {
    let native = manifest.native.as_ref().map_or(0, |native| native.bytes);
    let total: u64 = manifest.artifacts.iter().map(|artifact| artifact.bytes).sum::<u64>() + native;
    tokio::spawn(async move {
        let mut minute = tokio::time::interval(std::time::Duration::from_mins(1));
        minute.tick().await;
        loop {
            minute.tick().await;
            let bytes_read = done.load(Ordering::Relaxed);
            tracing::info!(bytes_read, bytes_total = total, "progress");
        }
    })
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::manifest::{Disk, Origin};

    use super::*;

    #[test]
    fn numbers_are_grouped_as_people_read_them() {
        for (number, text) in [(0, "0"), (999, "999"), (1_234, "1,234"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    const GOLDEN: &str = include_str!("../../../domain/golden/manifest.json");
    const PREFIX: &str =
        "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/";

    fn with(change: impl FnOnce(&mut Manifest)) -> Result<Manifest, InvalidManifest> {
        let mut manifest = Manifest::parse(GOLDEN.as_bytes(), PREFIX).unwrap();
        change(&mut manifest);
        keys_are_its_own(manifest, PREFIX)
    }

    #[test]
    fn a_manifest_may_name_only_what_is_its_own() {
        assert!(with(|_| {}).is_ok());
        let elsewhere = "catalog/files/x/exp-ffffffffffffffffffff-partition-1.parquet";
        for error in [
            with(|manifest| manifest.artifacts[0].index.key = elsewhere.to_owned()),
            with(|manifest| manifest.artifacts[0].key = "data/other/partition-1.tar.gz".to_owned()),
            with(|manifest| {
                if let Origin::Disk(Disk { partition_table: Some(table), .. }) = &mut manifest.source {
                    table.key = "claims/x.json".to_owned();
                }
            }),
        ] {
            assert!(error.unwrap_err().to_string().contains("outside"));
        }
    }
}
