//! The Lambda operations.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, header};
use s3s::Body;
use serde_json::json;

use super::service::{Lambda, Reply, function_name, invoke, invoke_later};
use crate::wire::{Answer, ApiError, Call, answer as http_answer, header_text, insert, json_answer, path_segments};

/// The operation and the function that a request names.
pub(crate) fn identify(parts: &Parts) -> (String, String) {
    let segments = path_segments(parts.uri.path());
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (parts.method.as_str(), names.as_slice()) {
        ("POST", ["2015-03-31", "functions", name, "invocations"]) => {
            ("Invoke".to_owned(), function_name(name).to_owned())
        }
        ("GET", ["2015-03-31", "functions", name]) => ("GetFunction".to_owned(), function_name(name).to_owned()),
        (method, _) => (format!("{method} {}", parts.uri.path()), String::new()),
    }
}

pub(crate) async fn answer(lambda: &Arc<Lambda>, call: &Call) -> Answer {
    let segments = path_segments(call.parts.uri.path());
    let name = segments.get(2).map(String::as_str).unwrap_or_default();
    match call.operation.as_str() {
        "Invoke" => {
            let kind = header_text(&call.parts.headers, "x-amz-invocation-type").unwrap_or("RequestResponse");
            match kind {
                "Event" => {
                    invoke_later(lambda, name, call.body.clone()).map(|()| http_answer(202, "application/json", ""))
                }
                "DryRun" => lambda.find(name).map(|_| http_answer(204, "application/json", "")),
                _ => invoke(lambda, name, call.body.clone()).await.map(|reply| reply_response(&reply)),
            }
        }
        "GetFunction" => {
            let function = lambda.find(name)?;
            let spec = &function.spec;
            let configuration = json!({
                "FunctionName": spec.name, "FunctionArn": lambda.context.names.function(&spec.name), "Runtime": "provided.al2023",
                "Timeout": spec.timeout_seconds, "State": "Active", "Environment": {"Variables": spec.environment},
            });
            Ok(json_answer(200, &json!({"Configuration": configuration})))
        }
        operation => Err(ApiError::new(501, "NotImplemented", format!("lambda {operation} is not played"))),
    }
}

fn reply_response(reply: &Reply) -> Response<Body> {
    let (body, failed) = match reply {
        Reply::Payload(bytes) => (bytes.clone(), false),
        Reply::Error(error) => (Bytes::from(error.to_string()), true),
    };
    let mut response = http_answer(200, "application/json", body);
    insert(response.headers_mut(), "x-amz-executed-version", "$LATEST");
    if failed {
        insert(response.headers_mut(), "x-amz-function-error", "Unhandled");
    }
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response
}
