//! The built worker, run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Command, Output};

use local_cloud::WorkerCloud;
use support::program::command;

/// What a worker's process is given.
pub(crate) type Environment = BTreeMap<String, String>;

/// The worker, not yet started.
pub(crate) fn worker(arguments: &[impl AsRef<OsStr>], environment: &Environment) -> Command {
    command(env!("CARGO_BIN_EXE_batch-worker"), arguments, environment)
}

/// Runs the worker to its end.
pub(crate) fn run(arguments: &[impl AsRef<OsStr>], environment: &Environment) -> Output {
    worker(arguments, environment).output().unwrap()
}

/// Runs it where there is no AWS.
pub(crate) fn run_alone(arguments: &[impl AsRef<OsStr>]) -> Output {
    run(arguments, &Environment::new())
}

/// Verifies the export below a prefix of the cloud's bucket.
pub(crate) fn verify(environment: &Environment, prefix: &str, mode: &str) -> Output {
    let manifest = format!("s3://{}/{prefix}manifest.json", WorkerCloud::BUCKET);
    run(&["verify", &manifest, "--mode", mode, "--bucket-owner", WorkerCloud::OWNER], environment)
}
