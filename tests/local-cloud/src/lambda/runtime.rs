//! One process of a function, and the Runtime API that it talks to, on a port of its own.

use std::fs::OpenOptions;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::Body;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::gateway::Shared;
use crate::process::{KILL, guarded, signal_group};
use crate::stack::FunctionSpec;
use crate::wire::{answer, insert, serve};

/// How an invocation ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Response(Bytes),
    Error(Value),
    InitError(Value),
    TimedOut,
    Exited(String),
}

#[derive(Debug)]
struct Invocation {
    id: String,
    payload: Bytes,
    deadline: SystemTime,
}

/// What the server and the invoker share.
#[derive(Debug)]
struct Runtime {
    arn: String,
    queue: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Outcome>)>>,
    init_error: watch::Sender<Option<Value>>,
}

/// A process.
#[derive(Debug)]
pub(super) struct Sandbox {
    child: Child,
    exited: Arc<Mutex<bool>>,
    invocations: mpsc::Sender<Invocation>,
    runtime: Arc<Runtime>,
    server: JoinHandle<()>,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(id) = self.child.id() {
            signal_group(id, KILL);
        }
    }
}

impl Sandbox {
    pub(super) async fn start(shared: &Arc<Shared>, spec: &FunctionSpec) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|source| Error::Listen { address: "a runtime's port".to_owned(), source })?;
        let address =
            listener.local_addr().map_err(|source| Error::Listen { address: "a runtime's port".to_owned(), source })?;
        let (invocations, queue) = mpsc::channel(1);
        let runtime = Arc::new(Runtime {
            arn: shared.names.function(&spec.name),
            queue: tokio::sync::Mutex::new(queue),
            current: Mutex::new(None),
            init_error: watch::channel(None).0,
        });
        let handler = Arc::clone(&runtime);
        let server = tokio::spawn(serve(listener, move |request| {
            let runtime = Arc::clone(&handler);
            async move { Ok(runtime.answer(request).await) }
        }));
        let path = shared.directory.join(format!("logs/lambda-{}.log", spec.name));
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        let errors = log.try_clone().map_err(Error::file("open", &path))?;
        let Some((program, arguments)) = spec.command.split_first() else {
            return Err(Error::Stack { name: spec.name.clone(), message: "the function has no command".to_owned() });
        };
        let principal = format!("lambda-{}", spec.name);
        let child = guarded(program)
            .args(arguments)
            .env_clear()
            .envs(crate::local_cloud::credentials(shared, &principal))
            .envs([
                ("PATH", std::env::var("PATH").unwrap_or_default()),
                ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
                ("AWS_LAMBDA_FUNCTION_NAME", spec.name.clone()),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
                ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name)),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
                ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
            ])
            .envs(&spec.environment)
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| Error::Program { program: program.display().to_string(), message: error.to_string() })?;
        Ok(Self { child, exited: Arc::default(), invocations, runtime, server })
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process can take an invocation.
    pub(super) fn is_alive(&self) -> bool {
        let process = self.child.id().map(|id| format!("/proc/{id}/stat"));
        let exited = *self.exited.lock().unwrap_or_else(PoisonError::into_inner);
        // A process that died and was not waited for is still listed, as a zombie.
        let running = process
            .and_then(|path| std::fs::read_to_string(path).ok())
            .is_some_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'));
        running && !exited
    }

    pub(super) async fn invoke(&mut self, id: &str, payload: Bytes, timeout: Duration) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        *self.runtime.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), sender));
        let invocation = Invocation { id: id.to_owned(), payload, deadline: SystemTime::now() + timeout };
        let mut init_error = self.runtime.init_error.subscribe();
        // The queue holds one, and one invocation runs at a time: there is room.
        self.invocations.try_send(invocation).ok();
        let outcome = tokio::select! {
            // An answer that came before the process died counts.
            biased;
            outcome = receiver => outcome.unwrap_or(Outcome::TimedOut),
            changed = init_error.wait_for(Option::is_some) => match changed {
                Ok(error) => Outcome::InitError(error.clone().unwrap_or_default()),
                Err(_) => Outcome::TimedOut,
            },
            status = self.child.wait() => {
                *self.exited.lock().unwrap_or_else(PoisonError::into_inner) = true;
                Outcome::Exited(match status {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                })
            }
            () = tokio::time::sleep(timeout) => Outcome::TimedOut,
        };
        *self.runtime.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        outcome
    }

    pub(super) async fn stop(mut self) {
        if let Some(id) = self.child.id() {
            signal_group(id, KILL);
        }
        // Killed: whatever its status is, it is gone.
        self.child.wait().await.ok();
    }
}

impl Runtime {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().trim_start_matches("/2018-06-01/runtime/").to_owned();
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["invocation", "next"] => self.next().await,
            ["invocation", id, kind @ ("response" | "error")] => {
                let body =
                    request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                let outcome =
                    if *kind == "response" { Outcome::Response(body) } else { Outcome::Error(error_object(&body)) };
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                match current.take() {
                    Some((expected, sender)) if expected == *id => {
                        // Nobody waits when the invocation has timed out.
                        sender.send(outcome).ok();
                        answer(202, "application/json", r#"{"status":"OK"}"#)
                    }
                    other => {
                        *current = other;
                        answer(
                            400,
                            "application/json",
                            r#"{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}"#,
                        )
                    }
                }
            }
            ["init", "error"] => {
                let body =
                    request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                self.init_error.send_replace(Some(error_object(&body)));
                answer(202, "application/json", r#"{"status":"OK"}"#)
            }
            _ => answer(404, "application/json", "{}"),
        }
    }

    async fn next(&self) -> Response<Body> {
        let Some(invocation) = self.queue.lock().await.recv().await else {
            return answer(410, "application/json", "{}");
        };
        let deadline = invocation.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut response = answer(200, "application/json", invocation.payload);
        let headers = response.headers_mut();
        insert(headers, "lambda-runtime-aws-request-id", &invocation.id);
        insert(headers, "lambda-runtime-deadline-ms", &deadline.to_string());
        insert(headers, "lambda-runtime-invoked-function-arn", &self.arn);
        insert(
            headers,
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
        );
        response
    }
}

fn error_object(body: &Bytes) -> Value {
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => value,
        _ => json!({"errorType": "Unhandled", "errorMessage": String::from_utf8_lossy(body)}),
    }
}
