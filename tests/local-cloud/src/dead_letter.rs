//! Dead-letter queues: what could not be delivered is kept here, where EventBridge and Lambda would send it to SQS.

use std::sync::{Mutex, PoisonError};

use crate::observe::DeadLetter;

/// What lies in the queues.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    letters: Mutex<Vec<DeadLetter>>,
}

impl DeadLetters {
    pub(crate) fn add(&self, letter: DeadLetter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> Vec<DeadLetter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
