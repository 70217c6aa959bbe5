//! EC2 itself, and its hosts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::host::Host;
use super::state::State;
use crate::context::Context;

/// The EC2 of one region.
#[derive(Debug)]
pub(crate) struct Ec2 {
    pub(super) context: Arc<Context>,
    state: Mutex<State>,
}

impl Ec2 {
    pub(crate) fn new(context: &Arc<Context>) -> Self {
        Self { context: Arc::clone(context), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_host(&self, host: Host) {
        self.state().hosts.push(host);
    }

    /// The running host of a zone: its id and its metadata endpoint.
    pub(crate) fn host_of(&self, zone: &str) -> Option<(String, String)> {
        let state = self.state();
        let host = state.hosts.iter().find(|host| host.availability_zone == zone && host.is_running())?;
        Some((host.id.clone(), host.metadata_endpoint.clone()))
    }

    /// The zone of a host, running or not.
    pub(crate) fn zone_of(&self, id: &str) -> Option<String> {
        self.state().hosts.iter().find(|host| host.id == id).map(|host| host.availability_zone.clone())
    }

    /// Announces that a host will be taken away.
    pub(crate) fn announce_reclaim(&self, id: &str) {
        for host in self.state().hosts.iter().filter(|host| host.id == id) {
            host.announce_reclaim();
        }
    }

    /// Takes a host away. Its volumes stay attached to it.
    pub(crate) fn terminate_host(&self, id: &str) {
        for host in self.state().hosts.iter_mut().filter(|host| host.id == id) {
            host.terminate();
        }
    }
}
