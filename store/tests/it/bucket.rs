//! What only a bucket can do: belong to somebody else, and change while it is read.

use std::time::Duration;

use domain::failure::{Error, Kind};
use local_cloud::{FaultAction, When, WorkerCloud};
use store::Store;
use store::write::{Existing, ObjectSink as _, S3Sink};

use crate::place::{bucket, named_bucket, read};

const KEY: &str = "data/ebs/x/disk.img.gz";
const BUCKET: &str = WorkerCloud::BUCKET;
const OWNER: &str = WorkerCloud::OWNER;
const FOREIGNER: &str = "999999999999";

#[tokio::test]
async fn a_wrong_bucket_is_refused_by_name_and_remedy() {
    let cloud = WorkerCloud::start().unwrap();
    let refused = async |name: &str, owner: &str| {
        let bucket = named_bucket(&cloud, name, owner);
        let read = Store::Bucket(bucket.clone()).preflight().await.unwrap_err();
        let written = S3Sink::new(bucket).preflight().await.unwrap_err();
        assert_eq!(read.to_string(), written.to_string());
        written
    };
    let missing = refused("no-such-bucket", OWNER).await;
    assert_eq!(missing.kind(), Kind::BucketNotFound);
    assert!(missing.to_string().contains("no-such-bucket does not exist"), "{missing}");
    let foreign = refused(BUCKET, FOREIGNER).await;
    assert_eq!(foreign.kind(), Kind::BucketNotOwned);
    assert!(foreign.to_string().contains("does not belong to account 999999999999"), "{foreign}");
    cloud.fault("HeadBucket", When::Always, FaultAction::error(403, "AccessDenied"));
    let denied = refused(BUCKET, OWNER).await;
    assert_eq!(denied.kind(), Kind::BucketNotOwned);
    assert!(denied.to_string().contains("s3:ListBucket"), "{denied}");
}

#[tokio::test]
async fn a_bucket_of_another_region_is_refused() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.fault("HeadBucket", When::Always, FaultAction::error(301, "PermanentRedirect"));
    let error = S3Sink::new(bucket(&cloud)).preflight().await.unwrap_err();
    assert_eq!(error.kind(), Kind::BucketNotFound);
    assert!(error.to_string().contains("Region"), "{error}");
}

#[tokio::test]
async fn a_bucket_of_somebody_else_is_neither_read_nor_written() {
    let cloud = WorkerCloud::start().unwrap();
    cloud.put_object(KEY, "theirs").unwrap();
    let foreign = named_bucket(&cloud, BUCKET, FOREIGNER);
    let store = Store::Bucket(foreign.clone());
    let sink = S3Sink::new(foreign);
    let plan = domain::part::PartPlan::with_base(domain::part::MIN_PART_BYTES);
    let refused: [(&str, Option<Error>); 6] = [
        ("read", store.read(KEY).await.err()),
        ("look", store.look(KEY).await.err()),
        ("list", store.list("").await.err()),
        ("range", read(&store, KEY, 0..1, None).await.err()),
        ("put", sink.put(KEY, "ours".into(), Existing::Replace).await.err()),
        ("begin", sink.begin(KEY, plan).await.err()),
    ];
    for (what, error) in refused {
        assert_eq!(error.unwrap_or_else(|| panic!("{what}")).kind(), Kind::AccessDenied, "{what}");
    }
    assert_eq!(cloud.object(KEY).unwrap(), b"theirs");
}

type Change = fn(&WorkerCloud);

#[tokio::test]
async fn what_is_replaced_or_removed_while_it_is_read_breaks_the_stream() {
    let changes: [(&str, Change); 2] = [
        ("replaced", |cloud| drop(cloud.put_object(KEY, vec![2; 17 << 20]).unwrap())),
        ("removed", |cloud| cloud.remove_object(KEY).unwrap()),
    ];
    for (fate, change) in changes {
        let cloud = WorkerCloud::start().unwrap();
        // Three reads.
        cloud.put_object(KEY, vec![1; 17 << 20]).unwrap();
        let store = Store::Bucket(bucket(&cloud));
        let held = store.look(KEY).await.unwrap().unwrap();
        let first = read(&store, KEY, 0..8 << 20, held.etag.clone()).await.unwrap();
        assert!(first == vec![1; 8 << 20]);
        // The others are under way.
        cloud.fault("GetObject", When::Always, FaultAction::delay(Duration::from_millis(200)));
        let before = cloud.calls("GetObject");
        let (rest, ()) = tokio::join!(read(&store, KEY, 8 << 20..held.bytes, held.etag), async {
            while cloud.calls("GetObject") == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            change(&cloud);
        });
        let error = rest.unwrap_err();
        assert_eq!(error.kind(), Kind::VerificationFailed, "{}", error.chain());
        assert!(error.to_string().contains(&format!("was {fate} while it was read")), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let cloud = WorkerCloud::start().unwrap();
    let content: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
    cloud.put_object(KEY, &content).unwrap();
    cloud.fault("GetObject", When::Nth(1), FaultAction::HalveResponse);
    cloud.fault("GetObject", When::Nth(1), FaultAction::CutResponse { after_bytes: 1000 });
    let store = Store::Bucket(bucket(&cloud));
    assert!(read(&store, KEY, 0..1 << 20, None).await.unwrap() == content);
    assert_eq!((cloud.calls("GetObject"), cloud.faults().hits()), (3, vec![1, 1]));
}
