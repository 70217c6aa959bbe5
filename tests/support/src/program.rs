//! The programs that this workspace builds: where they are, and what they say in JSON.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies two folders below the root")
}

/// A binary of the workspace, built beside the program that asks.
pub fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("find the directory of the built binaries")?;
    let directory = program
        .ancestors()
        .find(|path| path.ends_with("debug") || path.ends_with("release"))
        .context("find the directory of the built binaries")?;
    let path = directory.join(name);
    ensure!(path.is_file(), "{} is not built: run `make build`", path.display());
    Ok(path)
}

/// A program with its environment laid over this one's, not yet started; what it prints is kept, and no profile of the
/// person who runs the tests reaches it.
pub fn command<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: &[impl AsRef<OsStr>],
    environment: impl IntoIterator<Item = (K, V)>,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("AWS_PROFILE")
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a run said on its standard error: the log.
pub fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON report of a run that must succeed.
#[track_caller]
pub fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", log(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The exit code of a run that must fail, and `kind: message` of the error in the last line of its log.
#[track_caller]
pub fn failure(output: &Output) -> (i32, String) {
    let log = log(output);
    let code = output.status.code().unwrap_or_else(|| panic!("killed: {log}"));
    let last = log.lines().last().unwrap_or_default();
    let line: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{log}"));
    let text = |name: &str| line[name].as_str().unwrap_or_else(|| panic!("no {name}: {log}")).to_owned();
    assert_eq!(text("level"), "ERROR", "{log}");
    (code, format!("{}: {}", text("kind"), text("message")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str) -> Output {
        command("sh", &["-c", script], [("NAME", "value")]).output().unwrap()
    }

    #[test]
    fn reports_and_failures_are_read() {
        assert_eq!(report(&ran(r#"echo "{\"name\": \"$NAME\"}""#))["name"], "value");
        let failed = r#"echo noise >&2; echo '{"level":"ERROR","kind":"Throttled","message":"too fast"}' >&2; exit 75"#;
        assert_eq!(failure(&ran(failed)), (75, "Throttled: too fast".to_owned()));
        assert!(std::panic::catch_unwind(|| report(&ran("exit 1"))).is_err());
        assert!(std::panic::catch_unwind(|| failure(&ran("kill -9 $$"))).is_err());
    }

    #[test]
    fn the_workspace_has_its_manifest() {
        assert!(workspace().join("statemachine/export.asl.json").is_file());
        assert!(binary("no-such-program").unwrap_err().to_string().contains("make build"));
    }
}
