//! The functions, and their invocations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::runtime::{Outcome, Sandbox};
use crate::context::Context;
use crate::dead_letter::DeadLetters;
use crate::observe::DeadLetter;
use crate::stack::FunctionSpec;
use crate::wire::ApiError;

/// The largest payload of a synchronous call, in either direction.
const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// The functions.
#[derive(Debug)]
pub(crate) struct Lambda {
    pub(super) context: Arc<Context>,
    pub(super) dead_letters: Arc<DeadLetters>,
    functions: Mutex<BTreeMap<String, Arc<Function>>>,
    /// Asynchronous invocations that are queued, run, or wait for their retry.
    pending: AtomicUsize,
}

/// One function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) spec: FunctionSpec,
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
    pub(crate) fn new(context: &Arc<Context>, dead_letters: &Arc<DeadLetters>) -> Self {
        Self {
            context: Arc::clone(context),
            dead_letters: Arc::clone(dead_letters),
            functions: Mutex::default(),
            pending: AtomicUsize::default(),
        }
    }

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
    pub(super) fn find(&self, name: &str) -> Result<Arc<Function>, ApiError> {
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
    async fn invoke(&self, context: &Context, payload: Bytes) -> Result<Reply, ApiError> {
        let mut guard = self.sandbox.lock().await;
        let warm = guard.take().filter(Sandbox::is_alive);
        let mut sandbox = match warm {
            Some(sandbox) => sandbox,
            None => Sandbox::start(context, &self.spec)
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
pub(crate) async fn invoke(lambda: &Arc<Lambda>, name: &str, payload: Bytes) -> Result<Reply, ApiError> {
    let function = lambda.find(name)?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(ApiError::new(
            413,
            "RequestEntityTooLargeException",
            format!("{} byte payload is too large", payload.len()),
        ));
    }
    function.invoke(&lambda.context, payload).await
}

/// Invokes a function in the background, with the retries of asynchronous invocations.
pub(crate) fn invoke_later(lambda: &Arc<Lambda>, name: &str, payload: Bytes) -> Result<(), ApiError> {
    let function = lambda.find(name)?;
    lambda.pending.fetch_add(1, Ordering::SeqCst);
    let lambda = Arc::clone(lambda);
    tokio::spawn(async move {
        let mut reason = None;
        for attempt in 0..=function.spec.async_retries {
            if attempt > 0 {
                // One minute before the first retry, two before the second.
                let wait = Duration::from_secs(60 * u64::from(attempt));
                tokio::time::sleep(wait.mul_f64(lambda.context.options.wait_scale)).await;
            }
            reason = match function.invoke(&lambda.context, payload.clone()).await {
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
            lambda.dead_letters.add(DeadLetter { queue, source: function.spec.name.clone(), body, reason });
        }
        lambda.pending.fetch_sub(1, Ordering::SeqCst);
    });
    Ok(())
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
