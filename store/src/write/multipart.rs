//! One multipart upload to S3.
//!
//! Each part carries its CRC64NVME and the object carries that of the whole, all counted here, so S3 refuses what was
//! damaged on the way and the assembled object too. Payloads are not signed: over TLS the signature's SHA-256 would
//! protect nothing more and costs more than the rest of the upload. Plain HTTP happens only with an endpoint given by
//! hand (a test on one machine), and gets the same requests, so that what is tested is what runs.

use std::sync::Arc;
use std::time::Duration;

use archive::Crc64Nvme;
use async_trait::async_trait;
use aws::CallError;
use aws::bucket::{Bucket, UnfinishedUpload, content_type};
use aws::config::ATTEMPT_TIMEOUT;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::part::PartPlan;
use tokio::task::JoinSet;

use super::part::{Part, PartBuffer, in_flight};
use super::stored::Stored;
use super::upload::Pending;

/// How often a part is sent that S3 received damaged. Other failures are the SDK's to retry.
const DAMAGED_ATTEMPTS: usize = 3;
/// The slowest connection over which a part is still worth waiting for.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;
/// S3 may take minutes to assemble thousands of parts.
const COMPLETE_TIMEOUT: Duration = Duration::from_mins(15);
/// What is left after this is removed by the bucket's lifecycle rule; a process that was asked to stop has 30 seconds.
const ABORT_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Target {
    bucket: Bucket,
    upload: UnfinishedUpload,
}

/// An object that grows part by part.
#[derive(Debug)]
pub(super) struct MultipartUpload {
    target: Arc<Target>,
    plan: PartPlan,
    number: u32,
    filling: PartBuffer,
    sending: JoinSet<Result<CompletedPart>>,
    sent: Vec<CompletedPart>,
    /// All parts that were dispatched, one after the other.
    dispatched: Stored,
}

impl MultipartUpload {
    pub(super) async fn create(bucket: Bucket, key: &str, plan: PartPlan) -> Result<Self> {
        let what = || format!("begin the upload of {}", bucket.uri(key));
        let created = bucket
            .client()
            .create_multipart_upload()
            .bucket(bucket.name())
            .key(key)
            .set_content_type(content_type(key))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_expected_bucket_owner(bucket.owner())
            .send()
            .await
            .map_err(|error| CallError::of(&error).during(what()))?;
        let id = created
            .upload_id
            .ok_or_else(|| Error::new(Kind::Unavailable, format!("{}: S3 gave no upload id", what())))?;
        let target = Arc::new(Target { bucket, upload: UnfinishedUpload { key: key.to_owned(), id } });
        match new_part(plan, 1, &target) {
            Ok(filling) => Ok(Self {
                target,
                plan,
                number: 1,
                filling,
                sending: JoinSet::new(),
                sent: Vec::new(),
                dispatched: Stored { bytes: 0, crc64nvme: Crc64Nvme::of(&[]) },
            }),
            Err(error) => {
                target.abort().await;
                Err(error)
            }
        }
    }

    /// Starts the full part on its way, once there is room for another.
    async fn dispatch(&mut self, next: PartBuffer) -> Result<()> {
        let part = std::mem::replace(&mut self.filling, next).freeze();
        while self.sending.len() >= in_flight(part.bytes) {
            self.join_one().await?;
        }
        self.dispatched = Stored {
            bytes: self.dispatched.bytes + part.bytes,
            crc64nvme: self.dispatched.crc64nvme.followed_by(part.crc64nvme, part.bytes),
        };
        let (target, number) = (Arc::clone(&self.target), self.number);
        self.sending.spawn(async move { target.send(number, part).await });
        Ok(())
    }

    async fn join_one(&mut self) -> Result<bool> {
        match self.sending.join_next().await {
            None => Ok(false),
            Some(Ok(part)) => {
                self.sent.push(part?);
                Ok(true)
            }
            Some(Err(error)) => Err(Error::internal(format!("send a part of {}", self.target.uri()), error)),
        }
    }
}

#[async_trait]
impl Pending for MultipartUpload {
    fn location(&self) -> String {
        self.target.uri()
    }

    async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        while !chunk.is_empty() {
            self.filling.fill(&mut chunk).map_err(|error| spill_error(&self.target, error))?;
            if self.filling.is_full() {
                let next = new_part(self.plan, self.number + 1, &self.target)?;
                self.dispatch(next).await?;
                self.number += 1;
            }
        }
        Ok(())
    }

    async fn seal(&mut self) -> Result<Stored> {
        if !self.filling.is_empty() || self.number == 1 {
            // An empty buffer takes the place of the last part: nothing is written after this.
            let end = PartBuffer::new(0)
                .map_err(|error| Error::internal(format!("complete {}", self.target.uri()), error))?;
            self.dispatch(end).await?;
        }
        while self.join_one().await? {}
        self.sent.sort_by_key(|part| part.part_number);
        Ok(self.dispatched)
    }

    async fn publish(&mut self, sealed: Stored) -> Result<()> {
        self.target.complete(&self.sent, sealed).await
    }

    async fn discard(&mut self) {
        self.sending.shutdown().await;
        self.target.abort().await;
    }
}

fn new_part(plan: PartPlan, number: u32, target: &Target) -> Result<PartBuffer> {
    let bytes = plan.part_bytes(number).ok_or_else(|| {
        Error::new(
            Kind::InvalidSettings,
            format!(
                "upload {}: the stream outgrew the {} bytes that its parts can hold: give a larger --part-bytes",
                target.uri(),
                plan.capacity_bytes()
            ),
        )
    })?;
    PartBuffer::new(bytes).map_err(|error| spill_error(target, error))
}

fn spill_error(target: &Target, error: std::io::Error) -> Error {
    let what = format!("buffer a part of {} in a file of {}", target.uri(), std::env::temp_dir().display());
    Error::caused_by(Kind::Unavailable, what, error)
}

impl Target {
    fn uri(&self) -> String {
        self.bucket.uri(&self.upload.key)
    }

    async fn send(&self, number: u32, part: Part) -> Result<CompletedPart> {
        let what = || format!("upload part {number} of {}", self.uri());
        let number_i32 = i32::try_from(number).map_err(|error| Error::internal(what(), error))?;
        let length = i64::try_from(part.bytes).map_err(|error| Error::internal(what(), error))?;
        let checksum = part.crc64nvme.to_string();
        let timeout = ATTEMPT_TIMEOUT + Duration::from_secs(part.bytes / SLOWEST_BYTES_PER_SECOND);
        let mut attempt = 1;
        loop {
            let body = part.body().await.map_err(|error| Error::caused_by(Kind::Unavailable, what(), error))?;
            let answer = self
                .bucket
                .client()
                .upload_part()
                .bucket(self.bucket.name())
                .key(&self.upload.key)
                .upload_id(&self.upload.id)
                .part_number(number_i32)
                .content_length(length)
                .checksum_crc64_nvme(&checksum)
                .set_expected_bucket_owner(self.bucket.owner())
                .body(body)
                .customize()
                .disable_payload_signing()
                .config_override(attempt_timeout(timeout))
                .send()
                .await;
            match answer.map_err(|error| CallError::of(&error)) {
                Ok(answer) => {
                    return Ok(CompletedPart::builder()
                        .part_number(number_i32)
                        .set_e_tag(answer.e_tag)
                        .checksum_crc64_nvme(checksum)
                        .build());
                }
                Err(failure)
                    if attempt < DAMAGED_ATTEMPTS && failure.is(&["BadDigest", "XAmzContentChecksumMismatch"]) =>
                {
                    tracing::warn!(object = self.uri(), part = number, "S3 received a damaged part: sending it again");
                    attempt += 1;
                }
                Err(failure) => return Err(failure.during(what())),
            }
        }
    }

    async fn complete(&self, parts: &[CompletedPart], expected: Stored) -> Result<()> {
        let what = format!("complete {}", self.uri());
        let size = i64::try_from(expected.bytes).map_err(|error| Error::internal(&what, error))?;
        let answer = self
            .bucket
            .client()
            .complete_multipart_upload()
            .bucket(self.bucket.name())
            .key(&self.upload.key)
            .upload_id(&self.upload.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build())
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(expected.crc64nvme.to_string())
            .mpu_object_size(size)
            .set_expected_bucket_owner(self.bucket.owner())
            .customize()
            .config_override(attempt_timeout(COMPLETE_TIMEOUT))
            .send()
            .await;
        let Err(failure) = aws::done(answer) else {
            return self.compare(expected).await;
        };
        // The answer may be lost after the object was assembled; the retry then hears NoSuchUpload. What is stored
        // decides.
        if self.compare(expected).await.is_err() {
            return Err(failure.during(what));
        }
        tracing::info!(object = self.uri(), "the answer to the completion was lost, the object is complete");
        if !failure.is(&["NoSuchUpload"]) {
            self.abort().await;
        }
        Ok(())
    }

    /// Compares what S3 says it holds with what was sent.
    async fn compare(&self, expected: Stored) -> Result<()> {
        let held = self.bucket.look(&self.upload.key).await?;
        let sent = expected.crc64nvme.to_string();
        let (bytes, checksum) = held.map_or((0, None), |held| (held.bytes, held.crc64nvme));
        if bytes == expected.bytes && checksum.as_ref() == Some(&sent) {
            return Ok(());
        }
        Err(Error::new(
            Kind::VerificationFailed,
            format!(
                "{} was sent with {} bytes and CRC64NVME {sent}, and S3 reports {bytes} bytes and {}",
                self.uri(),
                expected.bytes,
                checksum.as_deref().unwrap_or("no checksum"),
            ),
        ))
    }

    async fn abort(&self) {
        let problem = match tokio::time::timeout(ABORT_TIMEOUT, self.bucket.abort(&self.upload)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.chain(),
            Err(_) => format!("no answer within {} s", ABORT_TIMEOUT.as_secs()),
        };
        tracing::warn!(
            object = self.uri(),
            upload_id = self.upload.id,
            problem,
            "an unfinished upload could not be aborted: the bucket's lifecycle rule or Cleanup removes it"
        );
    }
}

fn attempt_timeout(timeout: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new()
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(timeout).build())
}
