//! Which objects an export of AWS's own has, and what is found out about them.

use std::sync::Arc;

use domain::failure::{Error, Kind, Result};
use domain::key::{ERROR, MANIFEST, NATIVE_LISTING};
use domain::manifest::{NativeObject, Origin, TableCount};
use store::read::{Listed, Store};
use tokio_util::sync::CancellationToken;

use crate::progress::Counters;

/// The largest description of an export that is read whole.
const MOST_DESCRIPTION_BYTES: u64 = 256 << 20;

/// What was found out about an export.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) format: &'static str,
    pub(super) export: String,
    pub(super) objects: Vec<NativeObject>,
    pub(super) tables: Vec<TableCount>,
    pub(super) notes: Vec<String>,
}

/// What is read, from where.
pub(crate) struct Reading<'a> {
    pub(crate) store: &'a Store,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stop: CancellationToken,
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
    /// A small object whole.
    pub(super) async fn description(&self, listed: &[Listed], key: &str) -> Result<Vec<u8>> {
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

/// A failure of what AWS wrote.
pub(super) fn wrong(what: String) -> Error {
    Error::new(Kind::NativeExportFailed, what)
}
