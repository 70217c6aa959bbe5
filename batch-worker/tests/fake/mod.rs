//! AWS in one process: enough of S3, EC2 and instance metadata for the worker's calls, with a fault at any of them.
//!
//! It is a real HTTP server, so that connections really break, and it refuses what S3 refuses: wrong checksums, wrong owners, parts
//! that are not there.

#![allow(dead_code, reason = "each test binary uses its part")]

mod ec2;
mod s3;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) use ec2::FakeVolume;
pub(crate) use s3::{Object, Upload};

pub(crate) const OWNER: &str = "123456789012";
pub(crate) const BUCKET: &str = "backups";
pub(crate) const INSTANCE: &str = "i-0aaaaaaaaaaaaaaaa";
pub(crate) const ZONE: &str = "us-east-1a";

/// Which calls of an operation a fault hits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Always,
    First(usize),
    Nth(usize),
}

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing is done, and this is answered.
    Status(u16, &'static str),
    /// Nothing is done, and the connection is closed.
    Reset,
    /// It is done, and the connection is closed before the answer.
    LostAnswer,
    /// It is answered after this long.
    Slow(Duration),
    /// A byte of the request's body is damaged on the way.
    Damage,
    /// Half of the answer's body comes.
    HalfBody,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) volumes: BTreeMap<String, FakeVolume>,
    /// Tables of DynamoDB, by the number of their items.
    pub(crate) tables: BTreeMap<String, u64>,
    /// Parameters of SSM.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Device names that are in use on the instance.
    pub(crate) names_in_use: Vec<String>,
    pub(crate) calls: Vec<String>,
    faults: Vec<(&'static str, When, Fault, usize)>,
    counter: u64,
    dev_by_id: PathBuf,
    sysfs: PathBuf,
}

pub(crate) struct Fake {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
    directory: tempfile::TempDir,
    shutdown: Option<tokio::sync::oneshot::Sender<()>>,
}

struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

type Answer = Response<Full<Bytes>>;

impl Fake {
    /// Starts the server on a thread of its own.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = State {
            dev_by_id: directory.path().join("by-id"),
            sysfs: directory.path().join("sys"),
            ..State::default()
        };
        std::fs::create_dir_all(&state.dev_by_id).unwrap();
        std::fs::create_dir_all(state.sysfs.join("class/block")).unwrap();
        let state = Arc::new(Mutex::new(state));
        let (address_sender, address) = std::sync::mpsc::channel();
        let (shutdown, stopped) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_sender.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { state, address: address.recv().unwrap(), directory, shutdown: Some(shutdown) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn fault(&self, operation: &'static str, when: When, fault: Fault) {
        self.lock().faults.push((operation, when, fault, 0));
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.lock().calls.iter().filter(|call| *call == operation).count()
    }

    pub(crate) fn object(&self, key: &str) -> Option<Bytes> {
        self.lock().objects.get(key).map(|object| object.content.clone())
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub(crate) fn put(&self, key: &str, content: impl Into<Bytes>) {
        let mut state = self.lock();
        state.store(key, content.into());
    }

    /// What the worker's process must be given.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let state = self.lock();
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_MAX_ATTEMPTS", "3".to_owned()),
            ("BACKUP_EXPORT_DEV_BY_ID_DIR", state.dev_by_id.display().to_string()),
            ("BACKUP_EXPORT_SYSFS_DIR", state.sysfs.display().to_string()),
        ]
    }

    pub(crate) fn devices(&self) -> batch_worker::attach::device::DeviceTree {
        let state = self.lock();
        batch_worker::attach::device::DeviceTree {
            by_id: state.dev_by_id.clone(),
            sysfs: state.sysfs.clone(),
            dev: self.directory.path().to_owned(),
        }
    }

    /// A client that retries at once.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .force_path_style(true)
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test"))
            .http_client(http_client())
            .retry_config(retries())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    pub(crate) fn ec2(&self) -> aws_sdk_ec2::Client {
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(aws_sdk_ec2::config::BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(aws_sdk_ec2::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_ec2::config::Credentials::new("test", "test", None, None, "test"))
            .http_client(http_client())
            .retry_config(retries())
            .build();
        aws_sdk_ec2::Client::from_conf(config)
    }
}

fn http_client() -> aws_sdk_s3::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn retries() -> aws_sdk_s3::config::retry::RetryConfig {
    aws_sdk_s3::config::retry::RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(1))
        .with_max_backoff(Duration::from_millis(5))
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.shutdown.take());
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { answer(&state, request).await }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error closes the connection.
async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Result<Answer, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let mut call = Call { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    let operation = operation(&call);
    let fault = {
        let mut state = state.lock().unwrap();
        state.calls.push(operation.clone());
        state.fault_for(&operation)
    };
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    match fault {
        Some(Fault::Status(status, code)) => return Ok(error(&operation, status, code, "by a fault of the test")),
        Some(Fault::Reset) => return Err(reset()),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Damage) if !call.body.is_empty() => {
            let mut body = call.body.to_vec();
            body[0] ^= 1;
            call.body = body.into();
        }
        Some(Fault::LostAnswer | Fault::Damage | Fault::HalfBody) | None => {}
    }
    let answer = {
        let mut state = state.lock().unwrap();
        match operation.as_str() {
            "DescribeVolumes" | "AttachVolume" | "DetachVolume" => state.ec2(&operation, &call),
            "Scan" | "GetParameter" => state.json(&operation, &call),
            "Token" => text("token"),
            "Metadata" => metadata(&call),
            _ => state.s3(&operation, &call),
        }
    };
    match fault {
        Some(Fault::LostAnswer) => Err(reset()),
        Some(Fault::HalfBody) => {
            // Says all of it, sends half, and ends.
            let (mut parts, body) = answer.into_parts();
            let body = body.collect().await.unwrap_or_else(never).to_bytes();
            parts.status = StatusCode::PARTIAL_CONTENT;
            Ok(Response::from_parts(parts, Full::new(body.slice(..body.len() / 2))))
        }
        _ => Ok(answer),
    }
}

fn never<T>(never: Infallible) -> T {
    match never {}
}

fn operation(call: &Call) -> String {
    let query = call.uri.query().unwrap_or_default();
    let path = call.uri.path().trim_start_matches('/');
    if path.starts_with("latest/api/token") {
        return "Token".to_owned();
    }
    if path.starts_with("latest/meta-data/") {
        return "Metadata".to_owned();
    }
    if let Some(target) = call.headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    if path.is_empty() {
        return form(&call.body).get("Action").cloned().unwrap_or_default();
    }
    let has_key = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let upload = query.contains("uploadId=");
    match (&call.method, has_key) {
        (&Method::HEAD, false) => "HeadBucket",
        (&Method::HEAD, true) => "HeadObject",
        (&Method::GET, _) if query.contains("list-type=2") => "ListObjectsV2",
        (&Method::GET, _) => "GetObject",
        (&Method::PUT, _) if upload => "UploadPart",
        (&Method::PUT, _) => "PutObject",
        (&Method::POST, _) if upload => "CompleteMultipartUpload",
        (&Method::POST, _) => "CreateMultipartUpload",
        (&Method::DELETE, _) if upload => "AbortMultipartUpload",
        _ => "Unknown",
    }
    .to_owned()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

impl State {
    /// DynamoDB and SSM.
    fn json(&self, operation: &str, call: &Call) -> Answer {
        let input: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        let answer = match operation {
            "Scan" => self.tables.get(input["TableName"].as_str().unwrap()).map(|items| {
                assert_eq!(input["Select"], "COUNT");
                // All in one segment, as it may be.
                let count = if input["Segment"] == 0 { *items } else { 0 };
                serde_json::json!({ "Count": count, "ScannedCount": count })
            }),
            _ => self.parameters.get(input["Name"].as_str().unwrap()).map(|value| {
                assert_eq!(input["WithDecryption"], true);
                serde_json::json!({ "Parameter": { "Value": value } })
            }),
        };
        let (status, body) = match answer {
            Some(answer) => (200, answer),
            None if operation == "Scan" => {
                (400, serde_json::json!({ "__type": "ResourceNotFoundException", "message": "no table" }))
            }
            None => (400, serde_json::json!({ "__type": "ParameterNotFound", "message": "no parameter" })),
        };
        let body = Full::new(body.to_string().into());
        Response::builder().status(status).header("content-type", "application/x-amz-json-1.0").body(body).unwrap()
    }

    fn fault_for(&mut self, operation: &str) -> Option<Fault> {
        let mut hit = None;
        for (name, when, fault, seen) in &mut self.faults {
            if *name != operation {
                continue;
            }
            *seen += 1;
            let applies = match when {
                When::Always => true,
                When::First(count) => *seen <= *count,
                When::Nth(number) => *seen == *number,
            };
            if applies && hit.is_none() {
                hit = Some(*fault);
            }
        }
        hit
    }
}

fn metadata(call: &Call) -> Answer {
    if call.headers.get("x-aws-ec2-metadata-token").is_none() {
        return error("Metadata", 401, "Unauthorized", "no token");
    }
    match call.uri.path() {
        "/latest/meta-data/instance-id" => text(INSTANCE),
        "/latest/meta-data/placement/availability-zone" => text(ZONE),
        _ => error("Metadata", 404, "NotFound", "unknown"),
    }
}

fn text(body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    // The metadata client wants to know how long its token lives.
    answer.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", http::HeaderValue::from_static("21600"));
    answer
}

fn error(operation: &str, status: u16, code: &str, message: &str) -> Answer {
    let ec2 = matches!(operation, "DescribeVolumes" | "AttachVolume" | "DetachVolume");
    let body = if ec2 {
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"
        )
    } else {
        format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    };
    let body = if operation.starts_with("Head") { String::new() } else { body };
    Response::builder().status(status).header("content-type", "application/xml").body(Full::new(body.into())).unwrap()
}
