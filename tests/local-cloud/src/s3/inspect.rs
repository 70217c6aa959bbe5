//! What tests see of the store without a request, and how they spoil it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::Store;
use super::store::{Condition, Object, Piece, locate};
use crate::error::{Error, Result};
use crate::observe::{StoredObject, Upload};

fn missing(bucket: &str, key: &str) -> Error {
    Error::Missing { kind: "object", name: format!("{bucket}/{key}") }
}

impl Store {
    pub(crate) fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<StoredObject>> {
        let buckets = self.buckets();
        let found = buckets.get(bucket).ok_or_else(|| Error::Missing { kind: "bucket", name: bucket.to_owned() })?;
        let view = |(key, object): (&String, &Arc<Object>)| StoredObject {
            bucket: bucket.to_owned(),
            key: key.clone(),
            size: object.size,
            files: object.pieces.iter().map(|piece| piece.path.clone()).collect(),
        };
        Ok(found.objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(view).collect())
    }

    fn find(&self, bucket: &str, key: &str) -> Result<Arc<Object>> {
        self.object(bucket, key).map_err(|_| missing(bucket, key))
    }

    pub(crate) fn bytes(&self, bucket: &str, key: &str) -> Result<Vec<u8>> {
        let object = self.find(bucket, key)?;
        let mut all = Vec::new();
        for piece in &object.pieces {
            let bytes = std::fs::read(&piece.path).map_err(Error::file("read", &piece.path))?;
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }

    pub(crate) fn flip_byte(&self, bucket: &str, key: &str, offset: u64) -> Result<()> {
        let object = self.find(bucket, key)?;
        let (path, at) = locate(&object, offset).ok_or_else(|| missing(bucket, &format!("{key} at byte {offset}")))?;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::file("open", path))?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).map_err(Error::file("read", path))?;
        byte[0] ^= 0x40;
        file.write_all_at(&byte, at).map_err(Error::file("write", path))
    }

    /// Changes the bytes of a (small) object; its entity tag and its checksums stay.
    pub(crate) fn spoil(&self, bucket: &str, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut bytes = self.bytes(bucket, key)?;
        let old = self.find(bucket, key)?;
        let path = self.new_path(bucket);
        change(&mut bytes);
        std::fs::write(&path, &bytes).map_err(Error::file("write", &path))?;
        let size = bytes.len() as u64;
        let pieces = vec![Arc::new(Piece { path, size })];
        self.replace(bucket, key, Object { size, pieces, ..Object::clone(&old) })
    }

    /// Gives an object another entity tag; everything else stays.
    pub(crate) fn set_etag(&self, bucket: &str, key: &str, etag: &str) -> Result<()> {
        let old = self.find(bucket, key)?;
        self.replace(bucket, key, Object { etag: etag.to_owned(), ..Object::clone(&old) })
    }

    fn replace(&self, bucket: &str, key: &str, object: Object) -> Result<()> {
        self.put(bucket, key, object, &Condition::default()).map(drop).map_err(|_| missing(bucket, key))
    }

    pub(crate) fn remove(&self, bucket: &str, key: &str) -> Result<()> {
        let removed = self.buckets().get_mut(bucket).and_then(|found| found.objects.remove(key));
        removed.map(drop).ok_or_else(|| missing(bucket, key))
    }

    pub(crate) fn uploads(&self) -> Vec<Upload> {
        let buckets = self.buckets();
        let all = buckets.iter().flat_map(|(bucket, found)| {
            found.uploads.iter().map(|(id, upload)| Upload {
                bucket: bucket.clone(),
                key: upload.key.clone(),
                id: id.clone(),
            })
        });
        all.collect()
    }
}
