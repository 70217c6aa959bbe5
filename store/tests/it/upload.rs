//! A fault at every S3 call of an upload: an error that passes, one that stays, and an answer that is lost.

use std::time::Duration;

use archive::Crc64Nvme;
use domain::failure::{Error, Kind, Result};
use domain::part::{MIN_PART_BYTES, PartPlan};
use local_cloud::{FaultAction, When, WorkerCloud};
use store::write::{Existing, Finished, ObjectSink as _, Put, S3Sink, Stored, StreamWriter, transfer};
use tokio_util::sync::CancellationToken;

use crate::place::bucket;

const KEY: &str = "data/ebs/x/disk.img.gz";
/// Three parts, the last one short.
const BYTES: usize = 2 * (5 << 20) + 1000;

/// Nothing is done, and nobody answers.
const RESET: FaultAction = FaultAction::CutRequest { after_bytes: 0 };
/// It is done, and nobody answers.
const LOST_ANSWER: FaultAction = FaultAction::CutResponse { after_bytes: 0 };

fn sink(cloud: &WorkerCloud) -> S3Sink {
    S3Sink::new(bucket(cloud))
}

fn content() -> Vec<u8> {
    (0..253).cycle().take(BYTES).collect()
}

fn stated() -> Stored {
    Stored { bytes: BYTES as u64, crc64nvme: Crc64Nvme::of(&content()) }
}

/// Uploads what `produce` writes.
async fn upload_by(
    cloud: &WorkerCloud,
    stop: &CancellationToken,
    produce: impl FnOnce(StreamWriter) -> Result<((), Finished)> + Send + 'static,
) -> Result<Stored> {
    let plan = PartPlan::with_base(MIN_PART_BYTES);
    transfer(&sink(cloud), KEY, plan, stop, |_| {}, produce).await.map(|((), stored)| stored)
}

async fn upload(cloud: &WorkerCloud) -> Result<Stored> {
    upload_by(cloud, &CancellationToken::new(), |mut writer| {
        for piece in content().chunks(700_000) {
            writer.send(piece.to_vec().into()).map_err(|error| Error::internal("write the archive", error))?;
        }
        Ok(((), writer.finish(stated())))
    })
    .await
}

fn assert_complete(cloud: &WorkerCloud) {
    assert_eq!(cloud.object(KEY).expect("the object is there"), content());
    assert_eq!(cloud.uploads(), [], "an upload was left");
}

fn assert_nothing(cloud: &WorkerCloud) {
    assert_eq!(cloud.object(KEY), None, "a failed stream became an object");
    assert_eq!(cloud.uploads(), [], "an upload was left");
}

const CALLS: [&str; 4] = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"];

#[tokio::test]
async fn an_upload_is_assembled_in_order_and_checked() {
    let cloud = WorkerCloud::start().unwrap();
    assert_eq!(upload(&cloud).await.unwrap(), stated());
    assert_complete(&cloud);
    assert_eq!(cloud.calls("UploadPart"), 3);
    assert_eq!(cloud.calls("HeadObject"), 1);
}

#[tokio::test]
async fn an_error_that_passes_is_retried() {
    for call in CALLS {
        for fault in [FaultAction::error(500, "InternalError"), FaultAction::error(503, "SlowDown"), RESET] {
            let cloud = WorkerCloud::start().unwrap();
            cloud.fault(call, When::First(2), fault.clone());
            let result = upload(&cloud).await;
            assert!(result.is_ok(), "{call} {fault:?}: {}", result.unwrap_err().chain());
            assert_complete(&cloud);
        }
    }
}

#[tokio::test]
async fn an_error_that_stays_leaves_nothing() {
    for (fault, kind) in [
        (FaultAction::error(500, "InternalError"), Kind::Unavailable),
        (FaultAction::error(503, "SlowDown"), Kind::Throttled),
        (FaultAction::error(403, "AccessDenied"), Kind::AccessDenied),
        (RESET, Kind::Unavailable),
    ] {
        for call in ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
            let cloud = WorkerCloud::start().unwrap();
            cloud.fault(call, When::Always, fault.clone());
            let error = upload(&cloud).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{call} {fault:?}: {}", error.chain());
            assert_nothing(&cloud);
            assert_eq!(cloud.calls("AbortMultipartUpload") > 0, call != "CreateMultipartUpload");
        }
    }
}

#[tokio::test]
async fn one_part_that_fails_for_ever_fails_the_whole() {
    let cloud = WorkerCloud::start().unwrap();
    // The third request for a part and its retries.
    cloud.fault("UploadPart", When::After(2), FaultAction::error(500, "InternalError"));
    assert!(upload(&cloud).await.is_err());
    assert_nothing(&cloud);
}

#[tokio::test]
async fn a_lost_answer_to_the_completion_is_a_complete_object() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("CompleteMultipartUpload", When::Nth(1), LOST_ANSWER);
    upload(&cloud).await.unwrap();
    assert_complete(&cloud);
    assert!(cloud.calls("CompleteMultipartUpload") > 1, "the retry heard NoSuchUpload");
}

#[tokio::test]
async fn a_lost_answer_to_the_creation_still_ends_in_the_object() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("CreateMultipartUpload", When::Nth(1), LOST_ANSWER);
    upload(&cloud).await.unwrap();
    assert_eq!(cloud.object(KEY).unwrap(), content());
}

#[tokio::test]
async fn a_part_damaged_on_the_way_is_sent_again() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("UploadPart", When::Nth(2), FaultAction::DamageRequest);
    upload(&cloud).await.unwrap();
    assert_complete(&cloud);
    assert_eq!(cloud.calls("UploadPart"), 4);
}

#[tokio::test]
async fn a_writer_that_fails_in_the_middle_leaves_nothing_and_its_error() {
    let cloud = WorkerCloud::start().unwrap();
    let failed = upload_by(&cloud, &CancellationToken::new(), |mut writer| {
        writer.send(content().into()).map_err(|error| Error::internal("write the archive", error))?;
        Err(Error::new(Kind::ReadFailed, "read /dev/x at byte 4096"))
    })
    .await;
    assert_eq!(failed.unwrap_err().kind(), Kind::ReadFailed);
    assert_nothing(&cloud);
    assert_eq!(cloud.calls("CompleteMultipartUpload"), 0);
    assert_eq!(cloud.calls("AbortMultipartUpload"), 1);
}

#[tokio::test]
async fn a_stopped_upload_is_aborted() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("UploadPart", When::Always, FaultAction::delay(Duration::from_millis(200)));
    let stop = CancellationToken::new();
    let ask = stop.clone();
    let stopped = upload_by(&cloud, &stop, move |mut writer| {
        writer.send(content().into()).map_err(|error| Error::internal("write the archive", error))?;
        ask.cancel();
        Ok(((), writer.finish(stated())))
    })
    .await;
    assert_eq!(stopped.unwrap_err().kind(), Kind::Interrupted);
    assert_nothing(&cloud);
}

#[tokio::test]
async fn an_object_that_s3_reports_otherwise_is_not_believed() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("HeadObject", When::Always, FaultAction::error(404, "NotFound"));
    let error = upload(&cloud).await.unwrap_err();
    assert_eq!(error.kind(), Kind::VerificationFailed);
    let text = error.to_string();
    assert!(text.contains("s3://backups/data/ebs/x/disk.img.gz") && text.contains("S3 reports 0 bytes"), "{text}");
}

#[tokio::test]
async fn a_manifest_is_written_once_even_when_its_answer_is_lost() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("PutObject", When::Nth(1), LOST_ANSWER);
    let sink = sink(&cloud);
    let put = async |text: &'static str| sink.put("manifest.json", text.into(), Existing::Keep).await.unwrap();
    assert_eq!(put("one").await, Put::Written);
    assert_eq!(put("two").await, Put::AlreadyThere);
    assert_eq!(cloud.object("manifest.json").unwrap(), b"one");
}
