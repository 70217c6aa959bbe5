//! The deployment: the template that `cdk synth` made of the app in `cdk/`, with the programs of this build in the
//! place of its code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use local_cloud::{BucketSpec, FunctionSpec, Options, Programs, Stack, Template};
use support::program::{binary, workspace};

/// The bucket that exports go to.
pub const BUCKET: &str = "backup-export-storage-bucket";
/// A bucket of another account.
pub const FOREIGN_BUCKET: &str = "somebody-elses-bucket";
/// The account that owns [`FOREIGN_BUCKET`].
pub const FOREIGN_ACCOUNT: &str = "999999999999";
/// The vault whose recovery points are exported.
pub const VAULT: &str = "Default";
/// Another vault.
pub const OTHER_VAULT: &str = "aws/efs/automatic-backup-vault";
pub const STATE_MACHINE: &str = "backup-export";
/// The schedule that calls the reaper.
pub const REAPER_SCHEDULE: &str = "reaper-hourly";
/// The schedule that calls the reconciler.
pub const RECONCILER_SCHEDULE: &str = "reconciler-daily";
/// The topic of what went wrong.
pub const FAILURES_TOPIC: &str = "Failures";
/// The topic of finished exports.
pub const SUCCESSES_TOPIC: &str = "Successes";

/// The stack of the template, with what it expects to find: vaults, and another account's bucket. `environment` is laid
/// over the functions' variables.
pub fn stack(options: &Options, environment: &BTreeMap<String, String>) -> Result<Stack> {
    let worker = binary("batch-worker")?;
    let programs = Programs {
        functions: worker.parent().context("the programs lie in no directory")?.to_owned(),
        entrypoint: vec![worker],
    };
    let mut stack = template()?.stack(options, &programs)?;
    for function in &stack.functions {
        binary(&function.name)?;
    }
    let machine = stack.state_machine.as_ref().map(|machine| machine.name.as_str());
    let buckets: Vec<&str> = stack.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    ensure!(machine == Some(STATE_MACHINE), "the template's state machine is {machine:?}, not {STATE_MACHINE}");
    ensure!(buckets == [BUCKET], "the template's buckets are {buckets:?}, not {BUCKET}");

    stack.buckets.push(BucketSpec { name: FOREIGN_BUCKET.into(), owner: Some(FOREIGN_ACCOUNT.into()) });
    stack.vaults = vec![VAULT.into(), OTHER_VAULT.into()];
    for function in stack.functions.iter_mut().filter(|function| function.name == "reaper") {
        // Nobody waits two minutes here for calls that take milliseconds.
        function.environment.insert("SETTLE_SECONDS".to_owned(), "0".to_owned());
    }
    for (name, value) in environment {
        lay_over(&mut stack.functions, name, value);
    }
    Ok(stack)
}

/// The template that `make synth` made.
pub fn template() -> Result<Template> {
    let path = match std::env::var_os("BACKUP_EXPORT_TEMPLATE") {
        Some(path) => PathBuf::from(path),
        None => workspace().join("cdk.out.test").join(format!("{STATE_MACHINE}.template.json")),
    };
    ensure!(path.is_file(), "{} is not there: run `make synth`", path.display());
    Ok(Template::read(&path)?)
}

/// Sets a variable in the functions that have it. One that the template leaves to its default is the plan's.
fn lay_over(functions: &mut [FunctionSpec], name: &str, value: &str) {
    let is_set = functions.iter().any(|function| function.environment.contains_key(name));
    for function in functions {
        let takes_it = if is_set { function.environment.contains_key(name) } else { function.name == "plan" };
        if takes_it {
            function.environment.insert(name.to_owned(), value.to_owned());
        }
    }
}
