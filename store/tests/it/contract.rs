//! What every place promises, whatever it is.

use archive::Crc64Nvme;
use bytes::Bytes;
use domain::failure::{Error, Kind, Result};
use domain::part::{MIN_PART_BYTES, PartPlan};
use store::write::{Existing, Finished, Put, Stored, StreamWriter, channel, transfer};
use tokio_util::sync::CancellationToken;

use crate::place::{Place, read};

const KEY: &str = "data/ebs/x/disk.img.gz";

fn plan() -> PartPlan {
    PartPlan::with_base(MIN_PART_BYTES)
}

/// Each claim is a test of each place.
macro_rules! contract {
    ($($claim:ident),+ $(,)?) => {
        mod directory {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::Place::directory()).await;
            })+
        }
        mod bucket {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::Place::bucket()).await;
            })+
        }
    };
}

contract! {
    a_manifest_is_never_replaced,
    what_an_earlier_attempt_left_is_replaced,
    an_object_appears_whole_and_under_its_name_alone,
    an_object_of_no_bytes_is_one,
    an_object_stays_until_its_successor_is_complete,
    a_writer_that_fails_leaves_nothing_and_its_own_error,
    a_writer_that_vanishes_leaves_nothing,
    a_stopped_transfer_leaves_nothing,
    a_transfer_that_is_stopped_before_it_began_begins_nothing,
    an_aborted_upload_leaves_nothing,
    a_proof_that_differs_from_what_arrived_is_refused_and_leaves_nothing,
    a_range_is_exact,
    an_object_is_fetched_with_its_hash,
    a_read_that_is_stopped_breaks,
    a_listing_is_in_order_and_complete,
    a_missing_object_is_none,
}

/// Two parts and a short one, where there are parts.
fn content() -> Bytes {
    (0..253).cycle().take(2 * (5 << 20) + 1000).collect::<Vec<u8>>().into()
}

fn stated(content: &[u8]) -> Stored {
    Stored { bytes: content.len() as u64, crc64nvme: Crc64Nvme::of(content) }
}

/// Transfers what `produce` writes.
async fn write(
    place: &Place,
    stop: &CancellationToken,
    produce: impl FnOnce(StreamWriter) -> Result<((), Finished)> + Send + 'static,
) -> Result<Stored> {
    transfer(place.sink().as_ref(), KEY, plan(), stop, |_| {}, produce).await.map(|((), stored)| stored)
}

async fn write_all(place: &Place, content: Bytes) -> Result<Stored> {
    write(place, &CancellationToken::new(), move |mut writer| {
        let stated = stated(&content);
        writer.send(content).map_err(|error| Error::internal("write", error))?;
        Ok(((), writer.finish(stated)))
    })
    .await
}

async fn a_manifest_is_never_replaced(place: &Place) {
    let sink = place.sink();
    let put = async |text: &'static str| sink.put("a/manifest.json", text.into(), Existing::Keep).await.unwrap();
    assert_eq!(put("one").await, Put::Written);
    assert_eq!(put("one").await, Put::Written, "a try whose answer was lost");
    assert_eq!(put("two").await, Put::AlreadyThere);
    assert_eq!(sink.read("a/manifest.json").await.unwrap().unwrap(), "one");
    place.assert_holds(&["a/manifest.json"]);
}

async fn what_an_earlier_attempt_left_is_replaced(place: &Place) {
    let sink = place.sink();
    for text in ["one", "another"] {
        assert_eq!(sink.put("a/error.json", text.into(), Existing::Replace).await.unwrap(), Put::Written);
        assert_eq!(place.object("a/error.json").unwrap(), text.as_bytes());
    }
    place.assert_holds(&["a/error.json"]);
}

async fn an_object_appears_whole_and_under_its_name_alone(place: &Place) {
    let mut upload = place.sink().begin(KEY, plan()).await.unwrap();
    upload.write(content()).await.unwrap();
    assert_eq!(place.object(KEY), None, "half an object is there");
    upload.abort().await;
    let stored = write_all(place, content()).await.unwrap();
    assert_eq!(stored, stated(&content()));
    assert_eq!(place.object(KEY).unwrap(), content());
    place.assert_holds(&[KEY]);
    let held = place.store().look(KEY).await.unwrap().unwrap();
    assert_eq!(held.bytes, stored.bytes);
}

async fn an_object_of_no_bytes_is_one(place: &Place) {
    assert_eq!(write_all(place, Bytes::new()).await.unwrap().bytes, 0);
    assert_eq!(place.object(KEY).unwrap(), b"");
    place.assert_holds(&[KEY]);
}

async fn an_object_stays_until_its_successor_is_complete(place: &Place) {
    place.put(KEY, b"the first");
    let failed = write(place, &CancellationToken::new(), |mut writer| {
        writer.send(content()).map_err(|error| Error::internal("write", error))?;
        Err(Error::new(Kind::ReadFailed, "read /dev/x at byte 4096"))
    })
    .await;
    failed.unwrap_err();
    assert_eq!(place.object(KEY).unwrap(), b"the first");
    write_all(place, "the second".into()).await.unwrap();
    assert_eq!(place.object(KEY).unwrap(), b"the second");
    place.assert_holds(&[KEY]);
}

async fn a_writer_that_fails_leaves_nothing_and_its_own_error(place: &Place) {
    let failed = write(place, &CancellationToken::new(), |mut writer| {
        writer.send(content()).map_err(|error| Error::internal("write", error))?;
        Err(Error::new(Kind::ReadFailed, "read /dev/x at byte 4096"))
    })
    .await;
    let error = failed.unwrap_err();
    assert_eq!((error.kind(), error.chain().as_str()), (Kind::ReadFailed, "read /dev/x at byte 4096"));
    place.assert_holds(&[]);
}

async fn a_writer_that_vanishes_leaves_nothing(place: &Place) {
    let vanished = write(place, &CancellationToken::new(), |mut writer| {
        writer.send(content()).map_err(|error| Error::internal("write", error))?;
        panic!("a thread of the archive died");
    })
    .await;
    assert_eq!(vanished.unwrap_err().kind(), Kind::Internal);
    place.assert_holds(&[]);
}

async fn a_stopped_transfer_leaves_nothing(place: &Place) {
    let stop = CancellationToken::new();
    let inner = stop.clone();
    let stopped = write(place, &stop, move |mut writer| {
        // Writes until it is told that nobody listens.
        loop {
            inner.cancel();
            if let Err(error) = writer.send(vec![0; 65_536].into()) {
                return Err(Error::internal("write", error));
            }
        }
    })
    .await;
    assert_eq!(stopped.unwrap_err().kind(), Kind::Interrupted);
    place.assert_holds(&[]);
}

async fn a_transfer_that_is_stopped_before_it_began_begins_nothing(place: &Place) {
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = write(place, &stop, |_| Err(Error::new(Kind::ReadFailed, "nobody was to read"))).await;
    assert_eq!(stopped.unwrap_err().kind(), Kind::Interrupted);
    place.assert_holds(&[]);
}

async fn an_aborted_upload_leaves_nothing(place: &Place) {
    let mut upload = place.sink().begin(KEY, plan()).await.unwrap();
    upload.write(content()).await.unwrap();
    upload.abort().await;
    place.assert_holds(&[]);
}

async fn a_proof_that_differs_from_what_arrived_is_refused_and_leaves_nothing(place: &Place) {
    let truth = stated(&content());
    let other = Crc64Nvme::of(b"another stream");
    for lie in [Stored { bytes: truth.bytes + 1, ..truth }, Stored { crc64nvme: other, ..truth }] {
        let mut upload = place.sink().begin(KEY, plan()).await.unwrap();
        upload.write(content()).await.unwrap();
        let (writer, _reader) = channel();
        let error = upload.complete(writer.finish(lie)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.to_string().contains("the writer gave"), "{error}");
        place.assert_holds(&[]);
    }
}

async fn a_range_is_exact(place: &Place) {
    // More than is read at once.
    let content: Vec<u8> = (0..251).cycle().take((8 << 20) + 1000).collect();
    place.put(KEY, &content);
    let (store, end) = (place.store(), content.len() as u64);
    for range in [0..1, 0..end, 4_000..9_000, (8 << 20) - 1..(8 << 20) + 1, end - 1..end, 7..7, end..end] {
        let expected = &content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert!(read(&store, KEY, range.clone(), None).await.unwrap() == expected, "{range:?}");
    }
    for range in [end - 1..end + 1, end..end + 1] {
        assert!(read(&store, KEY, range.clone(), None).await.is_err(), "{range:?} is beyond the end");
    }
}

async fn an_object_is_fetched_with_its_hash(place: &Place) {
    use std::io::Read as _;
    place.put(KEY, b"hello");
    let store = place.store();
    let held = store.look(KEY).await.unwrap().unwrap();
    let (mut file, sha256) = store.fetch(KEY, &held, &CancellationToken::new()).await.unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(sha256.to_string(), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!(store.get(KEY).await.unwrap(), "hello");
}

async fn a_read_that_is_stopped_breaks(place: &Place) {
    place.put(KEY, &content());
    let (store, stop) = (place.store(), CancellationToken::new());
    let held = store.look(KEY).await.unwrap().unwrap();
    stop.cancel();
    assert_eq!(store.fetch(KEY, &held, &stop).await.unwrap_err().kind(), Kind::Interrupted);
}

async fn a_listing_is_in_order_and_complete(place: &Place) {
    // More than S3 lists at once, and names around the separator.
    let mut keys: Vec<String> = (0..1_100).map(|number| format!("data/x/{number}")).collect();
    keys.extend(["data/x-1", "data/x.gz", "data/x/a/b/c", "data/x/a-b", "data/y/1", "other"].map(str::to_owned));
    for key in &keys {
        place.put(key, key.as_bytes());
    }
    keys.sort();
    let store = place.store();
    let listed = store.list("").await.unwrap();
    assert!(listed.iter().map(|object| &object.key).eq(&keys));
    assert!(listed.iter().all(|object| object.held.bytes == object.key.len() as u64));
    let below = store.list("data/x/").await.unwrap();
    let expected = keys.iter().filter(|key| key.starts_with("data/x/"));
    assert!(below.iter().map(|object| &object.key).eq(expected));
    assert_eq!(store.list("nothing/").await.unwrap(), []);
}

async fn a_missing_object_is_none(place: &Place) {
    assert_eq!(place.sink().read(KEY).await.unwrap(), None);
    let store = place.store();
    assert_eq!(store.read(KEY).await.unwrap(), None);
    assert_eq!(store.look(KEY).await.unwrap(), None);
    let error = store.get(KEY).await.unwrap_err();
    assert_eq!(error.kind(), Kind::SourceNotFound);
    assert!(error.to_string().contains(&store.locate(KEY)), "{error}");
}
