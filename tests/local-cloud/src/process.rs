//! Processes that must not outlive this one: moto, functions and jobs.

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

/// Sends a signal to a group. A group that is gone is not an error.
pub(crate) fn signal_group(process_id: u32, signal: i32) -> bool {
    let pid = i32::try_from(process_id).ok().and_then(Pid::from_raw);
    let signal = Signal::from_named_raw(signal);
    match (pid, signal) {
        (Some(pid), Some(signal)) => kill_process_group(pid, signal).is_ok(),
        _ => false,
    }
}

/// SIGKILL.
pub(crate) const KILL: i32 = 9;
/// SIGTERM.
pub(crate) const TERM: i32 = 15;
