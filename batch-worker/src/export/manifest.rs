//! The end of an export: the manifest last.

use domain::failure::{Error, Kind, Result};
use domain::key;
use domain::manifest::{Cost, Manifest, Origin, SCHEMA_VERSION, Tool};
use jiff::Timestamp;
use store::write::{Existing, ObjectSink, Put};

use super::run::{Harvest, Run};
use crate::progress::Counters;

impl Run<'_> {
    /// Writes the manifest.
    pub(crate) async fn finish(
        &self,
        source: Origin,
        harvest: Harvest,
        counters: &Counters,
        cost: Option<Cost>,
    ) -> Result<Manifest> {
        let Harvest { artifacts, native, skipped, notes } = harvest;
        let plan = self.assignment.as_ref().map(|assignment| &assignment.plan);
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "backup-export".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            export_id: plan.map(|plan| plan.export_id.clone()),
            execution: plan.map(|plan| plan.execution.clone()),
            recovery_point: plan.map(|plan| plan.recovery_point.clone()),
            source,
            artifacts,
            native,
            skipped,
            notes,
            started_at: self.started,
            finished_at: Timestamp::now(),
            bytes_read: counters.reading.bytes_read(),
            bytes_uploaded: counters.uploaded(),
            cost,
        };
        if self.stop.is_cancelled() {
            return Err(Error::interrupted());
        }
        put_manifest(self.sink, &format!("{}{}", self.place.destination.prefix(), key::MANIFEST), &manifest).await?;
        Ok(manifest)
    }

    /// What `size_gib` of storage cost that were there for `storage_seconds`, and an instance that was there for
    /// `instance_seconds`.
    pub(crate) fn cost(&self, size_gib: f64, storage_seconds: f64, instance_seconds: f64) -> Cost {
        Cost {
            volume_gib_hours: thousandths(size_gib * storage_seconds.max(0.0) / 3600.0),
            instance_hours: thousandths(instance_seconds.max(0.0) / 3600.0),
            worker_seconds: self.clock.elapsed().as_secs(),
        }
    }
}

/// Rounded to what a bill shows.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A manifest is written once: what is there already is compared, not replaced.
async fn put_manifest(sink: &dyn ObjectSink, key: &str, manifest: &Manifest) -> Result<()> {
    match sink.put(key, manifest.to_json().into(), Existing::Keep).await? {
        Put::Written => Ok(()),
        Put::AlreadyThere => Err(Error::new(
            Kind::InvalidSettings,
            format!(
                "{} appeared while this export ran, and is never replaced: two workers wrote to one prefix",
                sink.locate(key)
            ),
        )),
    }
}
