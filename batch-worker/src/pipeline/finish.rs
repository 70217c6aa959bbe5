//! The end of an export: the partition table, and the manifest last.

use domain::key;
use domain::manifest::{Cost, Disk as DiskFacts, Manifest, SCHEMA_VERSION, Tool};
use jiff::Timestamp;

use super::artifact::put_small;
use super::{Harvest, Run, put_manifest, stoppable};
use crate::attach::Attachment;
use crate::error::Result;
use crate::progress::Counters;
use crate::source::partition::Scheme;
use crate::source::{Disk, Layout};

impl Run<'_> {
    pub(super) async fn finish(
        &self,
        disk: &Disk,
        layout: &Layout,
        harvest: Harvest,
        counters: &Counters,
        attachment: Option<&Attachment>,
    ) -> Result<Manifest> {
        let prefix = self.config.destination.prefix();
        let partition_table = match layout.table.scheme {
            Scheme::None => None,
            Scheme::Gpt | Scheme::Mbr => {
                let key = format!("{prefix}{}", key::PARTITION_TABLE);
                let content = layout.table.to_json().into();
                Some(stoppable(self.stop, put_small(self.sink, key, content, counters)).await?)
            }
        };
        let Harvest { artifacts, skipped, notes } = harvest;
        let plan = self.assignment.as_ref().map(|assignment| &assignment.plan);
        let finished_at = Timestamp::now();
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "backup-export".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            export_id: plan.map(|plan| plan.export_id.clone()),
            execution: plan.map(|plan| plan.execution.clone()),
            recovery_point: plan.map(|plan| plan.recovery_point.clone()),
            source: DiskFacts {
                volume_key: self.assignment.as_ref().map(|assignment| assignment.volume.key.clone()),
                size_bytes: disk.size_bytes(),
                sector_bytes: layout.table.sector_bytes,
                partition_scheme: match layout.table.scheme {
                    Scheme::Gpt => "gpt",
                    Scheme::Mbr => "mbr",
                    Scheme::None => "none",
                }
                .to_owned(),
                partition_table,
            },
            artifacts,
            skipped,
            notes: layout.table.notes.iter().cloned().chain(notes).collect(),
            started_at: self.started,
            finished_at,
            bytes_read: counters.reading.bytes_read(),
            bytes_uploaded: counters.uploaded(),
            cost: attachment.and_then(|attachment| self.cost(attachment, finished_at)),
        };
        if self.stop.is_cancelled() {
            return Err(crate::error::Error::interrupted());
        }
        put_manifest(self.sink, &format!("{prefix}{}", key::MANIFEST), &manifest).await?;
        Ok(manifest)
    }

    /// What is known here: the size and age of the volume, and how long this process ran. Prices, requests and the host are not.
    fn cost(&self, attachment: &Attachment, until: Timestamp) -> Option<Cost> {
        let volume = attachment.volume();
        let seconds = until.duration_since(volume.created_at?).as_secs_f64();
        let hours = (seconds / 3600.0).max(0.0);
        Some(Cost {
            // Rounded to what a bill shows.
            volume_gib_hours: (f64::from(volume.size_gib) * hours * 1000.0).round() / 1000.0,
            worker_seconds: self.clock.elapsed().as_secs(),
        })
    }
}
