//! A bucket. Where its owner is known, every call names it, so that a bucket of somebody else is neither read nor
//! written.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MultipartUpload};
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::id::{AccountId, BucketName};
use domain::plan::Plan;

use crate::failure::CallError;

/// How often a conditional write is tried that met another of the same key. S3 answers 409 to one of two at once.
const CONFLICT_ATTEMPTS: usize = 3;

/// A bucket and the account that it must belong to.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: BucketName,
    owner: Option<AccountId>,
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// Its version, for a conditional write.
    pub etag: String,
}

/// What S3 says of an object without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its size.
    pub bytes: u64,
    /// Its full-object checksum in base64, where S3 has one. A listing tells none.
    pub crc64nvme: Option<String>,
    /// Its version.
    pub etag: Option<String>,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// What the listing says of it.
    pub held: Held,
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key that it would have.
    pub key: String,
    pub id: String,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// None: what is there is replaced.
    None,
    /// There is no such object.
    Absent,
    /// It has this ETag.
    Unchanged(&'a str),
}

impl Bucket {
    /// The bucket `name`; with `owner`, only while it belongs to that account.
    pub fn new(client: &Client, name: &BucketName, owner: Option<&AccountId>) -> Self {
        Self { client: client.clone(), name: name.clone(), owner: owner.cloned() }
    }

    /// The bucket of a plan.
    pub fn of(client: &Client, plan: &Plan) -> Self {
        Self::new(client, &plan.bucket, Some(&plan.bucket_owner))
    }

    /// The client, for what is not here: uploads in parts.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The account that it must belong to, as a request names it.
    pub fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(ToString::to_string)
    }

    /// The URL of a key.
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Refuses a bucket that is not there, is in another Region, or belongs to somebody else, and says which.
    pub async fn check(&self) -> Result<()> {
        let Err((failure, region)) = self.head_bucket(self.owner()).await else {
            return Ok(());
        };
        let bucket = &self.name;
        let place = region.map_or_else(|| "not in".to_owned(), |region| format!("in {region}, not in"));
        // The answer to a HEAD request has no body, so the status is all there is.
        let (kind, what) = match (failure.status, &self.owner) {
            (Some(404), _) => {
                (Kind::BucketNotFound, format!("bucket {bucket} does not exist: create it, or name one that does"))
            }
            (Some(301 | 400), _) => (
                Kind::BucketNotFound,
                format!("bucket {bucket} is {place} the Region of this program: use a bucket of the same Region"),
            ),
            (Some(403), Some(owner)) => {
                // S3 says 403 for a wrong owner and for a missing permission. Without the owner it tells them apart.
                let what = if self.head_bucket(None).await.is_ok() {
                    format!(
                        "bucket {bucket} does not belong to account {owner}: correct the bucket's name or the expected owner"
                    )
                } else {
                    format!(
                        "bucket {bucket} belongs to an account other than {owner}, or denies this role: correct the name, \
                         or allow s3:ListBucket"
                    )
                };
                (Kind::BucketNotOwned, what)
            }
            (Some(403), None) => (
                Kind::AccessDenied,
                format!("bucket {bucket} denies access: it belongs to somebody else, or this role lacks s3:ListBucket"),
            ),
            _ => return Err(failure.during(format!("look at bucket {bucket}"))),
        };
        Err(Error::new(kind, what))
    }

    /// A failure, and the Region that the bucket is in where S3 tells it.
    async fn head_bucket(&self, owner: Option<String>) -> Result<(), (CallError, Option<String>)> {
        let request = self.client.head_bucket().bucket(self.name()).set_expected_bucket_owner(owner);
        let answer = request.send().await;
        answer.map(drop).map_err(|error| {
            let region = error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region"));
            (CallError::of(&error), region.map(str::to_owned))
        })
    }

    /// Whether there is an object at `key`. Its checksum is not asked for, which would take the right to decrypt it.
    pub async fn has(&self, key: &str) -> Result<bool> {
        Ok(self.head(key, None).await?.is_some())
    }

    /// What S3 says of the object at `key`, its checksum included, where there is one.
    pub async fn look(&self, key: &str) -> Result<Option<Held>> {
        self.head(key, Some(ChecksumMode::Enabled)).await
    }

    async fn head(&self, key: &str, checksum: Option<ChecksumMode>) -> Result<Option<Held>> {
        let answer = self
            .client
            .head_object()
            .bucket(self.name())
            .key(key)
            .set_checksum_mode(checksum)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        match answer.map_err(|error| CallError::of(&error)) {
            Ok(head) => Ok(Some(Held {
                bytes: size(head.content_length),
                crc64nvme: head.checksum_crc64_nvme,
                etag: head.e_tag,
            })),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure.during(format!("look at {}", self.uri(key)))),
        }
    }

    /// The object at `key` whole, where there is one.
    pub async fn get(&self, key: &str) -> Result<Option<Object>> {
        let answer =
            self.client.get_object().bucket(self.name()).key(key).set_expected_bucket_owner(self.owner()).send().await;
        let object = match answer.map_err(|error| CallError::of(&error)) {
            Ok(object) => object,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure.during(format!("read {}", self.uri(key)))),
        };
        let etag = object.e_tag.unwrap_or_default();
        let broken = |error| Error::caused_by(Kind::Unavailable, format!("read {}", self.uri(key)), error);
        let bytes = object.body.collect().await.map_err(broken)?.into_bytes();
        Ok(Some(Object { bytes, etag }))
    }

    /// Some bytes of an object, exactly; with `etag`, only while it has that one.
    pub async fn range(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Bytes> {
        let what = || format!("read {} at byte {}", self.uri(key), range.start);
        let bytes = range.end.saturating_sub(range.start);
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let answer = self
            .client
            .get_object()
            .bucket(self.name())
            .key(key)
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .set_if_match(etag.map(str::to_owned))
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let object = match answer.map_err(|error| CallError::of(&error)) {
            Ok(object) => object,
            Err(failure) if etag.is_some() && matches!(failure.status, Some(404 | 412)) => {
                let fate = if failure.status == Some(412) { "replaced" } else { "removed" };
                let what = format!("{} was {fate} while it was read", self.uri(key));
                return Err(Error::new(Kind::VerificationFailed, what));
            }
            Err(failure) if failure.is(&["InvalidObjectState"]) => {
                let remedy = "is archived: restore it first (aws s3api restore-object), then read it";
                return Err(Error::new(Kind::SourceNotFound, format!("{} {remedy}", self.uri(key))));
            }
            Err(failure) => return Err(failure.during(what())),
        };
        let broken = |error| Error::caused_by(Kind::Unavailable, what(), error);
        let body = object.body.collect().await.map_err(broken)?.into_bytes();
        if body.len() as u64 == bytes {
            return Ok(body);
        }
        Err(Error::new(Kind::Unavailable, format!("{}: {} bytes came, {bytes} were asked for", what(), body.len())))
    }

    /// Writes a small object at once; `false` when the condition did not hold.
    ///
    /// A write whose answer was lost is tried again by the client and then meets what it wrote itself, so `false` means
    /// "look who wrote it", not "somebody else did".
    pub async fn put(&self, key: &str, content: Bytes, condition: Condition<'_>) -> Result<bool> {
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .put_object()
                .bucket(self.name())
                .key(key)
                .set_content_type(content_type(key))
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .set_expected_bucket_owner(self.owner())
                .body(ByteStream::from(content.clone()));
            let request = match condition {
                Condition::None => request,
                Condition::Absent => request.if_none_match("*"),
                Condition::Unchanged(etag) => request.if_match(etag),
            };
            let Err(failure) = crate::done(request.send().await) else {
                return Ok(true);
            };
            let is_conditional = condition != Condition::None;
            match failure {
                failure if failure.is_conflict() && attempt < CONFLICT_ATTEMPTS => attempt += 1,
                // If-Match on an object that is gone answers 404.
                failure if is_conditional && (failure.is_precondition_failed() || failure.is(&["NoSuchKey"])) => {
                    return Ok(false);
                }
                failure => return Err(failure.during(format!("write {}", self.uri(key)))),
            }
        }
    }

    /// Deletes the object at `key` if it still has `etag`; `false` when it is another one by now, or none.
    pub async fn delete(&self, key: &str, etag: &str) -> Result<bool> {
        let request = self
            .client
            .delete_object()
            .bucket(self.name())
            .key(key)
            .set_expected_bucket_owner(self.owner())
            .if_match(etag);
        match crate::done(request.send().await) {
            Ok(()) => Ok(true),
            // Another write was under way: neither deleted nor known to be another object.
            Err(failure) if failure.is_conflict() => {
                Err(failure.as_kind(Kind::Unavailable, format!("delete {}", self.uri(key))))
            }
            Err(failure) if failure.is_precondition_failed() || failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure.during(format!("delete {}", self.uri(key)))),
        }
    }

    /// The objects whose keys begin with `prefix`, by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let request = self.client.list_objects_v2().bucket(self.name()).prefix(prefix);
        let mut pages = request.set_expected_bucket_owner(self.owner()).into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| CallError::of(&error).during(format!("list {}", self.uri(prefix))))?;
            objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let held = Held { bytes: size(object.size), crc64nvme: None, etag: object.e_tag };
                Some(Listed { key: object.key?, held })
            }));
        }
        Ok(objects)
    }

    /// The unfinished multipart uploads to keys that begin with `prefix`.
    pub async fn list_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let mut uploads = Vec::new();
        let (mut key_marker, mut upload_marker) = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(self.name())
                .prefix(prefix)
                .set_expected_bucket_owner(self.owner())
                .set_key_marker(key_marker.take())
                .set_upload_id_marker(upload_marker.take())
                .send()
                .await
                .map_err(|error| CallError::of(&error).during(format!("list uploads to {}", self.uri(prefix))))?;
            let unfinished =
                |upload: MultipartUpload| Some(UnfinishedUpload { key: upload.key?, id: upload.upload_id? });
            uploads.extend(page.uploads.unwrap_or_default().into_iter().filter_map(unfinished));
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(uploads);
            }
            key_marker = page.next_key_marker;
            upload_marker = page.next_upload_id_marker;
        }
    }

    /// Aborts an unfinished upload. One that is gone already is as good.
    pub async fn abort(&self, upload: &UnfinishedUpload) -> Result<()> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(self.name())
            .key(&upload.key)
            .upload_id(&upload.id)
            .set_expected_bucket_owner(self.owner());
        match crate::done(request.send().await) {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) => Err(failure.during(format!("abort the upload to {}", self.uri(&upload.key)))),
        }
    }
}

fn size(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()
}

/// The `Content-Type` of an object, by what its key ends in.
pub fn content_type(key: &str) -> Option<String> {
    let (_, extension) = key.rsplit_once('.')?;
    let name = match extension {
        "gz" => "application/gzip",
        "zst" => "application/zstd",
        "json" => "application/json",
        "parquet" => "application/vnd.apache.parquet",
        _ => return None,
    };
    Some(name.to_owned())
}
