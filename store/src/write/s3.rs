//! A bucket.

use async_trait::async_trait;
use aws::bucket::{Bucket, Condition};
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::part::PartPlan;

use super::multipart::MultipartUpload;
use super::sink::{Existing, ObjectSink, Put};
use super::upload::Upload;

/// A sink that writes to a bucket; where its owner is known, only while it belongs to that account.
#[derive(Debug, Clone)]
pub struct S3Sink {
    bucket: Bucket,
}

impl S3Sink {
    /// A sink that writes to `bucket`.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }
}

#[async_trait]
impl ObjectSink for S3Sink {
    fn locate(&self, key: &str) -> String {
        self.bucket.uri(key)
    }

    async fn preflight(&self) -> Result<()> {
        self.bucket.check().await
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.bucket.get(key).await?.map(|object| object.bytes))
    }

    async fn put(&self, key: &str, content: Bytes, existing: Existing) -> Result<Put> {
        let condition = match existing {
            Existing::Replace => Condition::None,
            Existing::Keep => Condition::Absent,
        };
        if self.bucket.put(key, content.clone(), condition).await? {
            return Ok(Put::Written);
        }
        // Also what a retry of our own hears whose first answer was lost.
        match self.read(key).await? {
            Some(there) if there == content => Ok(Put::Written),
            Some(_) => Ok(Put::AlreadyThere),
            None => Err(Error::new(
                Kind::Unavailable,
                format!("write {}: another write of it was under way, and came to nothing", self.locate(key)),
            )),
        }
    }

    async fn begin(&self, key: &str, plan: PartPlan) -> Result<Upload> {
        Ok(Upload::new(MultipartUpload::create(self.bucket.clone(), key, plan).await?))
    }
}
