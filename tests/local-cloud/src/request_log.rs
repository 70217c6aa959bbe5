//! The log of the requests that passed the gateway.

use std::sync::{Mutex, PoisonError};

use crate::observe::RequestRecord;
use crate::pattern::glob_matches;

/// Every request, in the order in which they ended.
#[derive(Debug, Default)]
pub struct RequestLog {
    records: Mutex<Vec<RequestRecord>>,
}

impl RequestLog {
    pub(crate) fn add(&self, record: RequestRecord) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<RequestRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests of a service and operation (globs).
    pub fn of(&self, service: &str, operation: &str) -> Vec<RequestRecord> {
        let mut records = self.all();
        records.retain(|record| glob_matches(service, &record.service) && glob_matches(operation, &record.operation));
        records
    }

    /// Forgets what was logged so far.
    pub fn clear(&self) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
