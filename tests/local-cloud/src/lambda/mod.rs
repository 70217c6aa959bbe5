//! Lambda: functions as processes that speak the Runtime API, one process for each function, kept warm.
//!
//! Invocations of one function run one after the other; a function that times out or dies is started anew.

mod runtime;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, header};
use s3s::Body;
use serde_json::{Value, json};

use self::runtime::{Outcome, Sandbox};
use crate::gateway::Shared;
use crate::observe::DeadLetter;
use crate::stack::FunctionSpec;
use crate::wire::{Answer, ApiError, Call, answer as http_answer, header_text, insert, path_segments};

/// The largest payload of a synchronous call, in either direction.
const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// The functions.
#[derive(Debug, Default)]
pub(crate) struct Lambda {
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Asynchronous invocations that are queued, run, or wait for their retry.
    pending: AtomicUsize,
}

/// One function.
#[derive(Debug)]
struct Function {
    spec: FunctionSpec,
    /// Its process; the lock is held during an invocation.
    sandbox: tokio::sync::Mutex<Option<Sandbox>>,
    process_id: Mutex<Option<u32>>,
}

/// The answer of a function.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// What it returned.
    Payload(Bytes),
    /// The error object of a function that failed.
    Error(Value),
}

impl Lambda {
    fn functions(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Function>>> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates or replaces a function.
    pub(crate) fn create(&self, spec: FunctionSpec) {
        let name = spec.name.clone();
        let function = Function { spec, sandbox: tokio::sync::Mutex::new(None), process_id: Mutex::new(None) };
        let replaced = self.functions().insert(name, Arc::new(function));
        if let Some(old) = replaced {
            old.kill();
        }
    }

    /// Kills the process of a function; `false` when none runs.
    pub(crate) fn kill(&self, name: &str) -> bool {
        let function = self.functions().get(name).map(Arc::clone);
        function.is_some_and(|function| function.kill())
    }

    pub(crate) fn kill_all(&self) {
        for function in self.functions().values() {
            function.kill();
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::SeqCst)
    }

    /// Finds a function by name or ARN, with or without a qualifier.
    fn find(&self, name: &str) -> Result<Arc<Function>, ApiError> {
        let short = function_name(name);
        let found = self.functions().get(short).map(Arc::clone);
        found.ok_or_else(|| ApiError::new(404, "ResourceNotFoundException", format!("Function not found: {name}")))
    }
}

/// The name in an ARN, partial ARN or name.
pub(crate) fn function_name(name: &str) -> &str {
    let rest = name.split_once("function:").map_or(name, |(_, rest)| rest);
    rest.split(':').next().unwrap_or(rest)
}

impl Function {
    fn kill(&self) -> bool {
        let id = *self.process_id.lock().unwrap_or_else(PoisonError::into_inner);
        id.is_some_and(|id| crate::process::signal_group(id, crate::process::KILL))
    }

    /// Runs one invocation.
    async fn invoke(&self, shared: &Arc<Shared>, payload: Bytes) -> Result<Reply, ApiError> {
        let mut guard = self.sandbox.lock().await;
        let warm = guard.take().filter(Sandbox::is_alive);
        let mut sandbox = match warm {
            Some(sandbox) => sandbox,
            None => Sandbox::start(shared, &self.spec)
                .await
                .map_err(|error| ApiError::new(502, "ServiceException", error.to_string()))?,
        };
        *self.process_id.lock().unwrap_or_else(PoisonError::into_inner) = sandbox.process_id();
        let timeout = Duration::from_secs(self.spec.timeout_seconds);
        let request_id = uuid::Uuid::new_v4().to_string();
        let outcome = sandbox.invoke(&request_id, payload, timeout).await;
        let prefix = format!("RequestId: {request_id} Error: ");
        let reply = match outcome {
            Outcome::Response(bytes) if bytes.len() > MAX_PAYLOAD_BYTES => Reply::Error(json!({
                "errorType": "Function.ResponseSizeTooLarge",
                "errorMessage": format!("Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."),
            })),
            Outcome::Response(bytes) => {
                *guard = Some(sandbox);
                return Ok(Reply::Payload(bytes));
            }
            Outcome::Error(error) => {
                *guard = Some(sandbox);
                return Ok(Reply::Error(error));
            }
            Outcome::InitError(error) => Reply::Error(error),
            Outcome::TimedOut => Reply::Error(json!({
                "errorType": "Sandbox.Timedout",
                "errorMessage": format!("{prefix}Task timed out after {}.00 seconds", self.spec.timeout_seconds),
            })),
            Outcome::Exited(status) => Reply::Error(json!({
                "errorType": "Runtime.ExitError",
                "errorMessage": format!("{prefix}Runtime exited with error: {status}"),
            })),
        };
        sandbox.stop().await;
        *self.process_id.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(reply)
    }
}

/// Invokes a function and waits.
pub(crate) async fn invoke(shared: &Arc<Shared>, name: &str, payload: Bytes) -> Result<Reply, ApiError> {
    let function = shared.lambda.find(name)?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(ApiError::new(
            413,
            "RequestEntityTooLargeException",
            format!("{} byte payload is too large", payload.len()),
        ));
    }
    function.invoke(shared, payload).await
}

/// Invokes a function in the background, with the retries of asynchronous invocations.
pub(crate) fn invoke_later(shared: &Arc<Shared>, name: &str, payload: Bytes) -> Result<(), ApiError> {
    let function = shared.lambda.find(name)?;
    shared.lambda.pending.fetch_add(1, Ordering::SeqCst);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut reason = None;
        for attempt in 0..=function.spec.async_retries {
            if attempt > 0 {
                // One minute before the first retry, two before the second.
                let wait = Duration::from_secs(60 * u64::from(attempt));
                tokio::time::sleep(wait.mul_f64(shared.options.wait_scale)).await;
            }
            reason = match function.invoke(&shared, payload.clone()).await {
                Ok(Reply::Payload(_)) => None,
                Ok(Reply::Error(error)) => Some(error.to_string()),
                Err(error) => Some(format!("{}: {}", error.code, error.message)),
            };
            if reason.is_none() {
                break;
            }
        }
        if let (Some(reason), Some(queue)) = (reason, function.spec.dead_letters.clone()) {
            let body = String::from_utf8_lossy(&payload).into_owned();
            shared.dead_letters.add(DeadLetter { queue, source: function.spec.name.clone(), body, reason });
        }
        shared.lambda.pending.fetch_sub(1, Ordering::SeqCst);
    });
    Ok(())
}

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

pub(crate) async fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let segments = path_segments(call.parts.uri.path());
    let name = segments.get(2).map(String::as_str).unwrap_or_default();
    match call.operation.as_str() {
        "Invoke" => {
            let kind = header_text(&call.parts.headers, "x-amz-invocation-type").unwrap_or("RequestResponse");
            match kind {
                "Event" => {
                    invoke_later(shared, name, call.body.clone()).map(|()| http_answer(202, "application/json", ""))
                }
                "DryRun" => shared.lambda.find(name).map(|_| http_answer(204, "application/json", "")),
                _ => invoke(shared, name, call.body.clone()).await.map(|reply| reply_response(&reply)),
            }
        }
        "GetFunction" => {
            let function = shared.lambda.find(name)?;
            let spec = &function.spec;
            let configuration = json!({
                "FunctionName": spec.name, "FunctionArn": shared.names.function(&spec.name), "Runtime": "provided.al2023",
                "Timeout": spec.timeout_seconds, "State": "Active", "Environment": {"Variables": spec.environment},
            });
            Ok(crate::wire::json_answer(200, &json!({"Configuration": configuration})))
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

#[cfg(test)]
mod tests {
    use super::function_name;

    #[test]
    fn names_come_out_of_arns() {
        for name in [
            "plan",
            "arn:aws:lambda:us-east-1:1:function:plan",
            "arn:aws:lambda:us-east-1:1:function:plan:$LATEST",
            "1:function:plan",
        ] {
            assert_eq!(function_name(name), "plan");
        }
    }
}
