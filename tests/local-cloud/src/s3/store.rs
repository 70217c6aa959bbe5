//! The objects and uploads of the store: an index in memory over files on disk.
//!
//! An object is one or more files, its pieces: an upload is completed by listing its parts, not by copying them, so a
//! completion takes the same time for any size. The files of an object go when the last reader of it is done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::dto::{ETag, ETagCondition, Metadata};
use s3s::{S3Error, S3Result, s3_error};

use super::checksum::{self, Algorithm, Checksums, Value};

/// All buckets.
#[derive(Debug)]
pub(crate) struct Store {
    pub(super) root: PathBuf,
    pub(super) region: String,
    pub(super) account_id: String,
    state: Mutex<BTreeMap<String, Bucket>>,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) owner: String,
    pub(super) created: SystemTime,
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

/// What a client says about an object, and gets back with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) storage_class: Option<String>,
}

/// An object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) size: u64,
    pub(super) pieces: Vec<Arc<Piece>>,
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) attributes: Attributes,
    /// Its checksums; CRC64NVME of the full object is always among them.
    pub(super) checksums: Checksums,
    /// A checksum of checksums (`…-N`), for uploads that asked for one.
    pub(super) composite: Option<(Algorithm, String)>,
    /// Sizes and checksums of its parts, if it was uploaded in parts.
    pub(super) parts: Vec<(i32, u64, Checksums)>,
}

/// A file that holds some bytes of an object; removed when nothing refers to it any more.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

impl Drop for Piece {
    fn drop(&mut self) {
        // The whole directory may be gone already.
        std::fs::remove_file(&self.path).ok();
    }
}

/// An upload that is under way.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: SystemTime,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) composite: bool,
    pub(super) attributes: Attributes,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) piece: Piece,
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) checksums: Checksums,
}

/// What a client asks to be true of the object that it replaces or deletes.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Condition {
    /// Refuses when the object that is there does not satisfy it.
    pub(super) fn check(&self, current: Option<&Arc<Object>>) -> S3Result<()> {
        if let (Some(_), Some(current)) = (&self.if_none_match, current)
            && self.if_none_match.as_ref().is_some_and(|condition| etag_matches(condition, &current.etag))
        {
            return Err(precondition());
        }
        match (&self.if_match, current) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (Some(condition), Some(current)) if !etag_matches(condition, &current.etag) => Err(precondition()),
            _ => Ok(()),
        }
    }
}

fn etag_matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(value) | ETag::Weak(value)) => value == etag,
    }
}

fn precondition() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The part that `CompleteMultipartUpload` names.
#[derive(Debug)]
pub(super) struct NamedPart {
    pub(super) number: i32,
    pub(super) etag: Option<String>,
    pub(super) declared: Vec<(Algorithm, String)>,
}

/// What `CompleteMultipartUpload` says about the whole object.
#[derive(Debug, Default)]
pub(super) struct Completion {
    pub(super) parts: Vec<NamedPart>,
    pub(super) declared: Vec<(Algorithm, String)>,
    pub(super) size: Option<u64>,
    pub(super) checksum_type: Option<String>,
    pub(super) condition: Condition,
}

/// The smallest part but the last.
const MIN_PART_BYTES: u64 = 5 << 20;

/// An entity tag that follows from the content. Like the tags of encrypted objects it is not an MD5.
pub(super) fn etag(checksums: &Checksums, size: u64) -> String {
    format!("{:016x}{size:016x}", checksums.crc64())
}

impl Store {
    pub(crate) fn new(root: PathBuf, region: &str, account_id: &str) -> Self {
        Self { root, region: region.to_owned(), account_id: account_id.to_owned(), state: Mutex::default() }
    }

    pub(super) fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a bucket; `false` when it exists.
    pub(crate) fn create_bucket(&self, name: &str, owner: &str) -> std::io::Result<bool> {
        std::fs::create_dir_all(self.root.join(name))?;
        let mut buckets = self.buckets();
        if buckets.contains_key(name) {
            return Ok(false);
        }
        let bucket = Bucket {
            owner: owner.to_owned(),
            created: SystemTime::now(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        };
        buckets.insert(name.to_owned(), bucket);
        Ok(true)
    }

    /// The owner of a bucket, if it exists.
    pub(crate) fn owner(&self, bucket: &str) -> Option<String> {
        self.buckets().get(bucket).map(|bucket| bucket.owner.clone())
    }

    /// A path for a new piece.
    pub(super) fn new_path(&self, bucket: &str) -> PathBuf {
        self.root.join(bucket).join(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Does something with a bucket, under the lock.
    pub(super) fn with<T>(&self, bucket: &str, work: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        match self.buckets().get_mut(bucket) {
            Some(bucket) => work(bucket),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.with(bucket, |bucket| {
            let object = bucket.objects.get(key).map(Arc::clone);
            object.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
        })
    }

    /// Puts an object in place, if the condition holds.
    pub(super) fn put(&self, bucket: &str, key: &str, object: Object, condition: &Condition) -> S3Result<Arc<Object>> {
        self.with(bucket, |bucket| {
            condition.check(bucket.objects.get(key))?;
            let object = Arc::new(object);
            bucket.objects.insert(key.to_owned(), Arc::clone(&object));
            Ok(object)
        })
    }

    /// Makes an object of an upload.
    pub(super) fn complete(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        completion: &Completion,
    ) -> S3Result<Arc<Object>> {
        self.with(bucket, |bucket| {
            let current = bucket.objects.get(key).map(Arc::clone);
            let upload = bucket.upload(upload_id, key)?;
            let whole = check_completion(upload, completion)?;
            completion.condition.check(current.as_ref())?;
            let Some(mut upload) = bucket.uploads.remove(upload_id) else { return Err(no_such_upload()) };
            let named: Vec<(i32, Part)> = completion
                .parts
                .iter()
                .filter_map(|named| Some((named.number, upload.parts.remove(&named.number)?)))
                .collect();
            let object = Arc::new(Object {
                size: whole.size,
                etag: format!("{}-{}", etag(&whole.checksums, whole.size), named.len()),
                modified: SystemTime::now(),
                attributes: upload.attributes.clone(),
                checksums: whole.checksums,
                composite: whole.composite,
                parts: named.iter().map(|(number, part)| (*number, part.piece.size, part.checksums.clone())).collect(),
                pieces: named.into_iter().map(|(_, part)| Arc::new(part.piece)).collect(),
            });
            bucket.objects.insert(key.to_owned(), Arc::clone(&object));
            Ok(object)
        })
    }
}

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

impl Bucket {
    pub(super) fn upload(&mut self, upload_id: &str, key: &str) -> S3Result<&mut Upload> {
        self.uploads.get_mut(upload_id).filter(|upload| upload.key == key).ok_or_else(no_such_upload)
    }
}

struct Whole {
    size: u64,
    checksums: Checksums,
    composite: Option<(Algorithm, String)>,
}

fn check_completion(upload: &Upload, completion: &Completion) -> S3Result<Whole> {
    use base64::Engine as _;
    let encode = |value: &Value| base64::engine::general_purpose::STANDARD.encode(value);
    if completion.parts.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    if !completion.parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ));
    }
    let mut parts = Vec::with_capacity(completion.parts.len());
    for named in &completion.parts {
        let stored = upload.parts.get(&named.number);
        let matches = |part: &&Part| {
            named.etag.as_ref().is_none_or(|etag| *etag == part.etag)
                && named
                    .declared
                    .iter()
                    .all(|(algorithm, value)| part.checksums.base64(*algorithm).is_none_or(|stored| stored == *value))
        };
        let Some(part) = stored.filter(matches) else {
            return Err(s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
            ));
        };
        parts.push(part);
    }
    let sizes = parts.iter().map(|part| part.piece.size);
    if sizes.clone().rev().skip(1).any(|size| size < MIN_PART_BYTES) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    let size = sizes.sum();
    if completion.size.is_some_and(|declared| declared != size) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        ));
    }
    let kind = if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" };
    if upload.algorithm.is_some() && completion.checksum_type.as_ref().is_some_and(|declared| declared != kind) {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            kind
        ));
    }
    let of = |algorithm: Algorithm| -> Option<Vec<Value>> {
        parts.iter().map(|part| part.checksums.get(algorithm).cloned()).collect()
    };
    let full = |algorithm: Algorithm| {
        let values = of(algorithm)?;
        checksum::full_object(
            algorithm,
            &values.into_iter().zip(parts.iter().map(|part| part.piece.size)).collect::<Vec<_>>(),
        )
    };
    let checksums =
        Checksums(Algorithm::ALL.into_iter().filter_map(|algorithm| Some((algorithm, full(algorithm)?))).collect());
    let composite = match upload.algorithm {
        Some(algorithm) if upload.composite => of(algorithm)
            .map(|values| (algorithm, format!("{}-{}", encode(&checksum::composite(algorithm, &values)), parts.len()))),
        _ => None,
    };
    for (algorithm, declared) in &completion.declared {
        let computed = match &composite {
            Some((composite, value)) if composite == algorithm => Some(value.clone()),
            _ => checksums.base64(*algorithm),
        };
        // A composite value may be declared without its count.
        let same = computed
            .as_ref()
            .is_some_and(|computed| computed == declared || computed.split('-').next() == Some(declared));
        if !same {
            return Err(bad_digest(*algorithm));
        }
    }
    Ok(Whole { size, checksums, composite })
}

pub(super) fn bad_digest(algorithm: Algorithm) -> S3Error {
    s3_error!(BadDigest, "The {} you specified did not match the calculated checksum.", algorithm.name())
}

/// The piece of an object that holds a byte, and the byte's place in it.
pub(super) fn locate(object: &Object, offset: u64) -> Option<(&Path, u64)> {
    let mut start = 0;
    for piece in &object.pieces {
        if offset < start + piece.size {
            return Some((&piece.path, offset - start));
        }
        start += piece.size;
    }
    None
}
