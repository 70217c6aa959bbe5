//! The gateway: one HTTP server that stands for every AWS endpoint. It finds out who asks for what, applies the fault
//! rules, logs the request, and hands it to the service that plays it.

mod admin;
mod cut;
mod damage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::Body;
use serde_json::Value;
use tokio::net::TcpListener;

use self::cut::CutBody;
use self::damage::{DamagedBody, halve};
use crate::backup::Backup;
use crate::batch::Batch;
use crate::dead_letter::DeadLetters;
use crate::dynamodb::Dynamodb;
use crate::ec2::Ec2;
use crate::event::Events;
use crate::fault::{FaultAction, Faults, Subject};
use crate::lambda::Lambda;
use crate::moto::MotoClient;
use crate::observe::RequestRecord;
use crate::options::{Names, Options};
use crate::rds::Rds;
use crate::request_log::RequestLog;
use crate::snapshot_export::SnapshotExports;
use crate::stand_in::StandIn;
use crate::states::States;
use crate::topic::Topics;
use crate::wire::{
    Answer, ApiError, Call, Cut, Identity, STATES_ACCESS_KEY, credential_scope, header_text, path_segments, query_pairs,
};
use crate::{backup, batch, dynamodb, ec2, event, lambda, rds, s3, states, topic, wire};

/// Everything that the parts of the cloud share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) names: Names,
    pub(crate) directory: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    pub(crate) moto: MotoClient,
    /// In the place of moto, when that does not run.
    pub(crate) stand_in: StandIn,
    /// The gateway itself, for calls that are to be logged and can be made to fail.
    pub(crate) gateway: MotoClient,
    pub(crate) s3: s3::Endpoint,
    pub(crate) lambda: Lambda,
    pub(crate) batch: Batch,
    pub(crate) ec2: Ec2,
    pub(crate) backup: Backup,
    pub(crate) dynamodb: Dynamodb,
    pub(crate) snapshot_exports: SnapshotExports,
    pub(crate) rds: Rds,
    pub(crate) events: Events,
    pub(crate) states: States,
    pub(crate) topics: Topics,
    pub(crate) dead_letters: DeadLetters,
}

/// Serves until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    wire::serve(listener, move |request| handle(Arc::clone(&shared), request)).await;
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path().strip_prefix("/_local-cloud/") {
        let path = path.to_owned();
        let body = collect(body).await?;
        return Ok(admin::answer(&shared, &parts.method, &path, &body));
    }
    let scope = credential_scope(&parts);
    let service = service_of(scope.as_ref(), &parts);
    let principal = scope.map_or_else(|| "anonymous".to_owned(), |(_, key)| key);
    let principal = if principal == STATES_ACCESS_KEY { "states".to_owned() } else { principal };
    let mut identity = Identity { service, operation: String::new(), resource: String::new(), principal };

    // S3 bodies are streams; all others are small.
    let mut stream = None;
    let mut bytes = Bytes::new();
    if identity.service == "s3" {
        identity.operation = s3::operation(&parts).to_owned();
        let (bucket, key) = s3::bucket_and_key(&parts);
        identity.resource = if key.is_empty() { bucket } else { format!("{bucket}/{key}") };
        stream = Some(Body::from(body));
    } else {
        bytes = collect(body).await?;
        (identity.operation, identity.resource) = operation_and_resource(&identity.service, &parts, &bytes);
    }

    let time = SystemTime::now();
    shared.requests.begin(&identity.service, &identity.operation);
    let action = shared.faults.decide(Subject {
        service: &identity.service,
        operation: &identity.operation,
        resource: &identity.resource,
        principal: &identity.principal,
    });
    let fault = action.is_some();
    let result = apply(&shared, &identity, action, parts, bytes, stream).await;
    shared.requests.add(RequestRecord {
        time,
        service: identity.service,
        operation: identity.operation,
        resource: identity.resource,
        principal: identity.principal,
        status: result.as_ref().map_or(0, |response| response.status().as_u16()),
        fault,
    });
    result
}

async fn collect(body: Incoming) -> Result<Bytes, Cut> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(_) => Err(Cut),
    }
}

/// Does what a request asks for.
async fn perform(
    shared: &Arc<Shared>,
    identity: &Identity,
    parts: Parts,
    bytes: Bytes,
    stream: Option<Body>,
) -> Result<Response<Body>, Cut> {
    match stream {
        Some(body) => shared.s3.call(parts, body).await.map_err(|_| Cut),
        None => Ok(dispatch(shared, identity, parts, bytes).await),
    }
}

/// Does what a request asks for, or what a fault rule says.
async fn apply(
    shared: &Arc<Shared>,
    identity: &Identity,
    action: Option<FaultAction>,
    parts: Parts,
    bytes: Bytes,
    stream: Option<Body>,
) -> Result<Response<Body>, Cut> {
    match action {
        None => perform(shared, identity, parts, bytes, stream).await,
        Some(FaultAction::Error { status, code, message }) => {
            // The body is read first, as S3 does: a client that still sends might not see the answer.
            if let Some(mut body) = stream {
                while let Some(Ok(_)) = body.frame().await {}
            }
            Ok(ApiError { status, code, message }.response(&identity.service))
        }
        Some(FaultAction::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            perform(shared, identity, parts, bytes, stream).await
        }
        Some(FaultAction::CutRequest { after_bytes }) => {
            let mut read = 0;
            if let Some(mut body) = stream {
                while read < after_bytes {
                    let Some(Ok(frame)) = body.frame().await else { break };
                    read += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
            }
            Err(Cut)
        }
        Some(FaultAction::DamageRequest) => {
            let bytes = DamagedBody::damage(bytes);
            let stream = stream.map(|body| Body::http_body_unsync(DamagedBody::new(body)));
            perform(shared, identity, parts, bytes, stream).await
        }
        Some(FaultAction::HalveResponse) => halve(perform(shared, identity, parts, bytes, stream).await?).await,
        Some(FaultAction::CutResponse { after_bytes: 0 }) => {
            perform(shared, identity, parts, bytes, stream).await?;
            Err(Cut)
        }
        Some(FaultAction::CutResponse { after_bytes }) => {
            let response = perform(shared, identity, parts, bytes, stream).await?;
            Ok(response.map(|body| Body::http_body_unsync(CutBody::new(body, after_bytes))))
        }
        Some(FaultAction::KillCaller) => {
            perform(shared, identity, parts, bytes, stream).await?;
            kill_principal(shared, &identity.principal);
            Err(Cut)
        }
        Some(FaultAction::Duplicate) => {
            let again = parts.clone();
            let first = perform(shared, identity, parts, bytes.clone(), stream).await?;
            if identity.service != "s3" {
                dispatch(shared, identity, again, bytes).await;
            }
            Ok(first)
        }
    }
}

fn kill_principal(shared: &Arc<Shared>, principal: &str) {
    if let Some(name) = principal.strip_prefix("lambda-") {
        shared.lambda.kill(name);
    } else if let Some(id) = principal.strip_prefix("batch-") {
        shared.batch.signal(id, crate::process::KILL).ok();
    }
}

/// The service of a request: what its signature says, or else its target header, or else S3.
fn service_of(scope: Option<&(String, String)>, parts: &Parts) -> String {
    if let Some((service, _)) = scope {
        return service.clone();
    }
    match header_text(&parts.headers, "x-amz-target") {
        Some(target) if target.starts_with("AWSStepFunctions") => "states".to_owned(),
        Some(target) if target.starts_with("AWSEvents") => "events".to_owned(),
        Some(_) | None if parts.uri.path().starts_with("/moto-api") => "moto".to_owned(),
        Some(_) | None => "s3".to_owned(),
    }
}

fn operation_and_resource(service: &str, parts: &Parts, body: &Bytes) -> (String, String) {
    let path = parts.uri.path();
    match service {
        "batch" => batch::identify(parts, body),
        "lambda" => lambda::identify(parts),
        "backup" => backup::identify(parts),
        "dynamodb" => dynamodb::identify(parts, body),
        "ec2" => ec2::identify(body),
        "rds" => rds::identify(body),
        "sns" => topic::identify(body),
        _ => {
            if let Some(target) = header_text(&parts.headers, "x-amz-target") {
                let operation = target.rsplit('.').next().unwrap_or(target).to_owned();
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                let names = ["executionArn", "stateMachineArn", "name", "Name", "Path", "logGroupName"];
                let resource = names.iter().find_map(|name| body.get(name)?.as_str()).unwrap_or_default();
                return (operation, resource.to_owned());
            }
            let form = query_pairs(&String::from_utf8_lossy(body));
            match form.get("Action") {
                Some(action) => (action.clone(), String::new()),
                None => (format!("{} {path}", parts.method), path_segments(path).pop().unwrap_or_default()),
            }
        }
    }
}

async fn dispatch(shared: &Arc<Shared>, identity: &Identity, parts: Parts, body: Bytes) -> Response<Body> {
    let call = Call { parts, body, operation: identity.operation.clone() };
    let answer = match identity.service.as_str() {
        "lambda" => lambda::answer(shared, &call).await,
        "batch" => batch::answer(shared, &call),
        "backup" => backup::answer(shared, &call),
        "dynamodb" if shared.options.moto => dynamodb::answer(shared, &call).await,
        "ec2" if ec2::plays(&call.operation) => ec2::answer(shared, &call),
        "rds" => rds::answer(shared, &call),
        "events" if call.operation == "PutEvents" => event::put_events(shared, &call),
        "sns" if call.operation == "Publish" => topic::publish(shared, &call),
        "states" if shared.options.moto => states::answer(shared, &call).await,
        service if !shared.options.moto => shared.stand_in.answer(service, &call),
        _ => forward(shared, &call).await,
    };
    answer.unwrap_or_else(|error| error.response(&identity.service))
}

/// Passes a call on to moto.
pub(crate) async fn forward(shared: &Shared, call: &Call) -> Answer {
    let answer = shared.moto.forward(&call.parts, call.body.clone()).await;
    answer.map_err(|error| ApiError::new(500, "InternalFailure", error.to_string()))
}
