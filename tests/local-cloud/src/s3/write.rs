//! Objects that a service of AWS writes by itself, without a request: exports.

use std::sync::Arc;
use std::time::SystemTime;

use super::Store;
use super::checksum::Hasher;
use super::store::{self, Attributes, Condition, Object, Piece};
use crate::error::{Error, Result};

impl Store {
    /// Puts an object in one part, replacing what is there; its entity tag.
    pub(crate) fn write(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<String> {
        let missing = || Error::Missing { kind: "bucket", name: bucket.to_owned() };
        if self.owner(bucket).is_none() {
            return Err(missing());
        }
        let path = self.new_path(bucket);
        std::fs::write(&path, bytes).map_err(Error::file("write", &path))?;
        let size = bytes.len() as u64;
        let mut hasher = Hasher::new(&[]);
        hasher.update(bytes);
        let checksums = hasher.finish();
        let etag = store::etag(&checksums, size);
        let object = Object {
            size,
            pieces: vec![Arc::new(Piece { path, size })],
            etag: etag.clone(),
            modified: SystemTime::now(),
            attributes: Attributes::default(),
            checksums,
            composite: None,
            parts: Vec::new(),
        };
        self.put(bucket, key, object, &Condition::default()).map_err(|_| missing())?;
        Ok(etag)
    }
}
