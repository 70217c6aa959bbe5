//! What AWS itself wrote: DynamoDB's exports of tables, RDS's exports of snapshots. Read [`record`] first.
//!
//! Nothing is copied. Every object is read to its end and hashed, what is in it is counted and compared with what AWS says of it, and the list of all objects
//! becomes part of the manifest, so that they can be verified later like what the worker wrote itself.

mod count;
mod snapshot;
mod table;
pub(crate) mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::failure::Kind;
use domain::key::{ERROR, MANIFEST, NATIVE_LISTING};
use domain::manifest::{Manifest, Native, NativeObject, Origin, TableCount};
use domain::source::Source;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use self::count::Content;
use crate::config::RecordConfig;
use crate::pipeline::artifact::put_small;
use crate::pipeline::{self, Harvest, Report, Run, stoppable};
use crate::progress::{Counters, Reporter};
use crate::verify::store::{Listed, Store};
use domain::failure::{Error, Result};

/// Objects that are read at the same time. Each holds up to 80 MiB of ranges.
const AT_ONCE: usize = 4;
/// The largest description of an export that is read whole.
const MOST_DESCRIPTION_BYTES: u64 = 256 << 20;

/// Checks an export of AWS's own and writes its manifest.
pub async fn record(config: &RecordConfig, stop: &tokio_util::sync::CancellationToken) -> Result<Report> {
    pipeline::export(&config.place, true, stop, async |run| stoppable(run.stop, Box::pin(recorded(run, config))).await)
        .await
}

/// What was found out about an export.
#[derive(Debug)]
struct Found {
    origin: Origin,
    format: &'static str,
    export: String,
    objects: Vec<NativeObject>,
    tables: Vec<TableCount>,
    notes: Vec<String>,
}

/// What is read, from where.
pub(crate) struct Reading<'a> {
    pub(crate) store: &'a Store,
    pub(crate) bytes_read: Arc<AtomicU64>,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

async fn recorded(run: &Run<'_>, config: &RecordConfig) -> Result<Manifest> {
    let place = &config.place;
    let assignment = run.assignment.as_ref().ok_or_else(|| Error::new(Kind::Internal, "a record without a plan"))?;
    let store = Store::open(&config.objects, place.bucket_owner.as_ref(), run.stop).await;
    let prefix = config.objects.prefix();
    let listed = native_objects(&store, prefix, place.destination.prefix()).await?;
    if listed.is_empty() {
        return Err(Error::new(
            Kind::NativeExportFailed,
            format!("{} holds no objects: the export that AWS reported wrote nothing there", config.objects),
        ));
    }
    let counters = Arc::new(Counters::default());
    counters.reading.add_total_bytes(listed.iter().map(|object| object.held.bytes).sum());
    let reporter = Reporter::start(Arc::clone(&counters));
    let reading = Reading { store: &store, bytes_read: Arc::default(), stop: run.stop.clone() };
    let watch = {
        let (bytes_read, counters) = (Arc::clone(&reading.bytes_read), Arc::clone(&counters));
        tokio::spawn(async move {
            let mut second = tokio::time::interval(std::time::Duration::from_secs(1));
            loop {
                second.tick().await;
                counters.reading.add_bytes_read(bytes_read.swap(0, Ordering::Relaxed));
            }
        })
    };
    let found = match &assignment.unit.source {
        Source::Table(source) => table::check(run, &reading, source, prefix, &listed).await,
        Source::SnapshotExport(source) => snapshot::check(&reading, source, prefix, &listed).await,
        other @ (Source::Volume(_) | Source::Database(_)) => Err(Error::new(
            Kind::InvalidSettings,
            format!("{} is to be exported as {}, which AWS does not do itself", assignment.unit.key, other.method()),
        )),
    };
    watch.abort();
    counters.reading.add_bytes_read(reading.bytes_read.swap(0, Ordering::Relaxed));
    reporter.finish();
    let found = found?;
    let mut listing = Vec::new();
    for object in &found.objects {
        serde_json::to_writer(&mut listing, object)
            .map_err(|error| Error::internal("write the list of objects", error))?;
        listing.push(b'\n');
    }
    let key = format!("{}{NATIVE_LISTING}", place.destination.prefix());
    let native = Native {
        format: found.format.to_owned(),
        export: found.export,
        prefix: prefix.to_owned(),
        objects: found.objects.len() as u64,
        bytes: found.objects.iter().map(|object| object.bytes).sum(),
        items: found.objects.iter().filter_map(|object| object.items).sum(),
        tables: found.tables,
        listing: put_small(run.sink, key, listing.into(), &counters).await?,
    };
    tracing::info!(objects = native.objects, bytes = native.bytes, items = native.items, "read and counted");
    let harvest = Harvest { native: Some(native), notes: found.notes, ..Harvest::default() };
    run.finish(found.origin, harvest, &counters, Some(run.cost(0.0, 0.0, 0.0))).await
}

/// The objects of an export: all under its prefix but those that are the worker's own.
pub(crate) async fn native_objects(store: &Store, prefix: &str, folder: &str) -> Result<Vec<Listed>> {
    let own = [MANIFEST, NATIVE_LISTING, ERROR].map(|name| format!("{folder}{name}"));
    let mut listed = store.list(prefix).await?;
    // Some tools make an empty object for a folder.
    listed.retain(|object| !(own.contains(&object.key) || object.key.ends_with('/') && object.held.bytes == 0));
    Ok(listed)
}

impl Reading<'_> {
    /// Reads every object to its end, several at the same time. In the order of `listed`.
    async fn all(&self, listed: &[(&Listed, Content)]) -> Result<Vec<count::Counted>> {
        stream::iter(listed.iter().copied())
            .map(|(object, content)| count::count(self, object, content))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// A small object whole.
    async fn description(&self, listed: &[Listed], key: &str) -> Result<Vec<u8>> {
        let missing = || Error::new(Kind::NativeExportFailed, format!("{} is missing", self.store.locate(key)));
        let object = listed.iter().find(|object| object.key == key).ok_or_else(missing)?;
        if object.held.bytes > MOST_DESCRIPTION_BYTES {
            return Err(Error::new(
                Kind::NativeExportFailed,
                format!("{} is {} bytes: too large for what it should be", self.store.locate(key), object.held.bytes),
            ));
        }
        self.store.read(key).await?.map(|content| content.to_vec()).ok_or_else(missing)
    }
}

fn wrong(what: String) -> Error {
    Error::new(Kind::NativeExportFailed, what)
}

fn entry(object: &Listed, counted: &count::Counted) -> NativeObject {
    NativeObject {
        key: object.key.clone(),
        bytes: object.held.bytes,
        sha256: counted.sha256.clone(),
        etag: object.held.etag.clone().unwrap_or_default(),
        items: counted.items,
    }
}
