//! One verification: the manifest is believed, every object that it names is looked at or read, every difference told.

use std::io::Read as _;
use std::sync::Arc;

use aws::config::Patience;
use domain::failure::{Error, Kind, Result};
use domain::manifest::Manifest;
use store::read::Store;
use store::write::S3Sink;
use tokio_util::sync::CancellationToken;

use super::artifact::{checksums, readback};
use super::dump;
use super::manifest::{disbelieved, keys_are_its_own, partition_table};
use super::object::small;
use crate::cli::Mode;
use crate::config::VerifyConfig;
use crate::database::child::Children;
use crate::export::leave_word;
use crate::native::verify::NativeExport;
use crate::progress::{Counters, Reporter};

/// What a verification found equal, printed as one line of JSON.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
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
    let store = Store::open(&config.folder, config.bucket_owner.as_ref(), Patience::Worker).await;
    let children = Children::default();
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::interrupted()),
        result = verify(config, &store, &children, stop) => result,
    };
    children.halt();
    if let (Err(error), true) = (&result, config.in_batch)
        && let Store::Bucket(bucket) = &store
    {
        leave_word(&S3Sink::new(bucket.clone()), &config.folder, error).await;
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
    let counters = Arc::new(Counters::default());
    let native_bytes = manifest.native.as_ref().map_or(0, |native| native.bytes);
    counters
        .reading
        .add_total_bytes(manifest.artifacts.iter().map(|artifact| artifact.bytes).sum::<u64>() + native_bytes);
    let reporter = Reporter::start(Arc::clone(&counters));
    let compared = Comparison { config, store, prefix, manifest: &manifest, children, stop, counters: &counters };
    let compared = compared.run(location).await;
    reporter.finish();
    compared
        .map(|report| Report { duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX), ..report })
}

/// A manifest that is believed, and what is compared with it.
struct Comparison<'a> {
    config: &'a VerifyConfig,
    store: &'a Store,
    /// Where the manifest is, within the store.
    prefix: &'a str,
    manifest: &'a Manifest,
    children: &'a Children,
    stop: &'a CancellationToken,
    counters: &'a Arc<Counters>,
}

impl Comparison<'_> {
    /// Looks at or reads every object, and tells all differences at the end.
    async fn run(&self, location: String) -> Result<Report> {
        let Self { config, store, prefix, manifest, children, stop, counters } = *self;
        let mut report = Report {
            manifest: location,
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
            dump::require_tools(manifest, children).await?;
        }
        let mut differences = Vec::new();
        if let Some(table) = partition_table(manifest) {
            collect(small(store, table, config.mode, stop).await, &mut differences)?;
        }
        for artifact in &manifest.artifacts {
            let checked = match config.mode {
                Mode::Checksum => checksums(store, artifact, stop).await,
                Mode::Readback => readback(store, artifact, config.threads, children, stop, counters).await,
            };
            if let Some(checked) = collect(checked, &mut differences)? {
                report.bytes += checked.bytes;
                report.uncompressed_bytes += checked.uncompressed_bytes;
                report.entries += checked.entries;
                report.rows += checked.rows;
            }
        }
        if let Some(native) = &manifest.native {
            let listing =
                collect(small(store, &native.listing, Mode::Readback, stop).await, &mut differences)?.flatten();
            if let Some(mut listing) = listing {
                let mut content = Vec::new();
                let read = listing.read_to_end(&mut content);
                read.map_err(|error| Error::internal("read the list of objects", error))?;
                let what = NativeExport { store, native, folder: prefix, mode: config.mode };
                let verified = what.verify(&content, stop, counters, &mut differences).await;
                if let Some(verified) = collect(verified, &mut differences)? {
                    report.objects = verified.objects;
                    report.bytes += verified.bytes;
                    report.rows += verified.items;
                }
            }
        }
        if differences.is_empty() {
            return Ok(report);
        }
        Err(Error::new(
            Kind::VerificationFailed,
            format!("what is stored differs from {}: {}", report.manifest, differences.join("; ")),
        ))
    }
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
