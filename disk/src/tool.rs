//! Runs the tools of util-linux and reports what they said.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use crate::error::Error;

/// Runs a tool to its end, with messages in English.
pub(super) fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Result<Output, Error> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
    command.output().map_err(|error| Error::Tool {
        action: describe(&command),
        output: format!("{error}: is the package that holds {program} installed?"),
    })
}

/// Runs a tool that must succeed, and returns what it printed.
pub(super) fn require<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S> + Clone,
) -> Result<String, Error> {
    let output = run(program, arguments.clone())?;
    if !output.status.success() {
        let mut command = Command::new(program);
        command.args(arguments);
        return Err(Error::Tool {
            action: describe(&command),
            output: format!("{}: {}", output.status, said(&output)),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What a tool printed, on one line.
pub(super) fn said(output: &Output) -> String {
    let both = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&both)
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}
