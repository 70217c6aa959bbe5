//! The log of the requests that passed the gateway.

use std::sync::{Mutex, PoisonError};

use crate::observe::RequestRecord;
use crate::pattern::glob_matches;

/// Every request, in the order in which they ended.
#[derive(Debug, Default)]
pub struct RequestLog {
    records: Mutex<Vec<RequestRecord>>,
    /// Service and operation of each request that came.
    begun: Mutex<Vec<(String, String)>>,
}

impl RequestLog {
    pub(crate) fn add(&self, record: RequestRecord) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    pub(crate) fn begin(&self, service: &str, operation: &str) {
        let begun = (service.to_owned(), operation.to_owned());
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
    }

    /// How many requests of a service and operation (globs) came, also those that are not answered yet.
    pub fn begun(&self, service: &str, operation: &str) -> usize {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.iter().filter(|(of, name)| glob_matches(service, of) && glob_matches(operation, name)).count()
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
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
