//! A fault at every S3 call of an upload: an error that passes, one that stays, and an answer that is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use batch_worker::sink::{Existing, Finished, ObjectSink as _, Put, S3Sink, Stored, transfer};
use domain::failure::Kind;
use domain::failure::{Error, Result};
use domain::part::{MIN_PART_BYTES, PartPlan};
use fake::{BUCKET, Fake, Fault, OWNER, When};
use tokio_util::sync::CancellationToken;

const KEY: &str = "data/ebs/x/disk.img.gz";
/// Three parts, the last one short.
const BYTES: usize = 2 * (5 << 20) + 1000;

fn sink(fake: &Fake) -> S3Sink {
    S3Sink::new(fake.s3(), BUCKET.parse().unwrap(), OWNER.parse().ok())
}

fn content() -> Vec<u8> {
    (0..253).cycle().take(BYTES).collect()
}

async fn upload(fake: &Fake) -> Result<((), Stored)> {
    let plan = PartPlan::with_base(MIN_PART_BYTES);
    let stop = CancellationToken::new();
    transfer(
        &sink(fake),
        KEY,
        plan,
        &stop,
        |_| {},
        |mut writer| {
            for piece in content().chunks(700_000) {
                writer
                    .send(piece.to_vec().into())
                    .map_err(|error| Error::caused_by(Kind::Internal, "write the archive", error))?;
            }
            Ok(((), writer.finish()))
        },
    )
    .await
}

fn assert_complete(fake: &Fake) {
    assert_eq!(fake.object(KEY).expect("the object is there"), content());
    assert!(fake.lock().uploads.is_empty(), "an upload was left");
}

fn assert_nothing(fake: &Fake) {
    assert_eq!(fake.object(KEY), None, "a failed stream became an object");
    assert!(fake.lock().uploads.is_empty(), "an upload was left");
}

const CALLS: [&str; 4] = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"];

#[tokio::test]
async fn an_upload_is_assembled_in_order_and_checked() {
    let fake = Fake::start();
    let ((), stored) = upload(&fake).await.unwrap();
    assert_eq!(stored.bytes, BYTES as u64);
    assert_complete(&fake);
    assert_eq!(fake.calls("UploadPart"), 3);
    assert_eq!(fake.calls("HeadObject"), 1);
}

#[tokio::test]
async fn an_error_that_passes_is_retried() {
    for call in CALLS {
        for fault in [Fault::Status(500, "InternalError"), Fault::Status(503, "SlowDown"), Fault::Reset] {
            let fake = Fake::start();
            fake.fault(call, When::First(2), fault);
            let result = upload(&fake).await;
            assert!(result.is_ok(), "{call} {fault:?}: {}", result.unwrap_err().chain());
            assert_complete(&fake);
        }
    }
}

#[tokio::test]
async fn an_error_that_stays_leaves_nothing() {
    for (fault, kind) in [
        (Fault::Status(500, "InternalError"), Kind::Unavailable),
        (Fault::Status(503, "SlowDown"), Kind::Throttled),
        (Fault::Status(403, "AccessDenied"), Kind::AccessDenied),
        (Fault::Reset, Kind::Unavailable),
    ] {
        for call in ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
            let fake = Fake::start();
            fake.fault(call, When::Always, fault);
            let error = upload(&fake).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{call} {fault:?}: {}", error.chain());
            assert_nothing(&fake);
            assert_eq!(fake.calls("AbortMultipartUpload") > 0, call != "CreateMultipartUpload");
        }
    }
}

#[tokio::test]
async fn one_part_that_fails_for_ever_fails_the_whole() {
    let fake = Fake::start();
    // The third request for a part and its retries.
    for number in 3..=9 {
        fake.fault("UploadPart", When::Nth(number), Fault::Status(500, "InternalError"));
    }
    assert!(upload(&fake).await.is_err());
    assert_nothing(&fake);
}

#[tokio::test]
async fn a_lost_answer_to_the_completion_is_a_complete_object() {
    let fake = Fake::start();
    fake.fault("CompleteMultipartUpload", When::Nth(1), Fault::LostAnswer);
    upload(&fake).await.unwrap();
    assert_complete(&fake);
    assert!(fake.calls("CompleteMultipartUpload") > 1, "the retry heard NoSuchUpload");
}

#[tokio::test]
async fn a_lost_answer_to_the_creation_still_ends_in_the_object() {
    let fake = Fake::start();
    fake.fault("CreateMultipartUpload", When::Nth(1), Fault::LostAnswer);
    upload(&fake).await.unwrap();
    assert_eq!(fake.object(KEY).unwrap(), content());
}

#[tokio::test]
async fn a_part_damaged_on_the_way_is_sent_again() {
    let fake = Fake::start();
    fake.fault("UploadPart", When::Nth(2), Fault::Damage);
    upload(&fake).await.unwrap();
    assert_complete(&fake);
    assert_eq!(fake.calls("UploadPart"), 4);
}

#[tokio::test]
async fn a_writer_that_fails_in_the_middle_leaves_nothing_and_its_error() {
    let fake = Fake::start();
    let stop = CancellationToken::new();
    let plan = PartPlan::with_base(MIN_PART_BYTES);
    let error = transfer(
        &sink(&fake),
        KEY,
        plan,
        &stop,
        |_| {},
        |mut writer| {
            writer.send(content().into()).unwrap();
            Err::<((), Finished), _>(Error::new(Kind::ReadFailed, "read /dev/x at byte 4096"))
        },
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::ReadFailed);
    assert_nothing(&fake);
    assert_eq!(fake.calls("CompleteMultipartUpload"), 0);
    assert_eq!(fake.calls("AbortMultipartUpload"), 1);
}

#[tokio::test]
async fn a_writer_that_vanishes_leaves_nothing() {
    let fake = Fake::start();
    let stop = CancellationToken::new();
    let plan = PartPlan::with_base(MIN_PART_BYTES);
    let result = transfer(
        &sink(&fake),
        KEY,
        plan,
        &stop,
        |_| {},
        |mut writer| {
            writer.send(content().into()).unwrap();
            panic!("a thread of the archive died");
            #[expect(unreachable_code, reason = "names the type")]
            Ok(((), writer.finish()))
        },
    )
    .await;
    assert_eq!(result.unwrap_err().kind(), Kind::Internal);
    assert_nothing(&fake);
}

#[tokio::test]
async fn a_stopped_upload_is_aborted() {
    let fake = Fake::start();
    fake.fault("UploadPart", When::Always, Fault::Slow(std::time::Duration::from_millis(200)));
    let stop = CancellationToken::new();
    let plan = PartPlan::with_base(MIN_PART_BYTES);
    let ask = stop.clone();
    let error = transfer(
        &sink(&fake),
        KEY,
        plan,
        &stop,
        |_| {},
        move |mut writer| {
            writer.send(content().into()).unwrap();
            ask.cancel();
            Ok(((), writer.finish()))
        },
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Interrupted);
    assert_nothing(&fake);
}

#[tokio::test]
async fn an_object_that_s3_reports_otherwise_is_not_believed() {
    let fake = Fake::start();
    fake.fault("HeadObject", When::Always, Fault::Status(404, "NotFound"));
    let error = upload(&fake).await.unwrap_err();
    assert!(error.chain().contains("look at s3://backups/data/ebs/x/disk.img.gz"), "{}", error.chain());
}

#[tokio::test]
async fn a_manifest_is_written_once_even_when_its_answer_is_lost() {
    let fake = Fake::start();
    fake.fault("PutObject", When::Nth(1), Fault::LostAnswer);
    let sink = sink(&fake);
    let put = async |text: &'static str| sink.put("manifest.json", text.into(), Existing::Keep).await.unwrap();
    assert_eq!(put("one").await, Put::Written);
    assert_eq!(put("two").await, Put::AlreadyThere);
    assert_eq!(fake.object("manifest.json").unwrap(), "one");
}

#[tokio::test]
async fn a_wrong_bucket_is_refused_by_name_and_remedy() {
    let fake = Fake::start();
    let refused = async |bucket: &str, owner: &str| {
        let sink = S3Sink::new(fake.s3(), bucket.parse().unwrap(), owner.parse().ok());
        sink.preflight().await.unwrap_err()
    };
    let missing = refused("no-such-bucket", OWNER).await;
    assert_eq!(missing.kind(), Kind::BucketNotFound);
    assert!(missing.to_string().contains("no-such-bucket does not exist"), "{missing}");
    let foreign = refused(BUCKET, "999999999999").await;
    assert_eq!(foreign.kind(), Kind::BucketNotOwned);
    assert!(foreign.to_string().contains("does not belong to account 999999999999"), "{foreign}");
    fake.fault("HeadBucket", When::Always, Fault::Status(403, "AccessDenied"));
    let denied = refused(BUCKET, OWNER).await;
    assert_eq!(denied.kind(), Kind::BucketNotOwned);
    assert!(denied.to_string().contains("s3:ListBucket"), "{denied}");
}

#[tokio::test]
async fn a_bucket_of_another_region_is_refused() {
    let fake = Fake::start();
    fake.fault("HeadBucket", When::Always, Fault::Status(301, "PermanentRedirect"));
    let error = sink(&fake).preflight().await.unwrap_err();
    assert_eq!(error.kind(), Kind::BucketNotFound);
    assert!(error.to_string().contains("region"), "{error}");
}
