//! One multipart upload to S3.
//!
//! Each part carries its CRC64NVME and the object carries that of the whole, all counted here, so S3 refuses what was
//! damaged on the way and the assembled object too. Payloads are not signed: over TLS the signature's SHA-256 would protect nothing more and costs more than
//! the rest of the upload. Plain HTTP happens only with an endpoint given by hand (a test on one machine), and gets the same requests, so that
//! what is tested is what runs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use domain::failure::Kind;
use domain::part::PartPlan;
use tokio::task::JoinSet;

use super::part::{Part, PartBuffer, in_flight};
use super::s3::{S3Sink, content_type};
use super::{Crc64Digest, Finished, ObjectUpload, Stored};
use crate::aws::{ATTEMPT_TIMEOUT, sdk_error};
use domain::failure::{Error, Result};

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
    sink: S3Sink,
    key: String,
    upload_id: String,
}

/// An object that grows part by part.
#[derive(Debug)]
pub(super) struct S3Upload {
    target: Arc<Target>,
    plan: PartPlan,
    number: u32,
    filling: PartBuffer,
    sending: JoinSet<Result<CompletedPart>>,
    sent: Vec<CompletedPart>,
    bytes: u64,
    crc: Crc64Digest,
    ended: bool,
}

impl S3Upload {
    pub(super) async fn create(sink: S3Sink, key: &str, plan: PartPlan) -> Result<Self> {
        let created = sink
            .client
            .create_multipart_upload()
            .bucket(sink.bucket.as_str())
            .key(key)
            .set_content_type(content_type(key))
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .set_expected_bucket_owner(sink.owner())
            .send()
            .await
            .map_err(|error| sdk_error(format!("begin the upload of {}", sink.uri(key)), &error))?;
        let upload_id = created.upload_id.ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("begin the upload of {}: S3 gave no upload id", sink.uri(key)))
        })?;
        let target = Arc::new(Target { sink, key: key.to_owned(), upload_id });
        match new_part(plan, 1, &target) {
            Ok(filling) => Ok(Self {
                target,
                plan,
                number: 1,
                filling,
                sending: JoinSet::new(),
                sent: Vec::new(),
                bytes: 0,
                crc: Crc64Digest::new(),
                ended: false,
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

    async fn finish(&mut self, proof: &Finished) -> Result<Stored> {
        let uri = self.target.uri();
        if proof.bytes() != self.bytes || proof.crc64nvme() != self.crc.value() {
            return Err(Error::new(
                Kind::Internal,
                format!(
                    "complete {uri}: the writer gave {} bytes ({}), the upload received {} ({})",
                    proof.bytes(),
                    proof.crc64nvme(),
                    self.bytes,
                    self.crc.value(),
                ),
            ));
        }
        if !self.filling.is_empty() || self.number == 1 {
            // An empty buffer takes the place of the last part: nothing is written after this.
            let end = PartBuffer::new(0).map_err(|error| Error::internal(format!("complete {uri}"), error))?;
            self.dispatch(end).await?;
        }
        while self.join_one().await? {}
        self.sent.sort_by_key(|part| part.part_number);
        let stored = Stored { bytes: self.bytes, crc64nvme: self.crc.value() };
        self.target.complete(&self.sent, stored).await?;
        Ok(stored)
    }

    async fn give_up(&mut self) {
        self.sending.shutdown().await;
        self.target.abort().await;
    }
}

#[async_trait]
impl ObjectUpload for S3Upload {
    async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        self.bytes += chunk.len() as u64;
        self.crc.update(&chunk);
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

    async fn complete(mut self: Box<Self>, proof: Finished) -> Result<Stored> {
        let result = self.finish(&proof).await;
        if result.is_err() {
            self.give_up().await;
        }
        self.ended = true;
        result
    }

    async fn abort(mut self: Box<Self>) {
        self.give_up().await;
        self.ended = true;
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        if !self.ended {
            tracing::warn!(
                object = self.target.uri(),
                upload_id = self.target.upload_id,
                "an upload was dropped in the middle: its parts stay until the bucket's lifecycle rule or Cleanup removes them"
            );
        }
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
        self.sink.uri(&self.key)
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
                .sink
                .client
                .upload_part()
                .bucket(self.sink.bucket.as_str())
                .key(&self.key)
                .upload_id(&self.upload_id)
                .part_number(number_i32)
                .content_length(length)
                .checksum_crc64_nvme(&checksum)
                .set_expected_bucket_owner(self.sink.owner())
                .body(body)
                .customize()
                .disable_payload_signing()
                .config_override(attempt_timeout(timeout))
                .send()
                .await;
            match answer {
                Ok(answer) => {
                    return Ok(CompletedPart::builder()
                        .part_number(number_i32)
                        .set_e_tag(answer.e_tag)
                        .checksum_crc64_nvme(checksum)
                        .build());
                }
                Err(error)
                    if attempt < DAMAGED_ATTEMPTS
                        && matches!(error.code(), Some("BadDigest" | "XAmzContentChecksumMismatch")) =>
                {
                    tracing::warn!(object = self.uri(), part = number, "S3 received a damaged part: sending it again");
                    attempt += 1;
                }
                Err(error) => return Err(sdk_error(what(), &error)),
            }
        }
    }

    async fn complete(&self, parts: &[CompletedPart], expected: Stored) -> Result<()> {
        let what = format!("complete {}", self.uri());
        let size = i64::try_from(expected.bytes).map_err(|error| Error::internal(&what, error))?;
        let answer = self
            .sink
            .client
            .complete_multipart_upload()
            .bucket(self.sink.bucket.as_str())
            .key(&self.key)
            .upload_id(&self.upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build())
            .checksum_type(ChecksumType::FullObject)
            .checksum_crc64_nvme(expected.crc64nvme.to_string())
            .mpu_object_size(size)
            .set_expected_bucket_owner(self.sink.owner())
            .customize()
            .config_override(attempt_timeout(COMPLETE_TIMEOUT))
            .send()
            .await;
        match answer {
            Ok(_) => self.compare(expected).await,
            // The answer may be lost after the object was assembled; the retry then hears NoSuchUpload. What is stored decides.
            Err(error) => match self.compare(expected).await {
                Ok(()) => {
                    tracing::info!(
                        object = self.uri(),
                        "the answer to the completion was lost, the object is complete"
                    );
                    if error.code() != Some("NoSuchUpload") {
                        self.abort().await;
                    }
                    Ok(())
                }
                Err(_) => Err(sdk_error(what, &error)),
            },
        }
    }

    /// Compares what S3 says it holds with what was sent.
    async fn compare(&self, expected: Stored) -> Result<()> {
        let head = self
            .sink
            .client
            .head_object()
            .bucket(self.sink.bucket.as_str())
            .key(&self.key)
            .checksum_mode(ChecksumMode::Enabled)
            .set_expected_bucket_owner(self.sink.owner())
            .send()
            .await
            .map_err(|error| sdk_error(format!("look at {}", self.uri()), &error))?;
        let bytes = head.content_length.and_then(|n| u64::try_from(n).ok());
        let checksum = head.checksum_crc64_nvme.as_deref();
        let sent = expected.crc64nvme.to_string();
        if bytes == Some(expected.bytes) && checksum == Some(&sent) {
            return Ok(());
        }
        Err(Error::new(
            Kind::VerificationFailed,
            format!(
                "{} was sent with {} bytes and CRC64NVME {sent}, and S3 reports {} bytes and {}",
                self.uri(),
                expected.bytes,
                bytes.unwrap_or_default(),
                checksum.unwrap_or("no checksum"),
            ),
        ))
    }

    async fn abort(&self) {
        let request = self
            .sink
            .client
            .abort_multipart_upload()
            .bucket(self.sink.bucket.as_str())
            .key(&self.key)
            .upload_id(&self.upload_id)
            .set_expected_bucket_owner(self.sink.owner())
            .send();
        let problem = match tokio::time::timeout(ABORT_TIMEOUT, request).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if error.code() == Some("NoSuchUpload") => return,
            Ok(Err(error)) => sdk_error("abort", &error).chain(),
            Err(_) => format!("no answer within {} s", ABORT_TIMEOUT.as_secs()),
        };
        tracing::warn!(
            object = self.uri(),
            upload_id = self.upload_id,
            problem,
            "an unfinished upload could not be aborted: the bucket's lifecycle rule or Cleanup removes it"
        );
    }
}

fn attempt_timeout(timeout: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new()
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(timeout).build())
}
