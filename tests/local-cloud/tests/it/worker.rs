//! What a worker's tests have in the place of AWS: no moto, no Python, nothing to wait for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local_cloud::{FaultAction, VolumeSpec, When, WorkerCloud};

const VOLUME: &str = "vol-0123456789abcdef0";
const DEAD: &str = "i-0dddddddddddddddd";
const UNSIGNED: (&str, &str) = ("x-amz-content-sha256", "UNSIGNED-PAYLOAD");

/// A client that neither signs nor retries.
struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
}

/// A status and a body; nothing when the connection broke.
type Answer = Option<(u16, String)>;

impl Caller {
    fn of(cloud: &WorkerCloud) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), endpoint: cloud.endpoint().to_owned() }
    }

    async fn call(&self, service: &str, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.endpoint)).header("authorization", scope);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.request(request.body(Full::from(body.to_vec())).unwrap()).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn s3(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.call("s3", method, &format!("/{}/{path}", WorkerCloud::BUCKET), headers, body).await
    }

    async fn ec2(&self, form: &str) -> Answer {
        self.call("ec2", Method::POST, "/", &[], form.as_bytes()).await
    }

    async fn json(&self, service: &str, target: &str, body: &str) -> Answer {
        self.call(service, Method::POST, "/", &[("x-amz-target", target)], body.as_bytes()).await
    }
}

/// The header with the checksum of some bytes.
fn crc(bytes: &[u8]) -> (&'static str, String) {
    let sum = checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes();
    ("x-amz-checksum-crc64nvme", base64::engine::general_purpose::STANDARD.encode(sum))
}

fn status(answer: &Answer) -> u16 {
    answer.as_ref().map_or(0, |(status, _)| *status)
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let (actual, body) = answer.as_ref().expect("an answer");
    assert!(*actual == status && body.contains(code), "{actual} {body}");
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn it_starts_at_once_without_a_runtime_and_leaves_nothing() {
    let started = Instant::now();
    let cloud = WorkerCloud::start().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let environment: BTreeMap<String, String> = cloud.environment();
    assert_eq!(environment["AWS_ENDPOINT_URL"], cloud.endpoint());
    assert!(environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"].starts_with("http://127.0.0.1:"));
    let directory = cloud.sysfs_directory();
    assert!(directory.join("class/block").exists() && cloud.by_id_directory().exists());
    drop(cloud);
    assert!(!directory.exists());
}

#[tokio::test]
async fn s3_refuses_what_an_export_is_not_to_send() {
    let cloud = WorkerCloud::start().unwrap();
    let caller = Caller::of(&cloud);
    assert_refused(&caller.s3(Method::PUT, "k", &[], b"x").await, 400, "CRC64NVME");
    let (name, sum) = crc(b"x");
    assert_refused(&caller.s3(Method::PUT, "k", &[(name, sum.as_str())], b"y").await, 400, "BadDigest");
    let chunked = [(name, sum.as_str()), ("content-encoding", "aws-chunked")];
    assert_refused(&caller.s3(Method::PUT, "k", &chunked, b"x").await, 400, "aws-chunked");
    let foreign = [(name, sum.as_str()), ("x-amz-expected-bucket-owner", "999999999999")];
    assert_refused(&caller.s3(Method::PUT, "k", &foreign, b"x").await, 403, "AccessDenied");
    assert_refused(&caller.call("s3", Method::GET, "/other/k", &[], b"").await, 404, "NoSuchBucket");
    assert_eq!(cloud.object("k"), None);
    let own = [(name, sum.as_str()), ("x-amz-expected-bucket-owner", WorkerCloud::OWNER), ("if-none-match", "*")];
    assert_eq!(status(&caller.s3(Method::PUT, "k", &own, b"x").await), 200);
    assert_eq!(status(&caller.s3(Method::PUT, "k", &own, b"x").await), 412, "it is there");
    assert_eq!(cloud.object("k").unwrap(), b"x");
    assert_refused(&caller.s3(Method::POST, "k?uploads", &[], b"").await, 400, "full object");
}

async fn upload_id(caller: &Caller, key: &str) -> String {
    let headers = [("x-amz-checksum-algorithm", "CRC64NVME"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let (status, body) = caller.s3(Method::POST, &format!("{key}?uploads"), &headers, b"").await.unwrap();
    assert_eq!(status, 200, "{body}");
    body.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_upload_meets_damage_and_lost_answers() {
    let cloud = WorkerCloud::start().unwrap();
    let caller = Caller::of(&cloud);
    let id = upload_id(&caller, "large").await;
    assert_eq!(cloud.uploads()[0].key, "large");
    cloud.fault("UploadPart", When::Nth(1), FaultAction::DamageRequest);
    cloud.fault("CompleteMultipartUpload", When::Nth(1), FaultAction::CutResponse { after_bytes: 0 });
    let (name, sum) = crc(b"part");
    let part = format!("large?partNumber=1&uploadId={id}");
    let headers = [(name, sum.as_str()), UNSIGNED];
    assert_refused(&caller.s3(Method::PUT, &part, &headers, b"part").await, 400, "BadDigest");
    assert_eq!(status(&caller.s3(Method::PUT, &part, &headers, b"part").await), 200);
    let whole = [(name, sum.as_str()), ("x-amz-mp-object-size", "4"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let complete = format!("large?uploadId={id}");
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME></Part></CompleteMultipartUpload>"
    );
    assert_eq!(caller.s3(Method::POST, &complete, &whole, list.as_bytes()).await, None, "the answer is lost");
    assert_eq!(cloud.object("large").unwrap(), b"part");
    assert_refused(&caller.s3(Method::POST, &complete, &whole, list.as_bytes()).await, 404, "NoSuchUpload");
    assert_eq!(cloud.uploads(), []);
    assert_eq!((cloud.calls("UploadPart"), cloud.calls("Complete*")), (2, 2));

    let id = upload_id(&caller, "other").await;
    assert_eq!(status(&caller.s3(Method::DELETE, &format!("other?uploadId={id}"), &[], b"").await), 204);
    assert_eq!((cloud.uploads(), cloud.calls("AbortMultipartUpload")), (Vec::new(), 1));
    assert_eq!(cloud.keys(), ["large"]);
}

#[tokio::test]
async fn answers_are_cut_halved_and_late() {
    let cloud = WorkerCloud::start().unwrap();
    let caller = Caller::of(&cloud);
    cloud.put_object("k", "0123456789").unwrap();
    cloud.fault("GetObject", When::Nth(1), FaultAction::HalveResponse);
    cloud.fault("GetObject", When::Nth(1), FaultAction::CutResponse { after_bytes: 5 });
    cloud.fault("GetObject", When::Nth(1), FaultAction::CutRequest { after_bytes: 0 });
    cloud.fault("HeadObject", When::Always, FaultAction::error(403, "AccessDenied"));
    let mut get = Vec::new();
    for _ in 0..4 {
        get.push(caller.s3(Method::GET, "k", &[], b"").await);
    }
    let whole = Some((200, "0123456789".to_owned()));
    assert_eq!(get, [Some((200, "01234".to_owned())), None, None, whole]);
    assert_eq!(caller.s3(Method::HEAD, "k", &[], b"").await, Some((403, String::new())));
    assert_eq!(cloud.requests().of("s3", "GetObject").iter().filter(|record| record.fault).count(), 3);

    cloud.faults().clear();
    cloud.fault("GetObject", When::Always, FaultAction::delay(Duration::from_millis(300)));
    let before = cloud.calls("GetObject");
    let (late, ()) = tokio::join!(caller.s3(Method::GET, "k", &[], b""), async {
        until("the call", || cloud.calls("GetObject") > before).await;
        assert_eq!(cloud.requests().of("s3", "GetObject").len(), before, "it is not answered yet");
    });
    assert_eq!(status(&late), 200);
}

#[tokio::test]
async fn objects_are_spoiled_behind_the_back_of_s3() {
    let cloud = WorkerCloud::start().unwrap();
    let etag = cloud.put_object("k", "0123456789").unwrap();
    let caller = Caller::of(&cloud);
    let list = async || caller.s3(Method::GET, "?list-type=2", &[], b"").await.unwrap().1;
    assert!(list().await.contains(&etag));
    cloud.spoil_object("k", |bytes| bytes.truncate(3)).unwrap();
    assert_eq!(cloud.object("k").unwrap(), b"012");
    assert!(list().await.contains(&etag), "nobody was told");
    cloud.set_object_etag("k", "other").unwrap();
    assert!(list().await.contains("other") && !list().await.contains(&etag));
    assert_eq!(caller.s3(Method::GET, "k", &[], b"").await.unwrap().1, "012");
    cloud.remove_object("k").unwrap();
    assert!(cloud.remove_object("k").is_err() && cloud.keys().is_empty());
}

fn volume(cloud: &WorkerCloud) -> (String, Option<(String, String)>) {
    let volume = cloud.volume(VOLUME).unwrap();
    (volume.state, volume.attachment)
}

fn image(directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("nvme9n1");
    std::fs::write(&path, [0; 4096]).unwrap();
    path.canonicalize().unwrap()
}

#[tokio::test]
async fn a_volume_comes_as_a_file_and_goes() {
    let cloud = WorkerCloud::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let image = image(&directory);
    let caller = Caller::of(&cloud);
    let describe = format!("Action=DescribeVolumes&VolumeId.1={VOLUME}");
    assert_refused(&caller.ec2(&describe).await, 400, "InvalidVolume.NotFound");
    cloud.add_volume(VolumeSpec::new(VOLUME, &image, WorkerCloud::ZONE).tagged("team", "a"));
    let told = caller.ec2(&describe).await.unwrap().1;
    assert!(told.contains("<key>team</key><value>a</value>") && told.contains("<size>1</size>"), "{told}");

    let instance = cloud.instance_id();
    let attach = |name: &str| format!("Action=AttachVolume&VolumeId={VOLUME}&InstanceId={instance}&Device={name}");
    cloud.occupy_device_names(["/dev/sdf".to_owned()]);
    assert_refused(&caller.ec2(&attach("/dev/sdf")).await, 400, "already in use");
    cloud.fault("AttachVolume", When::Nth(1), FaultAction::CutResponse { after_bytes: 0 });
    assert_eq!(caller.ec2(&attach("/dev/sdg")).await, None);
    assert_refused(&caller.ec2(&attach("/dev/sdg")).await, 400, "VolumeInUse");
    let attached = || volume(&cloud).1.is_some_and(|(_, state)| state == "attached");
    until("the attachment", attached).await;
    let link = cloud.by_id_directory().join("nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0");
    assert_eq!(link.canonicalize().unwrap(), image);
    let serial = cloud.sysfs_directory().join("class/block/nvme9n1/device/serial");
    assert_eq!(std::fs::read_to_string(serial).unwrap().trim(), "vol0123456789abcdef0");

    let detach = format!("Action=DetachVolume&VolumeId={VOLUME}&InstanceId={instance}");
    assert_eq!(status(&caller.ec2(&detach).await), 200);
    until("the detachment", || volume(&cloud) == ("available".to_owned(), None)).await;
    assert!(!link.is_symlink() && image.exists());
    assert!(cloud.remove_volume(VOLUME) && cloud.volume(VOLUME).is_none());
}

#[tokio::test]
async fn a_dead_instance_lets_go_at_once_or_by_force() {
    for held in [false, true] {
        let cloud = WorkerCloud::start().unwrap();
        let caller = Caller::of(&cloud);
        // No such disk: the volume has no device.
        let spec = VolumeSpec::new(VOLUME, "/nonexistent/nvme8n1".as_ref(), WorkerCloud::ZONE).attached_to(DEAD);
        cloud.add_volume(if held { spec.held() } else { spec });
        assert_eq!(volume(&cloud), ("in-use".to_owned(), Some((DEAD.to_owned(), "attached".to_owned()))));
        let detach = format!("Action=DetachVolume&VolumeId={VOLUME}&InstanceId={DEAD}");
        assert_eq!(status(&caller.ec2(&detach).await), 200);
        if held {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(volume(&cloud).1, Some((DEAD.to_owned(), "detaching".to_owned())));
            assert_eq!(status(&caller.ec2(&format!("{detach}&Force=true")).await), 200);
        }
        until("the detachment", || volume(&cloud) == ("available".to_owned(), None)).await;
    }
}

#[tokio::test]
async fn tables_are_counted_and_parameters_read() {
    let cloud = WorkerCloud::start().unwrap();
    let caller = Caller::of(&cloud);
    let scan = async |segment: u32| {
        let body = format!(r#"{{"TableName":"t","Select":"COUNT","Segment":{segment},"TotalSegments":2}}"#);
        caller.json("dynamodb", "DynamoDB_20120810.Scan", &body).await
    };
    assert_refused(&scan(0).await, 400, "ResourceNotFoundException");
    cloud.set_table("t", 41);
    assert!(scan(0).await.unwrap().1.contains("\"Count\":41") && scan(1).await.unwrap().1.contains("\"Count\":0"));
    assert!(cloud.remove_table("t") && !cloud.remove_table("t"));
    let read = async || caller.json("ssm", "AmazonSSM.GetParameter", r#"{"Name":"/p","WithDecryption":true}"#).await;
    assert_refused(&read().await, 400, "ParameterNotFound");
    cloud.set_parameter("/p", "secret");
    assert!(read().await.unwrap().1.contains("\"Value\":\"secret\""));
    assert_refused(&caller.json("ssm", "AmazonSSM.PutParameter", "{}").await, 501, "moto");
    assert_eq!((cloud.calls("Scan"), cloud.calls("GetParameter")), (3, 2));
}
