//! moto, the Python program that executes the ASL and plays what the gateway does not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use s3s::Body;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::error::{Error, Result};
use crate::options::{Names, Options};
use crate::process::{KILL, guarded, signal_group};
use crate::wire::{Answer, ApiError, Call};

/// The program that starts moto with our corrections.
const LAUNCHER: &str = include_str!("launcher.py");

/// How long moto may take to start. It imports much, and machines are busy.
const START_LIMIT: Duration = Duration::from_mins(2);

/// The process.
#[derive(Debug)]
pub(crate) struct Moto {
    child: Child,
    pub(crate) url: String,
}

/// A client for the process.
#[derive(Debug, Clone)]
pub(crate) struct MotoClient {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

fn python(options: &Options) -> Result<PathBuf> {
    let chosen = options.venv.clone().or_else(|| std::env::var_os("LOCAL_CLOUD_VENV").map(PathBuf::from));
    let venv = match chosen {
        Some(venv) => venv,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"),
    };
    let python = venv.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    Err(Error::Program {
        program: python.display().to_string(),
        message: "it is not there; `make setup` makes the virtualenv, LOCAL_CLOUD_VENV names another".to_owned(),
    })
}

impl Moto {
    /// Starts moto and waits until it listens.
    pub(crate) async fn start(options: &Options, directory: &Path, gateway: &str) -> Result<Self> {
        let python = python(options)?;
        let script = directory.join("launcher.py");
        std::fs::write(&script, LAUNCHER).map_err(Error::file("write", &script))?;
        let log = directory.join("logs/moto.log");
        let errors = std::fs::File::create(&log).map_err(Error::file("create", &log))?;
        let failed = |message: String| Error::Program { program: python.display().to_string(), message };
        let port = gateway.rsplit(':').next().unwrap_or_default();
        let mut child = guarded(&python)
            .arg(&script)
            .env("MOTO_PORT", port)
            .env("MOTO_ACCOUNT_ID", &options.account_id)
            .env("AWS_DEFAULT_REGION", &options.region)
            .env("LOCAL_CLOUD_GATEWAY", gateway)
            .env("LOCAL_CLOUD_WAIT_SCALE", options.wait_scale.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let Some(output) = child.stdout.take() else { return Err(failed("its output is not piped".to_owned())) };
        let mut line = String::new();
        let read = tokio::time::timeout(START_LIMIT, BufReader::new(output).read_line(&mut line)).await;
        let port: Option<u16> = match read {
            Ok(Ok(_)) => line.trim().parse().ok(),
            Ok(Err(_)) | Err(_) => None,
        };
        match port {
            Some(port) => Ok(Self { child, url: format!("http://127.0.0.1:{port}") }),
            None => Err(Error::MotoNotReady { url: "its port".to_owned(), log }),
        }
    }

    pub(crate) fn client(&self) -> MotoClient {
        MotoClient::new(&self.url)
    }

    pub(crate) async fn stop(mut self) {
        self.kill();
        // Killed: whatever its status is, it is gone.
        self.child.wait().await.ok();
    }

    pub(crate) fn kill(&self) {
        if let Some(id) = self.child.id() {
            signal_group(id, KILL);
        }
    }
}

/// A signature that nobody checks; its scope says who calls which service.
fn unsigned(names: &Names, principal: &str, service: &str) -> String {
    let Names { region, .. } = names;
    format!(
        "AWS4-HMAC-SHA256 Credential={principal}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

impl MotoClient {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Where the process listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Calls an operation of a JSON service.
    pub(crate) async fn call_json(
        &self,
        names: &Names,
        principal: &str,
        service: &str,
        target: &str,
        input: &Value,
    ) -> Result<Value> {
        let (status, answer) = self.ask_json(names, principal, service, target, input).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(Error::Call { operation: target.to_owned(), message: format!("{status}: {answer}") })
    }

    /// Calls an operation of a JSON service, and gives the answer also when it is an error.
    pub(crate) async fn ask_json(
        &self,
        names: &Names,
        principal: &str,
        service: &str,
        target: &str,
        input: &Value,
    ) -> Result<(StatusCode, Value)> {
        let failed = |message: String| Error::Call { operation: target.to_owned(), message };
        let request = http::Request::post("/")
            .header(header::AUTHORIZATION, unsigned(names, principal, service))
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(())
            .map_err(|error| failed(error.to_string()))?;
        let response = self.forward(&request.into_parts().0, Bytes::from(input.to_string())).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        match serde_json::from_slice(&bytes) {
            Ok(answer) => Ok((status, answer)),
            Err(error) if status.is_success() => Err(failed(error.to_string())),
            // Whatever it is, the status says that it failed.
            Err(_) => Ok((status, Value::String(String::from_utf8_lossy(&bytes).into_owned()))),
        }
    }

    /// Calls an operation of Step Functions.
    pub(crate) async fn call_states(
        &self,
        names: &Names,
        principal: &str,
        operation: &str,
        input: &Value,
    ) -> Result<Value> {
        self.call_json(names, principal, "states", &format!("AWSStepFunctions.{operation}"), input).await
    }

    /// Passes a call on, and its answer back.
    pub(crate) async fn answer(&self, call: &Call) -> Answer {
        let answer = self.forward(&call.parts, call.body.clone()).await;
        answer.map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))
    }

    /// Invokes a function asynchronously, as EventBridge does.
    pub(crate) async fn invoke_event(&self, names: &Names, function: &str, payload: &str) -> Result<()> {
        let request = http::Request::post(format!("/2015-03-31/functions/{function}/invocations"))
            .header(header::AUTHORIZATION, unsigned(names, "events", "lambda"))
            .header("x-amz-invocation-type", "Event");
        self.send(&format!("Invoke of {function}"), request, payload.to_owned()).await
    }

    /// Publishes a message to a topic, as EventBridge does.
    pub(crate) async fn publish(&self, names: &Names, topic: &str, message: &str) -> Result<()> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", topic), ("Message", message)])
            .finish();
        let request = http::Request::post("/")
            .header(header::AUTHORIZATION, unsigned(names, "events", "sns"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(&format!("Publish to {topic}"), request, form).await
    }

    /// Sends a request whose answer says nothing but whether it succeeded.
    async fn send(&self, operation: &str, request: http::request::Builder, body: String) -> Result<()> {
        let failed = |message: String| Error::Call { operation: operation.to_owned(), message };
        let request = request.body(()).map_err(|error| failed(error.to_string()))?;
        let response = self.forward(&request.into_parts().0, Bytes::from(body)).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed(status.to_string())),
        }
    }

    /// Passes a request on.
    pub(crate) async fn forward(&self, parts: &Parts, body: Bytes) -> Result<Response<Body>> {
        let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let failed = |message: String| Error::Call { operation: format!("{} {path} of moto", parts.method), message };
        let mut request = http::Request::builder().method(&parts.method).uri(format!("{}{path}", self.url));
        for (name, value) in &parts.headers {
            let hop = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::EXPECT];
            if !hop.contains(name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| failed(format!("{error:?}")))?;
        let (mut parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        parts.headers.remove(header::CONNECTION);
        parts.headers.remove(header::TRANSFER_ENCODING);
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}
