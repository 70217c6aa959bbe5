//! The engines' tools as child processes, none of which outlives the worker or a request to stop.
//!
//! Each is the leader of a process group of its own, which is killed as a whole, and `setpriv` has the kernel kill it
//! when the thread that started it ends: doing that here would need unsafe code between fork and exec. So a tool must
//! be started by the thread that waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use domain::failure::{Error, Kind, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How much of what a tool says is kept for its error.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 2048;
/// The longest answer of a tool that is held in memory.
const MOST_OUTPUT_BYTES: u64 = 64 << 20;

/// What a lost connection looks like, by the words of the clients of both engines.
const LOST: &[&str] = &[
    "server closed the connection",
    "connection to server was lost",
    "terminating connection due to",
    "the database system is shutting down",
    "the database system is starting up",
    "the database system is in recovery mode",
    "SSL SYSCALL error",
    "SSL connection has been closed",
    "could not receive data from server",
    "no connection to the server",
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "could not translate host name",
    "Lost connection",
    "server has gone away",
    "Can't connect to",
    "Unknown server host",
    "Server shutdown in progress",
];

/// A call of a tool, without anything secret in it.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    program: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Tool {
    pub(crate) fn new<A: Into<OsString>>(program: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self { program, arguments: arguments.into_iter().map(Into::into).collect(), environment: Vec::new() }
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

/// The tools that run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children {
    registry: Arc<Mutex<Registry>>,
    /// What is never repeated, whoever says it.
    secret: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Registry {
    halted: bool,
    groups: BTreeSet<i32>,
}

/// A running tool. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    program: &'static str,
    group: Pid,
    is_reaped: bool,
    said: Option<JoinHandle<String>>,
    children: Children,
}

/// How a tool ended, if it did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{program} ended with {status}: {said}")]
pub(crate) struct Ended {
    program: &'static str,
    status: String,
    /// The last it said.
    pub(crate) said: String,
    interrupted: bool,
}

impl Ended {
    /// The error of `what` that this made fail.
    pub(crate) fn error(self, what: impl Into<String>) -> Error {
        let lost = || LOST.iter().any(|words| self.said.contains(words));
        match () {
            () if self.interrupted => Error::interrupted(),
            () if lost() => Error::caused_by(Kind::Unavailable, what, self),
            () => Error::caused_by(Kind::DumpFailed, what, self),
        }
    }
}

impl Children {
    /// Tools whose words are told without `secret`.
    pub(crate) fn new(secret: Option<&str>) -> Self {
        Self { registry: Arc::default(), secret: secret.filter(|secret| !secret.is_empty()).map(Arc::from) }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills all tools; no further one starts.
    pub(crate) fn halt(&self) {
        let mut registry = self.lock();
        registry.halted = true;
        for group in &registry.groups {
            kill(Pid::from_raw(*group));
        }
    }

    fn is_halted(&self) -> bool {
        self.lock().halted
    }

    /// Starts a tool.
    pub(crate) fn spawn(&self, tool: &Tool, stdin: Stdio) -> Result<Child> {
        let what = || format!("start {}", tool.program);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", tool.program]).args(&tool.arguments).env_clear();
        command.env("LC_ALL", "C.UTF-8").envs(tool.environment.iter().map(|(name, value)| (*name, value.as_os_str())));
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.process_group(0).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut registry = self.lock();
        if registry.halted {
            return Err(Error::interrupted());
        }
        let mut process = command.spawn().map_err(|error| Error::caused_by(Kind::DumpFailed, what(), error))?;
        let group = Pid::from_child(&process);
        registry.groups.insert(group.as_raw_nonzero().get());
        drop(registry);
        let said = process.stderr.take().map(|stderr| {
            let (secret, program) = (self.secret.clone(), tool.program);
            std::thread::spawn(move || tail(stderr, program, secret.as_deref()))
        });
        Ok(Child { process, program: tool.program, group, is_reaped: false, said, children: self.clone() })
    }

    /// Runs a tool to its end and returns what it printed. `input` goes to its standard input.
    pub(crate) fn output(&self, tool: &Tool, input: &str) -> Result<Result<String, Ended>> {
        let mut child = self.spawn(tool, if input.is_empty() { Stdio::null() } else { Stdio::piped() })?;
        let mut printed = Vec::new();
        let output = child.stdout()?;
        if let Some(mut stdin) = child.process.stdin.take() {
            // Small enough for the pipe. A tool that ends without reading has said why.
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        }
        let read = output.take(MOST_OUTPUT_BYTES + 1).read_to_end(&mut printed);
        if printed.len() as u64 > MOST_OUTPUT_BYTES {
            return Err(Error::new(
                Kind::DumpFailed,
                format!("{} printed more than {} MiB", tool.program, MOST_OUTPUT_BYTES >> 20),
            ));
        }
        if let Err(ended) = child.wait()? {
            return Ok(Err(ended));
        }
        read.map_err(|error| Error::internal(format!("read what {} prints", tool.program), error))?;
        String::from_utf8(printed)
            .map(Ok)
            .map_err(|error| Error::caused_by(Kind::DumpFailed, format!("read what {} prints", tool.program), error))
    }
}

impl Child {
    /// What it prints.
    pub(crate) fn stdout(&mut self) -> Result<ChildStdout> {
        self.process.stdout.take().ok_or_else(|| Error::new(Kind::Internal, "the output was taken already"))
    }

    /// What it reads.
    pub(crate) fn stdin(&mut self) -> Result<ChildStdin> {
        self.process.stdin.take().ok_or_else(|| Error::new(Kind::Internal, "the input was taken already"))
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<Result<(), Ended>> {
        let status = self.reap().map_err(|error| Error::internal(format!("wait for {}", self.program), error))?;
        let said = self.said.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(Ok(()));
        }
        let interrupted = status.signal().is_some() && self.children.is_halted();
        Ok(Err(Ended { program: self.program, status: status.to_string(), said, interrupted }))
    }

    /// Its group may be killed until it is forgotten, and its id may be another's once it is reaped.
    fn reap(&mut self) -> std::io::Result<ExitStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(self.group), options), Err(rustix::io::Errno::INTR)) {}
        let mut registry = self.children.lock();
        registry.groups.remove(&self.group.as_raw_nonzero().get());
        self.is_reaped = true;
        self.process.wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.is_reaped {
            return;
        }
        kill(Some(self.group));
        if let Err(error) = self.reap() {
            tracing::debug!(program = self.program, %error, "could not be waited for");
        }
    }
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::debug!(?group, %error, "was gone before it was killed");
    }
}

/// The last that a tool says, without the secret.
fn tail(stderr: impl Read, program: &str, secret: Option<&str>) -> String {
    let mut lines: VecDeque<String> = VecDeque::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(KEPT_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let mut text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if let Some(secret) = secret {
            text = text.replace(secret, "***");
        }
        if text.is_empty() {
            continue;
        }
        tracing::debug!(program, "{text}");
        lines.push_back(text);
        while lines.len() > KEPT_LINES || lines.iter().map(|line| line.len() + 2).sum::<usize>() > KEPT_BYTES {
            if lines.len() == 1 {
                break;
            }
            lines.pop_front();
        }
    }
    Vec::from(lines).join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_fails_is_told_with_the_last_it_said_and_without_the_secret() {
        let children = Children::new(Some("hunter2"));
        let script = "for i in $(seq 100); do echo line $i >&2; done; echo the password hunter2 is wrong >&2; exit 3";
        let ended = children.output(&Tool::new("sh", ["-c", script]), "").unwrap().unwrap_err();
        let error = ended.error("dump orders");
        assert_eq!(error.kind(), Kind::DumpFailed);
        let chain = error.chain();
        assert!(chain.contains("exit status: 3") && chain.contains("the password *** is wrong"), "{chain}");
        assert!(!chain.contains("line 80;") && chain.contains("line 82;"), "{chain}");
    }

    #[test]
    fn a_lost_connection_is_worth_another_try() {
        let children = Children::default();
        let script = "echo 'pg_dump: error: server closed the connection unexpectedly' >&2; exit 1";
        let ended = children.output(&Tool::new("sh", ["-c", script]), "").unwrap().unwrap_err();
        assert_eq!(ended.error("dump orders").kind(), Kind::Unavailable);
    }

    #[test]
    fn what_runs_is_killed_with_its_children_and_nothing_starts_any_more() {
        let children = Children::default();
        let mut child =
            children.spawn(&Tool::new("sh", ["-c", "sleep 1000 & echo started; wait"]), Stdio::null()).unwrap();
        let mut output = BufReader::new(child.stdout().unwrap());
        output.read_line(&mut String::new()).unwrap();
        children.halt();
        // The pipe ends only when the grandchild, which holds it too, is gone.
        output.read_to_end(&mut Vec::new()).unwrap();
        let ended = child.wait().unwrap().unwrap_err();
        assert_eq!(ended.error("sleep").kind(), Kind::Interrupted);
        let late = children.spawn(&Tool::new("sh", ["-c", "true"]), Stdio::null());
        assert_eq!(late.unwrap_err().kind(), Kind::Interrupted);
    }
}
