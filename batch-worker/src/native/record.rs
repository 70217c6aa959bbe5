//! The record of an export that AWS itself wrote: all of it read, counted, compared with what AWS says, and listed.

use std::sync::Arc;

use aws::Bucket;
use domain::failure::{Error, Kind, Result};
use domain::key::NATIVE_LISTING;
use domain::manifest::{Manifest, Native};
use domain::source::Source;
use store::Folder;
use store::read::Store;
use tokio_util::sync::CancellationToken;

use super::reading::{Reading, native_objects};
use super::{snapshot, table};
use crate::config::RecordConfig;
use crate::export::{self, Harvest, Report, Run, put_small, stoppable};
use crate::progress::{Counters, Reporter};

/// Checks an export of AWS's own and writes its manifest.
pub async fn record(config: &RecordConfig, stop: &CancellationToken) -> Result<Report> {
    export::export(&config.place, true, stop, async |run| stoppable(run.stop, Box::pin(recorded(run, config))).await)
        .await
}

async fn recorded(run: &Run<'_>, config: &RecordConfig) -> Result<Manifest> {
    let place = &config.place;
    let assignment = run.assignment.as_ref().ok_or_else(|| Error::new(Kind::Internal, "a record without a plan"))?;
    let Folder::S3 { bucket, .. } = &config.objects else {
        return Err(Error::new(Kind::InvalidSettings, format!("{} is not in S3, where AWS writes", config.objects)));
    };
    let bucket = Bucket::new(&aws::config::s3(run.aws()?), bucket, place.bucket_owner.as_ref());
    let store = Store::Bucket(bucket);
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
    let reading = Reading { store: &store, counters: Arc::clone(&counters), stop: run.stop.clone() };
    let found = match &assignment.unit.source {
        Source::Table(source) => table::check(run, &reading, source, prefix, &listed).await,
        Source::SnapshotExport(source) => snapshot::check(&reading, source, prefix, &listed).await,
        other @ (Source::Volume(_) | Source::Database(_)) => Err(Error::new(
            Kind::InvalidSettings,
            format!("{} is to be exported as {}, which AWS does not do itself", assignment.unit.key, other.method()),
        )),
    };
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
