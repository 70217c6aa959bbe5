//! A prefix of a bucket.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use domain::failure::Kind;
use domain::id::{AccountId, BucketName};
use domain::part::PartPlan;

use super::multipart::S3Upload;
use super::{Existing, ObjectSink, ObjectUpload, Put};
use crate::aws::{sdk_error, status};
use archive::Crc64Nvme;
use domain::failure::{Error, Result};

/// How often a conditional write is tried that met another of the same key. S3 answers 409 to one of two at once.
const CONFLICT_ATTEMPTS: usize = 3;

/// A bucket, and the account that it must belong to.
#[derive(Debug, Clone)]
pub struct S3Sink {
    pub(super) client: Client,
    pub(super) bucket: BucketName,
    pub(super) owner: Option<AccountId>,
}

impl S3Sink {
    /// A sink that writes to `bucket`; with `owner`, only while it belongs to that account.
    pub fn new(client: Client, bucket: BucketName, owner: Option<AccountId>) -> Self {
        Self { client, bucket, owner }
    }

    pub(super) fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(ToString::to_string)
    }

    pub(super) fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn head_bucket(
        &self,
        owner: Option<String>,
    ) -> std::result::Result<(), SdkError<HeadBucketError, HttpResponse>> {
        self.client.head_bucket().bucket(self.bucket.as_str()).set_expected_bucket_owner(owner).send().await.map(drop)
    }
}

#[async_trait]
impl ObjectSink for S3Sink {
    fn locate(&self, key: &str) -> String {
        self.uri(key)
    }

    async fn preflight(&self) -> Result<()> {
        let bucket = &self.bucket;
        let Err(error) = self.head_bucket(self.owner()).await else {
            return Ok(());
        };
        match (status(&error), &self.owner) {
            (Some(404), _) => Err(Error::new(
                Kind::BucketNotFound,
                format!("bucket {bucket} does not exist: create it, or correct the destination"),
            )),
            (Some(301 | 400), _) => Err(Error::new(
                Kind::BucketNotFound,
                match error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region")) {
                    Some(region) => format!(
                        "bucket {bucket} is in {region}, not in the region of this worker: use a bucket of the worker's region"
                    ),
                    None => format!(
                        "bucket {bucket} is not in the region of this worker: use a bucket of the worker's region"
                    ),
                },
            )),
            (Some(403), Some(owner)) => {
                // S3 says 403 for a wrong owner and for a missing permission. Without the owner it tells them apart.
                if self.head_bucket(None).await.is_ok() {
                    return Err(Error::new(
                        Kind::BucketNotOwned,
                        format!(
                            "bucket {bucket} does not belong to account {owner}: correct the bucket's name or the expected owner"
                        ),
                    ));
                }
                Err(Error::new(
                    Kind::BucketNotOwned,
                    format!(
                        "bucket {bucket} belongs to an account other than {owner}, or denies this role: \
                         correct the name, or allow s3:ListBucket"
                    ),
                ))
            }
            (Some(403), None) => Err(Error::new(
                Kind::AccessDenied,
                format!("bucket {bucket} denies access: it belongs to somebody else, or this role lacks s3:ListBucket"),
            )),
            _ => Err(sdk_error(format!("look at bucket {bucket}"), &error)),
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let answer = self
            .client
            .get_object()
            .bucket(self.bucket.as_str())
            .key(key)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let object = match answer {
            Ok(object) => object,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::get_object::GetObjectError::is_no_such_key) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(sdk_error(format!("read {}", self.uri(key)), &error)),
        };
        let body = object
            .body
            .collect()
            .await
            .map_err(|error| Error::caused_by(Kind::Unavailable, format!("read {}", self.uri(key)), error))?;
        Ok(Some(body.into_bytes()))
    }

    async fn put(&self, key: &str, content: Bytes, existing: Existing) -> Result<Put> {
        let condition = match existing {
            Existing::Replace => None,
            Existing::Keep => Some("*".to_owned()),
        };
        let mut attempt = 1;
        loop {
            let answer = self
                .client
                .put_object()
                .bucket(self.bucket.as_str())
                .key(key)
                .set_content_type(content_type(key))
                .set_if_none_match(condition.clone())
                .checksum_crc64_nvme(Crc64Nvme::of(&content).to_string())
                .set_expected_bucket_owner(self.owner())
                .body(ByteStream::from(content.clone()))
                .send()
                .await;
            let Err(error) = answer else {
                return Ok(Put::Written);
            };
            match status(&error) {
                // Also what a retry of our own hears whose first answer was lost.
                Some(412) => {
                    return Ok(if self.read(key).await?.as_ref() == Some(&content) {
                        Put::Written
                    } else {
                        Put::AlreadyThere
                    });
                }
                Some(409) if attempt < CONFLICT_ATTEMPTS => attempt += 1,
                _ => return Err(sdk_error(format!("write {}", self.uri(key)), &error)),
            }
        }
    }

    async fn begin(&self, key: &str, plan: PartPlan) -> Result<Box<dyn ObjectUpload>> {
        Ok(Box::new(S3Upload::create(self.clone(), key, plan).await?))
    }
}

pub(super) fn content_type(key: &str) -> Option<String> {
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
