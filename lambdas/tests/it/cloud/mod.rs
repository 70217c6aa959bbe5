//! As much of S3, EC2, Batch, AWS Backup, Step Functions, RDS, DynamoDB and Systems Manager as the Lambdas speak to,
//! behind the SDK's HTTP client: requests and answers have AWS's real shapes, and any call can be made to fail, or its
//! answer to be lost.

mod control;
mod database;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use lambdas::restore::Restorer;
use serde_json::{Value, json};

/// The state of everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Key to content and ETag.
    pub(crate) objects: BTreeMap<String, (Vec<u8>, String)>,
    /// Upload id to key.
    pub(crate) uploads: BTreeMap<String, String>,
    /// Volume id to volume.
    pub(crate) volumes: BTreeMap<String, Volume>,
    /// Job id to name and status.
    pub(crate) jobs: BTreeMap<String, (String, String)>,
    /// Queues that are not there any more.
    pub(crate) removed_queues: BTreeSet<String>,
    /// Status of the recovery point; absent when there is none.
    pub(crate) recovery_point: Option<String>,
    /// Of what it is.
    pub(crate) resource_arn: String,
    /// The vault that AWS Backup names.
    pub(crate) vault: String,
    /// Whether a deletion leaves the recovery point in this status.
    pub(crate) after_deletion: Option<String>,
    /// The recovery points that the vault lists, as AWS Backup describes them.
    pub(crate) listed: Vec<Value>,
    /// Name and input of the executions that were started.
    pub(crate) started: Vec<(String, Value)>,
    /// Names that Step Functions will not take again.
    pub(crate) taken_names: BTreeSet<String>,
    /// The metrics that were told.
    pub(crate) metrics: Vec<Value>,
    /// Execution ARN to status.
    pub(crate) executions: BTreeMap<String, String>,
    /// When those stopped that did, in seconds.
    pub(crate) stopped_at: Option<i64>,
    /// XML of DescribeSnapshots' items.
    pub(crate) snapshots: String,
    /// Account that owns the bucket.
    pub(crate) bucket_owner: String,
    /// Databases and tables.
    pub(crate) databases: database::Databases,
    /// What was asked, in order: `ec2:CreateVolume`, `s3:PUT claims/…`.
    pub(crate) calls: Vec<String>,
    /// Client tokens and zones of all volumes asked for.
    pub(crate) tokens: Vec<(String, String)>,
    faults: Vec<Fault>,
    written: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) state: &'static str,
    pub(crate) attachment: Option<&'static str>,
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Fault {
    call: String,
    spared: u32,
    times: u32,
    effect: Effect,
}

#[derive(Debug, Clone)]
enum Effect {
    Answer(u16, String),
    LoseAnswer,
}

#[derive(Debug, Clone)]
pub(crate) struct Cloud(Arc<Mutex<State>>);

impl Cloud {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            recovery_point: Some("COMPLETED".into()),
            resource_arn: "arn:aws:ec2:us-east-1:123456789012:volume/vol-0aaaaaaaaaaaaaaaa".into(),
            vault: "Default".into(),
            bucket_owner: "123456789012".into(),
            snapshots: snapshot_xml("completed", "standard"),
            ..State::default()
        })))
    }

    pub(crate) fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// The next `times` calls that begin with `call` are answered with this error.
    pub(crate) fn fail(&self, call: &str, times: u32, status: u16, code: &str) {
        self.fail_after(call, 0, times, status, code);
    }

    /// The same, but the first `spared` calls go well.
    pub(crate) fn fail_after(&self, call: &str, spared: u32, times: u32, status: u16, code: &str) {
        let effect = Effect::Answer(status, code.to_owned());
        self.edit(|state| state.faults.push(Fault { call: call.to_owned(), spared, times, effect }));
    }

    /// The next call that begins with `call` is done, but its answer never comes.
    pub(crate) fn lose_answer(&self, call: &str) {
        let fault = Fault { call: call.to_owned(), spared: 0, times: 1, effect: Effect::LoseAnswer };
        self.edit(|state| state.faults.push(fault));
    }

    pub(crate) fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.edit(|state| state.put(key, content.into()));
    }

    pub(crate) fn object(&self, key: &str) -> Option<String> {
        self.edit(|state| state.objects.get(key).map(|(bytes, _)| String::from_utf8(bytes.clone()).unwrap()))
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.edit(|state| state.objects.keys().cloned().collect())
    }

    pub(crate) fn calls(&self, prefix: &str) -> usize {
        self.edit(|state| state.calls.iter().filter(|call| call.starts_with(prefix)).count())
    }

    pub(crate) fn volume(&self, id: &str, execution: &str, state: &'static str, attachment: Option<&'static str>) {
        let tags = BTreeMap::from([
            ("backup-export:execution".to_owned(), execution.to_owned()),
            ("backup-export:export-id".to_owned(), "exp-0123456789abcdef0123".to_owned()),
        ]);
        self.edit(|s| s.volumes.insert(id.to_owned(), Volume { state, attachment, tags }));
    }

    pub(crate) fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1)))
            .build()
    }

    pub(crate) fn restorer(&self) -> Restorer {
        Restorer::new(&self.config())
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::new(&self.config())
    }
}

pub(crate) fn snapshot_xml(state: &str, tier: &str) -> String {
    format!(
        "<item><snapshotId>snap-0123456789abcdef0</snapshotId><volumeId>vol-0aaaaaaaaaaaaaaaa</volumeId><status>{state}</status>\
         <volumeSize>8</volumeSize><encrypted>true</encrypted><storageTier>{tier}</storageTier>\
         <tagSet><item><key>owner</key><value>payments</value></item></tagSet></item>"
    )
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.edit(|state| state.answer(&request));
        HttpConnectorFuture::ready(match answer {
            Some((status, body)) => {
                let mut response =
                    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body.clone()));
                if let Some(etag) = body.strip_prefix("etag:") {
                    let (etag, content) = etag.split_once('\n').unwrap();
                    response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(content));
                    response.headers_mut().insert("etag", etag.to_owned());
                }
                Ok(response)
            }
            None => Err(ConnectorError::io("connection reset".into())),
        })
    }
}

/// Status and body; a body that begins with `etag:` has a first line with the ETag.
type Answer = (u16, String);

impl State {
    fn put(&mut self, key: &str, bytes: Vec<u8>) {
        self.written += 1;
        let etag = format!("\"etag-{}\"", self.written);
        self.objects.insert(key.to_owned(), (bytes, etag));
    }

    fn answer(&mut self, request: &HttpRequest) -> Option<Answer> {
        let uri = request.uri().to_owned();
        let rest = uri.split_once("://").unwrap().1;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = decode(path);
        let query = form(query);
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let fields = form(&String::from_utf8_lossy(&body));
        let service = database::service(host).unwrap_or_else(|| {
            let mut known = ["s3", "ec2", "batch", "backup", "states"].into_iter();
            known.find(|service| host.contains(&format!("{service}."))).unwrap()
        });
        let method = request.method();
        let action = match service {
            "rds" | "ssm" | "dynamodb" => database::action(service, request, &fields),
            "s3" => format!("{method} {path}{}", if query.contains_key("uploads") { "?uploads" } else { "" }),
            "ec2" => fields["Action"].clone(),
            "batch" => path.trim_start_matches("v1/").to_owned(),
            "states" => request.headers().get("x-amz-target").unwrap().split_once('.').unwrap().1.to_owned(),
            _ if path.ends_with("/recovery-points") || path.ends_with("/recovery-points/") => "LIST".to_owned(),
            _ => method.to_owned(),
        };
        let call = format!("{service}:{action}");
        self.calls.push(call.clone());
        let fault = self.faults.iter_mut().find(|fault| fault.times > 0 && call.starts_with(&fault.call));
        let effect = fault.and_then(|fault| {
            if fault.spared > 0 {
                fault.spared -= 1;
                return None;
            }
            fault.times -= 1;
            Some(fault.effect.clone())
        });
        if let Some(Effect::Answer(status, code)) = &effect {
            return Some((*status, error(service, code)));
        }
        let answer = match service {
            "rds" | "ssm" | "dynamodb" => self.database(service, &action, &fields, &body),
            "s3" => self.s3(request, &path, &query, body),
            "ec2" => self.ec2(&fields),
            "batch" => self.batch(&action, &serde_json::from_slice(&body).unwrap()),
            "states" => self.states(&action, &serde_json::from_slice(&body).unwrap()),
            _ => self.backup(&action, &query),
        };
        (!matches!(effect, Some(Effect::LoseAnswer))).then_some(answer)
    }

    fn s3(&mut self, request: &HttpRequest, path: &str, query: &BTreeMap<String, String>, body: Vec<u8>) -> Answer {
        let header = |name: &str| request.headers().get(name);
        if header("x-amz-expected-bucket-owner") != Some(self.bucket_owner.as_str()) {
            return (403, error("s3", "AccessDenied"));
        }
        let prefix = query.get("prefix").map_or("", String::as_str);
        let etag = self.objects.get(path).map(|(_, etag)| etag.clone());
        if let Some(wanted) = header("if-match") {
            match &etag {
                None => return (404, error("s3", "NoSuchKey")),
                Some(etag) if etag != wanted => return (412, error("s3", "PreconditionFailed")),
                Some(_) => {}
            }
        }
        match (request.method(), path) {
            ("HEAD", "") => (200, String::new()),
            ("GET", "") if query.contains_key("uploads") => {
                let mut xml = String::from("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>");
                for (id, key) in self.uploads.iter().filter(|(_, key)| key.starts_with(prefix)) {
                    let _ = write!(xml, "<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>");
                }
                (200, xml + "</ListMultipartUploadsResult>")
            }
            ("GET", "") => {
                let mut xml = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
                for (key, (_, etag)) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
                    let _ = write!(xml, "<Contents><Key>{key}</Key><ETag>{etag}</ETag></Contents>");
                }
                (200, xml + "</ListBucketResult>")
            }
            ("HEAD", key) if self.objects.contains_key(key) => (200, String::new()),
            ("HEAD", _) => (404, String::new()),
            ("GET", key) => match self.objects.get(key) {
                Some((bytes, etag)) => (200, format!("etag:{etag}\n{}", String::from_utf8_lossy(bytes))),
                None => (404, error("s3", "NoSuchKey")),
            },
            ("PUT", _) if header("if-none-match").is_some() && etag.is_some() => {
                (412, error("s3", "PreconditionFailed"))
            }
            ("PUT", key) => {
                self.put(key, body);
                (200, String::new())
            }
            ("DELETE", _) if query.contains_key("uploadId") => match self.uploads.remove(&query["uploadId"]) {
                Some(_) => (204, String::new()),
                None => (404, error("s3", "NoSuchUpload")),
            },
            ("DELETE", key) => {
                self.objects.remove(key);
                (204, String::new())
            }
            (method, _) => panic!("unexpected {method} {path}"),
        }
    }

    fn ec2(&mut self, fields: &BTreeMap<String, String>) -> Answer {
        let id = fields.get("VolumeId").cloned().unwrap_or_default();
        let body = match fields["Action"].as_str() {
            "DescribeSnapshots" => format!("<snapshotSet>{}</snapshotSet>", self.snapshots),
            "CreateVolume" => {
                let zone = fields["AvailabilityZone"].clone();
                let token = fields["ClientToken"].clone();
                let known = self.tokens.iter().position(|(known, _)| *known == token);
                self.tokens.push((token, zone));
                let number = known.unwrap_or(self.tokens.len() - 1);
                let id = format!("vol-0000000000000000{number}");
                let tags = (1..8)
                    .filter_map(|n| {
                        let tag = |part: &str| fields.get(&format!("TagSpecification.1.Tag.{n}.{part}")).cloned();
                        Some((tag("Key")?, tag("Value")?))
                    })
                    .collect();
                self.volumes.entry(id.clone()).or_insert(Volume { state: "creating", attachment: None, tags });
                format!("<volumeId>{id}</volumeId><status>creating</status>")
            }
            "DescribeVolumes" => match self.described(fields) {
                Some(volumes) => format!("<volumeSet>{volumes}</volumeSet>"),
                None => return (400, error("ec2", "InvalidVolume.NotFound")),
            },
            "DetachVolume" => {
                if let Some(volume) = self.volumes.get_mut(&id) {
                    let is_forced = fields.get("Force").is_some_and(|force| force == "true");
                    if is_forced || volume.attachment == Some("attached") {
                        (volume.state, volume.attachment) = ("available", None);
                    }
                }
                String::new()
            }
            "DeleteVolume" => match self.volumes.get_mut(&id) {
                Some(volume) if volume.state == "in-use" => return (400, error("ec2", "VolumeInUse")),
                Some(volume) => {
                    volume.state = "deleting";
                    String::new()
                }
                None => return (400, error("ec2", "InvalidVolume.NotFound")),
            },
            action => panic!("unexpected {action}"),
        };
        (200, format!("<{0}Response>{body}</{0}Response>", fields["Action"]))
    }

    /// A volume that is being deleted is shown once more.
    fn described(&mut self, fields: &BTreeMap<String, String>) -> Option<String> {
        let id = fields.get("VolumeId.1");
        let filter = fields.get("Filter.1.Name").map(String::as_str);
        let value = fields.get("Filter.1.Value.1");
        let matches = |known: &str, volume: &Volume| match filter {
            None => Some(known) == id.map(String::as_str),
            Some("tag-key") => volume.tags.contains_key(value.unwrap()),
            Some(name) => volume.tags.get(name.strip_prefix("tag:").unwrap()) == value,
        };
        let mut xml = String::new();
        for (known, volume) in &self.volumes {
            if !matches(known, volume) {
                continue;
            }
            let _ = write!(xml, "<item><volumeId>{known}</volumeId><status>{}</status><tagSet>", volume.state);
            for (key, value) in &volume.tags {
                let _ = write!(xml, "<item><key>{key}</key><value>{value}</value></item>");
            }
            xml.push_str("</tagSet><attachmentSet>");
            if let Some(attachment) = volume.attachment {
                let _ = write!(xml, "<item><status>{attachment}</status></item>");
            }
            xml.push_str("</attachmentSet></item>");
        }
        self.volumes.retain(|_, volume| volume.state != "deleting");
        (filter.is_some() || !xml.is_empty()).then_some(xml)
    }

    fn batch(&mut self, action: &str, body: &Value) -> Answer {
        if action == "terminatejob" {
            let job = self.jobs.get_mut(body["jobId"].as_str().unwrap()).unwrap();
            job.1 = "FAILED".into();
            return (200, "{}".into());
        }
        if action == "describejobqueues" {
            let queue = body["jobQueues"][0].as_str().unwrap();
            let known = json!({
                "jobQueueName": "q", "jobQueueArn": queue, "state": "ENABLED", "status": "VALID", "priority": 1,
                "computeEnvironmentOrder": []
            });
            let queues: Vec<Value> = (!self.removed_queues.contains(queue)).then_some(known).into_iter().collect();
            return (200, json!({ "jobQueues": queues }).to_string());
        }
        if self.removed_queues.contains(body["jobQueue"].as_str().unwrap()) {
            return (400, error("batch", "ClientException"));
        }
        assert_eq!(body["filters"][0]["name"], "JOB_NAME");
        let prefix = body["filters"][0]["values"][0].as_str().unwrap().trim_end_matches('*');
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .filter(|(_, (name, _))| name.starts_with(prefix))
            .map(|(id, (name, status))| json!({"jobId": id, "jobName": name, "status": status}))
            .collect();
        (200, json!({ "jobSummaryList": jobs }).to_string())
    }
}

fn error(service: &str, code: &str) -> String {
    match service {
        "rds" | "ssm" | "dynamodb" => database::error(service, code),
        "s3" => format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
        "ec2" => format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors><RequestID>r</RequestID></Response>"
        ),
        _ => json!({"__type": code, "message": "no"}).to_string(),
    }
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(&value.replace('+', " ")))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
