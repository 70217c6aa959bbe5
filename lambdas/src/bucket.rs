//! The export bucket: every call names the owner that it must have, and every write of a shared object is conditional.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::MultipartUpload;
use domain::failure::Kind;
use domain::id::{AccountId, BucketName, ExportId};
use domain::plan::Plan;

use crate::aws::Failure;
use crate::error::Error;

/// A bucket and the account that it must belong to.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: BucketName,
    owner: AccountId,
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version, for a conditional write.
    pub etag: String,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// There is no such object.
    Absent,
    /// It has this ETag.
    Unchanged(&'a str),
}

/// An object or an unfinished upload, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// The ETag of an object, the upload id of an upload.
    pub id: String,
}

impl Listed {
    /// The export by whose id the object is named: a claim, a row of the catalog.
    pub fn export_id(&self) -> Option<ExportId> {
        self.key.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
    }
}

impl Bucket {
    /// The bucket `name`, which must belong to `owner`.
    pub fn new(client: &Client, name: &BucketName, owner: &AccountId) -> Self {
        Self { client: client.clone(), name: name.clone(), owner: owner.clone() }
    }

    /// The bucket of a plan.
    pub fn of(client: &Client, plan: &Plan) -> Self {
        Self::new(client, &plan.bucket, &plan.bucket_owner)
    }

    fn s3(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Refuses a bucket that is not there or belongs to somebody else.
    pub async fn check_owner(&self) -> Result<(), Error> {
        let result = self
            .client
            .head_bucket()
            .bucket(self.name.as_str())
            .expected_bucket_owner(self.owner.as_str())
            .send()
            .await;
        let Err(error) = result else { return Ok(()) };
        let failure = Failure::of(&error);
        let (name, owner) = (&self.name, &self.owner);
        // A HEAD request's answer has no body, so the status is all there is.
        Err(match failure.status {
            Some(404) => failure.as_kind(
                Kind::BucketNotFound,
                format!(
                    "look up the bucket {name}: it does not exist; create it, or set EXPORT_BUCKET to one that does"
                ),
            ),
            Some(301 | 400) => failure.as_kind(
                Kind::BucketNotFound,
                format!("look up the bucket {name}: it is not in this Region; set EXPORT_BUCKET to a bucket that is"),
            ),
            Some(403) => failure.as_kind(
                Kind::BucketNotOwned,
                format!(
                    "look up the bucket {name}: it does not belong to the account {owner}, or this role may not \
                     s3:ListBucket on it; check EXPORT_BUCKET and EXPORT_BUCKET_OWNER"
                ),
            ),
            _ => failure.during(format!("look up the bucket {name}")),
        })
    }

    /// Whether there is an object at `key`.
    pub async fn has(&self, key: &str) -> Result<bool, Error> {
        let result = self
            .client
            .head_object()
            .bucket(self.name.as_str())
            .key(key)
            .expected_bucket_owner(self.owner.as_str())
            .send()
            .await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure.during(format!("look up {}", self.s3(key)))),
        }
    }

    /// The object at `key`, where there is one.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, Error> {
        let result = self
            .client
            .get_object()
            .bucket(self.name.as_str())
            .key(key)
            .expected_bucket_owner(self.owner.as_str())
            .send()
            .await;
        let output = match result.map_err(|error| Failure::of(&error)) {
            Ok(output) => output,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure.during(format!("read {}", self.s3(key)))),
        };
        let etag = output.e_tag.unwrap_or_default();
        let bytes = output.body.collect().await.map_err(|error| {
            let why = domain::failure::chain(&error);
            Error::new(Kind::Unavailable, format!("read {}: {why}", self.s3(key)))
        })?;
        Ok(Some(Object { bytes: bytes.to_vec(), etag }))
    }

    /// Writes JSON to `key`; `false` when the condition did not hold.
    ///
    /// A write whose answer was lost is tried again by the client and then meets what it wrote itself, so `false`
    /// means "look who wrote it", not "somebody else did".
    pub async fn put(&self, key: &str, json: Vec<u8>, condition: Condition<'_>) -> Result<bool, Error> {
        let request = self
            .client
            .put_object()
            .bucket(self.name.as_str())
            .key(key)
            .expected_bucket_owner(self.owner.as_str())
            .content_type("application/json")
            .body(json.into());
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        match request.send().await.map_err(|error| Failure::of(&error)) {
            Ok(_) => Ok(true),
            // If-Match on an object that is gone answers 404.
            Err(failure) if failure.is_precondition_failed() || failure.is(&["NoSuchKey"]) => Ok(false),
            Err(failure) => Err(failure.during(format!("write {}", self.s3(key)))),
        }
    }

    /// Deletes the object at `key` if it still has `etag`; `false` when it is another one by now, or none.
    pub async fn delete(&self, key: &str, etag: &str) -> Result<bool, Error> {
        let result = self
            .client
            .delete_object()
            .bucket(self.name.as_str())
            .key(key)
            .expected_bucket_owner(self.owner.as_str())
            .if_match(etag)
            .send()
            .await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(_) => Ok(true),
            // Another write was under way: neither deleted nor known to be another object.
            Err(failure) if failure.is_conflict() => {
                Err(failure.as_kind(Kind::Unavailable, format!("delete {}", self.s3(key))))
            }
            Err(failure) if failure.is_precondition_failed() || failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure.during(format!("delete {}", self.s3(key)))),
        }
    }

    /// The objects whose keys begin with `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(self.name.as_str())
            .prefix(prefix)
            .expected_bucket_owner(self.owner.as_str())
            .into_paginator()
            .send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).during(format!("list {}", self.s3(prefix))))?;
            objects.extend(
                page.contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| Some(Listed { key: object.key?, id: object.e_tag? })),
            );
        }
        Ok(objects)
    }

    /// The unfinished multipart uploads to keys that begin with `prefix`.
    pub async fn list_uploads(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut uploads = Vec::new();
        let (mut key_marker, mut upload_marker) = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(self.name.as_str())
                .prefix(prefix)
                .expected_bucket_owner(self.owner.as_str())
                .set_key_marker(key_marker.take())
                .set_upload_id_marker(upload_marker.take())
                .send()
                .await
                .map_err(|error| Failure::of(&error).during(format!("list uploads to {}", self.s3(prefix))))?;
            let listed = |upload: MultipartUpload| Some(Listed { key: upload.key?, id: upload.upload_id? });
            uploads.extend(page.uploads.unwrap_or_default().into_iter().filter_map(listed));
            if page.is_truncated != Some(true) || page.next_key_marker.is_none() {
                return Ok(uploads);
            }
            key_marker = page.next_key_marker;
            upload_marker = page.next_upload_id_marker;
        }
    }

    /// Aborts an unfinished upload. One that is gone already is as good.
    pub async fn abort(&self, upload: &Listed) -> Result<(), Error> {
        let result = self
            .client
            .abort_multipart_upload()
            .bucket(self.name.as_str())
            .key(&upload.key)
            .upload_id(&upload.id)
            .expected_bucket_owner(self.owner.as_str())
            .send()
            .await;
        match result.map_err(|error| Failure::of(&error)) {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) => Err(failure.during(format!("abort the upload to {}", self.s3(&upload.key)))),
        }
    }
}
