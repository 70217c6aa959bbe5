//! Processes that must not outlive this one: moto, functions, jobs and database servers.

use std::ffi::OsStr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// A command whose process leads a group of its own and dies (SIGKILL) when the thread that started it ends.
///
/// `setpriv` of util-linux sets the death signal, because doing it here would need unsafe code between fork and exec.
pub(crate) fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A command for a program that refuses to run as root, as database servers do.
///
/// Root gives it a user namespace in which it has another id: what it reads and writes belongs to root outside, so that
/// directories that only root may enter serve it, and nothing changes hands.
pub(crate) fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
    command
}

/// A guarded command for a server that refuses to run as root; `death` names the signal that it gets when the thread
/// that started it ends.
pub(crate) fn guarded_server(program: impl AsRef<OsStr>, death: &str) -> Command {
    // The death signal is set inside the namespace: a change of credentials clears it.
    let mut command = unprivileged("setpriv");
    command.args(["--pdeathsig", death, "--"]).arg(program);
    command.process_group(0).stdin(Stdio::null());
    command
}

/// Sends a signal to a group. A group that is gone is not an error.
pub(crate) fn signal_group(process_id: u32, signal: i32) -> bool {
    let pid = i32::try_from(process_id).ok().and_then(Pid::from_raw);
    let signal = Signal::from_named_raw(signal);
    match (pid, signal) {
        (Some(pid), Some(signal)) => kill_process_group(pid, signal).is_ok(),
        _ => false,
    }
}

/// SIGINT.
pub(crate) const INT: i32 = 2;
/// SIGQUIT.
pub(crate) const QUIT: i32 = 3;
/// SIGKILL.
pub(crate) const KILL: i32 = 9;
/// SIGTERM.
pub(crate) const TERM: i32 = 15;
