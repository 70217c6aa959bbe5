//! The gateway: one HTTP server that stands for every AWS endpoint. It finds out who asks for what, applies the fault
//! rules, logs the request, and hands it to the service that plays it.

mod admin;
mod cut;
mod damage;

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
use crate::cloud::Cloud;
use crate::fault::{FaultAction, Subject};
use crate::observe::RequestRecord;
use crate::wire::{
    ApiError, Call, Cut, Identity, STATES_ACCESS_KEY, credential_scope, header_text, path_segments, query_pairs,
};
use crate::{backup, batch, dynamodb, ec2, event, lambda, rds, s3, snapshot_export, states, topic, wire};

/// Serves until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, cloud: Arc<Cloud>) {
    wire::serve(listener, move |request| handle(Arc::clone(&cloud), request)).await;
}

async fn handle(cloud: Arc<Cloud>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    if let Some(path) = parts.uri.path().strip_prefix("/_local-cloud/") {
        let path = path.to_owned();
        let body = collect(body).await?;
        return Ok(admin::answer(&cloud, &parts.method, &path, &body));
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
    cloud.context.requests.begin(&identity.service, &identity.operation);
    let action = cloud.context.faults.decide(Subject {
        service: &identity.service,
        operation: &identity.operation,
        resource: &identity.resource,
        principal: &identity.principal,
    });
    let fault = action.is_some();
    let result = apply(&cloud, &identity, action, parts, bytes, stream).await;
    cloud.context.requests.add(RequestRecord {
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
    cloud: &Arc<Cloud>,
    identity: &Identity,
    parts: Parts,
    bytes: Bytes,
    stream: Option<Body>,
) -> Result<Response<Body>, Cut> {
    match stream {
        Some(body) => cloud.s3.call(parts, body).await.map_err(|_| Cut),
        None => Ok(dispatch(cloud, identity, parts, bytes).await),
    }
}

/// Does what a request asks for, or what a fault rule says.
async fn apply(
    cloud: &Arc<Cloud>,
    identity: &Identity,
    action: Option<FaultAction>,
    parts: Parts,
    bytes: Bytes,
    stream: Option<Body>,
) -> Result<Response<Body>, Cut> {
    match action {
        None => perform(cloud, identity, parts, bytes, stream).await,
        Some(FaultAction::Error { status, code, message }) => {
            // The body is read first, as S3 does: a client that still sends might not see the answer.
            if let Some(mut body) = stream {
                while let Some(Ok(_)) = body.frame().await {}
            }
            Ok(ApiError { status, code, message }.response(&identity.service))
        }
        Some(FaultAction::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            perform(cloud, identity, parts, bytes, stream).await
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
            perform(cloud, identity, parts, bytes, stream).await
        }
        Some(FaultAction::HalveResponse) => halve(perform(cloud, identity, parts, bytes, stream).await?).await,
        Some(FaultAction::CutResponse { after_bytes: 0 }) => {
            perform(cloud, identity, parts, bytes, stream).await?;
            Err(Cut)
        }
        Some(FaultAction::CutResponse { after_bytes }) => {
            let response = perform(cloud, identity, parts, bytes, stream).await?;
            Ok(response.map(|body| Body::http_body_unsync(CutBody::new(body, after_bytes))))
        }
        Some(FaultAction::KillCaller) => {
            perform(cloud, identity, parts, bytes, stream).await?;
            kill_principal(cloud, &identity.principal);
            Err(Cut)
        }
        Some(FaultAction::Duplicate) => {
            let again = parts.clone();
            let first = perform(cloud, identity, parts, bytes.clone(), stream).await?;
            if identity.service != "s3" {
                dispatch(cloud, identity, again, bytes).await;
            }
            Ok(first)
        }
    }
}

fn kill_principal(cloud: &Arc<Cloud>, principal: &str) {
    if let Some(name) = principal.strip_prefix("lambda-") {
        cloud.lambda.kill(name);
    } else if let Some(id) = principal.strip_prefix("batch-") {
        cloud.batch.signal(id, crate::process::KILL).ok();
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

async fn dispatch(cloud: &Arc<Cloud>, identity: &Identity, parts: Parts, body: Bytes) -> Response<Body> {
    let call = Call { parts, body, operation: identity.operation.clone() };
    let answer = match identity.service.as_str() {
        "lambda" => lambda::answer(&cloud.lambda, &call).await,
        "batch" => batch::answer(&cloud.batch, &call),
        "backup" => backup::answer(&cloud.backup, &call),
        "dynamodb" if cloud.context.options.moto => dynamodb::answer(&cloud.dynamodb, &call).await,
        "ec2" if ec2::plays(&call.operation) => ec2::answer(&cloud.ec2, &call),
        "rds" if snapshot_export::plays(&call.operation) => snapshot_export::answer(&cloud.snapshot_exports, &call),
        "rds" => rds::answer(&cloud.rds, &call),
        "events" if call.operation == "PutEvents" => event::put_events(&cloud.events, &call),
        "sns" if call.operation == "Publish" => topic::publish(&cloud.topics, &call),
        "states" if cloud.context.options.moto => states::answer(&cloud.states, &call).await,
        service if !cloud.context.options.moto => cloud.stand_in.answer(service, &call),
        _ => cloud.context.moto.answer(&call).await,
    };
    answer.unwrap_or_else(|error| error.response(&identity.service))
}
