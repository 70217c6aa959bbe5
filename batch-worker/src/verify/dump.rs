//! Dumps of databases: they are read again by the engine's own tool or counted as SQL, and must hold the objects and
//! rows that the manifest says.

use domain::failure::{Error, Result};
use domain::manifest::{Dump, DumpFormat, Manifest};

use crate::database;
use crate::database::child::Children;
use crate::database::count::{Inspector, Unreadable};

/// Fails early where a tool is missing that the manifest's dumps are read with.
pub(super) async fn require_tools(manifest: &Manifest, children: &Children) -> Result<()> {
    let is_archive = |dump: &Dump| dump.format == DumpFormat::Custom;
    if !manifest.artifacts.iter().filter_map(|artifact| artifact.dump.as_ref()).any(is_archive) {
        return Ok(());
    }
    let children = children.clone();
    let checked = tokio::task::spawn_blocking(move || database::can_read_archives(&children)).await;
    checked.map_err(|panic| Error::internal("look for pg_restore", panic))?
}

/// A dump that is read again while its bytes are compared.
pub(super) struct Again<'a> {
    dump: &'a Dump,
    inspector: Inspector,
    failed: Option<Unreadable>,
}

impl<'a> Again<'a> {
    pub(super) fn new(dump: &'a Dump, children: &Children) -> Result<Self> {
        Ok(Self { dump, inspector: Inspector::new(dump.format, dump.content, children)?, failed: None })
    }

    pub(super) fn write(&mut self, data: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.inspector.write(data).err();
        }
    }

    /// The inner error says how it differs.
    pub(super) fn finish(self) -> Result<Result<(), String>> {
        if let Some(error) = self.failed {
            return Ok(Err(error.to_string()));
        }
        Ok(match self.inspector.finish()? {
            Err(error) => Err(error.to_string()),
            Ok(contents) => contents.difference(self.dump).map_or(Ok(()), Err),
        })
    }
}
