//! Running a job: its attempts one after the other, each a process of its own.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::job::{Attempt, Job, Status};
use super::retry::Ending;
use super::{Batch, now};
use crate::ec2;
use crate::gateway::Shared;
use crate::process::{KILL, TERM, guarded, signal_group};

/// What Batch says of a container that ended by itself, whatever its exit code.
const EXITED: &str = "Essential container in task exited";

impl Batch {
    /// Does something with a job. A job is never removed, so its runner always finds it.
    fn with<T>(&self, id: &str, work: impl FnOnce(&mut Job) -> T) -> Option<T> {
        self.state().jobs.get_mut(id).map(work)
    }
}

/// Runs a job to its end.
pub(super) async fn run(shared: Arc<Shared>, id: String) {
    loop {
        let batch = &shared.batch;
        batch.with(&id, |job| {
            job.status = Status::Runnable;
            job.attempt += 1;
            job.reclaimed = false;
        });
        let stop = batch.with(&id, |job| Arc::clone(&job.stop));
        let Some(stop) = stop else { return };
        // Waiting for a host; a job that is ended meanwhile never starts.
        tokio::select! {
            () = stop.notified() => {}
            () = tokio::time::sleep(shared.options.job_start) => {}
        }
        if let Some(reason) = batch.with(&id, |job| job.stop_reason.clone()).flatten() {
            batch.with(&id, |job| {
                job.status = Status::Failed;
                job.status_reason = Some(reason);
                job.stopped = Some(now());
            });
            return;
        }
        let started = now();
        let ending = attempt(&shared, &id).await;
        // The container's own volumes go with it. There may have been none.
        std::fs::remove_dir_all(scratch_directory(&shared, &id)).ok();
        let again = batch.with(&id, |job| {
            job.process_id = None;
            job.attempts.push(Attempt {
                exit_code: ending.exit_code,
                reason: ending.reason.clone(),
                status_reason: ending.status_reason.clone(),
                started,
                stopped: now(),
                log_stream: job.current_log_stream(),
            });
            let succeeded = ending.exit_code == Some(0) && !ending.is_last;
            if !succeeded && job.stop_reason.is_none() && job.retry.retries(job.attempt, &ending) {
                return true;
            }
            job.status = if succeeded { Status::Succeeded } else { Status::Failed };
            job.status_reason = Some(ending.status_reason.clone());
            job.stopped = Some(now());
            false
        });
        if again != Some(true) {
            return;
        }
    }
}

/// Runs one attempt.
async fn attempt(shared: &Arc<Shared>, id: &str) -> Ending {
    let failed_to_start = |reason: String| Ending {
        reason: Some(format!("CannotStartContainerError: {reason}")),
        status_reason: "Task failed to start".to_owned(),
        ..Default::default()
    };
    let Some((prepared, timeout, stop, zone)) = shared.batch.with(id, |job| {
        job.status = Status::Starting;
        (prepare(shared, job), job.timeout_seconds, Arc::clone(&job.stop), job.queue.availability_zone.clone())
    }) else {
        return failed_to_start("the job is gone".to_owned());
    };
    let mut command = match prepared {
        Ok(command) => command,
        Err(error) => return failed_to_start(error.to_string()),
    };
    let Some((host, metadata)) = shared.ec2.host_of(&zone) else {
        return failed_to_start(format!("no host in {zone}"));
    };
    command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    let log = shared.batch.with(id, |job| job.log.clone()).unwrap_or_default();
    let opened = OpenOptions::new().create(true).append(true).open(&log).and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) = match opened {
        Ok(files) => files,
        Err(error) => return failed_to_start(error.to_string()),
    };
    let mut child = match command.stdout(out).stderr(err).spawn() {
        Ok(child) => child,
        Err(error) => return failed_to_start(error.to_string()),
    };
    shared.batch.with(id, |job| {
        job.status = Status::Running;
        job.started.get_or_insert_with(now);
        job.process_id = child.id();
        job.host = Some(host.clone());
        // Terminated while it started: the runner is woken at once.
        if job.stop_reason.is_some() {
            job.stop.notify_one();
        }
    });
    let limit = Duration::from_secs(timeout.unwrap_or(u64::from(u32::MAX)));
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        tokio::select! {
            status = child.wait() => return ended(shared, id, &mut child, status),
            () = stop.notified() => {
                let asked = shared.batch.with(id, |job| (job.stop_reason.clone(), job.reclaimed));
                match asked {
                    Some((_, true)) => return reclaimed(shared, &mut child, &host).await,
                    Some((Some(reason), false)) => {
                        let exit_code = end(&mut child, shared.options.stop_grace).await;
                        return Ending { exit_code, reason: None, status_reason: reason, is_last: true };
                    }
                    Some((None, false)) | None => {}
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                let exit_code = end(&mut child, shared.options.stop_grace).await;
                return Ending { exit_code, reason: None, status_reason: "Job attempt duration exceeded timeout".to_owned(), is_last: true };
            }
        }
    }
}

/// Where the volumes are that a job's container has for itself.
fn scratch_directory(shared: &Shared, id: &str) -> PathBuf {
    shared.directory.join("scratch").join(id)
}

/// The container's variables, with the paths of its own volumes as they are on this machine. It makes the volumes.
fn environment(shared: &Shared, job: &Job) -> std::io::Result<BTreeMap<String, String>> {
    let mut environment = job.environment.clone();
    for (index, path) in job.definition.scratch.iter().enumerate() {
        let directory = scratch_directory(shared, &job.id).join(index.to_string());
        std::fs::create_dir_all(&directory)?;
        for value in environment.values_mut() {
            if let Ok(below) = Path::new(value.as_str()).strip_prefix(path) {
                *value = directory.join(below).display().to_string();
            }
        }
    }
    Ok(environment)
}

fn prepare(shared: &Arc<Shared>, job: &Job) -> std::io::Result<Command> {
    let (program, arguments) = match job.definition.entrypoint.split_first() {
        Some((program, arguments)) => (program.clone(), arguments.to_vec()),
        None => (PathBuf::from(job.command.first().cloned().unwrap_or_default()), Vec::new()),
    };
    let skip = usize::from(job.definition.entrypoint.is_empty());
    // A container has a mount namespace of its own: its mounts go with it.
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = guarded("unshare");
        command.args(["--mount", "--"]).arg(program);
        command
    } else {
        guarded(program)
    };
    command
        .args(arguments)
        .args(job.command.iter().skip(skip))
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .envs(crate::local_cloud::credentials(shared, &format!("batch-{}", job.id)))
        .envs(crate::local_cloud::device_environment(shared))
        .env("AWS_BATCH_JOB_ID", &job.id)
        .env("AWS_BATCH_JOB_ATTEMPT", job.attempt.to_string())
        .env("AWS_BATCH_JQ_NAME", &job.queue.name)
        .env("AWS_BATCH_CE_NAME", &job.queue.name)
        .envs(environment(shared, job)?);
    Ok(command)
}

fn ended(shared: &Arc<Shared>, id: &str, child: &mut Child, status: std::io::Result<ExitStatus>) -> Ending {
    // What the process left running ends with its container.
    if let Some(process) = shared.batch.with(id, |job| job.process_id).flatten().or_else(|| child.id()) {
        signal_group(process, KILL);
    }
    match status {
        Ok(status) => {
            Ending { exit_code: exit_code(status), reason: None, status_reason: EXITED.to_owned(), is_last: false }
        }
        Err(error) => {
            Ending { reason: Some(error.to_string()), status_reason: EXITED.to_owned(), ..Default::default() }
        }
    }
}

/// The exit code of a container: 128 + the signal, for one that was killed.
fn exit_code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}

/// Ends a process: SIGTERM, and SIGKILL after the grace.
async fn end(child: &mut Child, grace: Duration) -> Option<i32> {
    let process = child.id();
    if let Some(process) = process {
        signal_group(process, TERM);
    }
    let status = if let Ok(status) = tokio::time::timeout(grace, child.wait()).await {
        status
    } else {
        if let Some(process) = process {
            signal_group(process, KILL);
        }
        child.wait().await
    };
    if let Some(process) = process {
        signal_group(process, KILL);
    }
    status.ok().and_then(exit_code)
}

/// Ends a process with its host; a new host takes the place of the old one.
async fn reclaimed(shared: &Arc<Shared>, child: &mut Child, host: &str) -> Ending {
    end(child, shared.options.stop_grace).await;
    shared.ec2.terminate_host(host);
    let zone = shared.ec2.zone_of(host).unwrap_or_default();
    if let Ok(new) = ec2::start_host(&shared.names, &zone).await {
        shared.ec2.add_host(new);
    }
    Ending {
        exit_code: None,
        reason: None,
        status_reason: format!("Host EC2 (instance {host}) terminated."),
        is_last: false,
    }
}
