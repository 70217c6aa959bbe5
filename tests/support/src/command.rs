//! Programs of the system, run to their end.

use std::io::{Seek as _, Write as _};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Runs a command and returns what it printed. When it fails, the error says what it printed, and to whom.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.env("LC_ALL", "C.UTF-8").output().with_context(|| format!("run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a line of bash, in which nothing may fail, and returns what it printed.
pub fn shell(line: &str) -> Result<String> {
    run(Command::new("bash").args(["-euo", "pipefail", "-c", line]))
}

/// Gives a command its input and returns what it printed.
pub fn feed(command: &mut Command, input: &str) -> Result<String> {
    let mut file = tempfile::tempfile().context("make a temporary file")?;
    file.write_all(input.as_bytes()).context("write a temporary file")?;
    file.rewind().context("rewind a temporary file")?;
    run(command.stdin(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_printed() {
        assert_eq!(feed(&mut Command::new("cat"), "hello").unwrap(), "hello");
        assert_eq!(shell("printf a | tr a b").unwrap(), "b");
        let error = shell("echo out; echo err >&2; false | true").unwrap_err().to_string();
        assert!(error.contains("out") && error.contains("err") && error.contains("exit status: 1"), "{error}");
        assert!(format!("{:#}", run(&mut Command::new("/no/such/program")).unwrap_err()).contains("/no/such/program"));
    }
}
