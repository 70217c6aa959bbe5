//! The jobs that there are, and what tests do to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::job::{Job, Status};
use crate::context::Context;
use crate::ec2::Ec2;
use crate::error::{Error, Result};
use crate::observe::JobView;
use crate::stack::{JobDefinitionSpec, QueueSpec};

/// The jobs of one region, and what they run on.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(super) context: Arc<Context>,
    pub(super) ec2: Arc<Ec2>,
    /// The certificate that databases show.
    pub(super) certificate: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) definitions: BTreeMap<String, JobDefinitionSpec>,
    pub(super) queues: BTreeMap<String, QueueSpec>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) submitted: u64,
}

impl Batch {
    pub(crate) fn new(context: &Arc<Context>, ec2: &Arc<Ec2>, certificate: PathBuf) -> Self {
        Self { context: Arc::clone(context), ec2: Arc::clone(ec2), certificate, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_definition(&self, definition: JobDefinitionSpec) {
        self.state().definitions.insert(definition.name.clone(), definition);
    }

    pub(crate) fn add_queue(&self, queue: QueueSpec) {
        self.state().queues.insert(queue.name.clone(), queue);
    }

    /// Ends a job: terminated, or (if it has not started) cancelled.
    pub(super) fn end(&self, id: &str, reason: &str, terminate: bool) {
        let mut state = self.state();
        let Some(job) = state.jobs.get_mut(id) else { return };
        if job.status.is_final() || (!terminate && matches!(job.status, Status::Starting | Status::Running)) {
            return;
        }
        job.stop_reason.get_or_insert_with(|| reason.to_owned());
        job.stop.notify_one();
    }

    /// Sends a signal to a running job's process.
    pub(crate) fn signal(&self, id: &str, signal: i32) -> Result<()> {
        let process = self.state().jobs.get(id).and_then(|job| job.process_id);
        match process {
            Some(process) if crate::process::signal_group(process, signal) => Ok(()),
            _ => Err(Error::Missing { kind: "running job", name: id.to_owned() }),
        }
    }

    /// Takes the host of a running job away.
    pub(crate) fn reclaim(&self, id: &str) -> Result<()> {
        let mut state = self.state();
        let running = state.jobs.get_mut(id).filter(|job| job.process_id.is_some());
        let Some(job) = running else { return Err(Error::Missing { kind: "running job", name: id.to_owned() }) };
        if let Some(host) = job.host.clone() {
            self.ec2.announce_reclaim(&host);
        }
        job.reclaimed = true;
        job.stop.notify_one();
        Ok(())
    }

    pub(crate) fn views(&self) -> Vec<JobView> {
        let state = self.state();
        let mut jobs: Vec<&Job> = state.jobs.values().collect();
        jobs.sort_by_key(|job| job.order);
        jobs.into_iter().map(Job::view).collect()
    }

    /// Kills what runs, when the cloud goes.
    pub(crate) fn kill_all(&self) {
        for job in self.state().jobs.values_mut() {
            job.stop_reason.get_or_insert_with(|| "the cloud goes".to_owned());
            if let Some(process) = job.process_id {
                crate::process::signal_group(process, crate::process::KILL);
            }
        }
    }

    /// Does something with a job. A job is never removed, so its runner always finds it.
    pub(super) fn with<T>(&self, id: &str, work: impl FnOnce(&mut Job) -> T) -> Option<T> {
        self.state().jobs.get_mut(id).map(work)
    }
}
