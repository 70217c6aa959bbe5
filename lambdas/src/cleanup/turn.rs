//! One turn of a cleanup: how far it goes, and what it did.

use domain::failure::Error;

/// What one turn did.
#[derive(Debug, Default)]
pub struct Turn {
    /// What it removed or asked to be removed.
    pub removed: Vec<String>,
    /// What is there still.
    pub remaining: Vec<String>,
    /// What could not be looked at or removed.
    pub errors: Vec<Error>,
}

impl Turn {
    pub(super) fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.errors.push(error);
        }
    }

    /// Whether there was nothing left to remove.
    pub fn is_clean(&self) -> bool {
        self.remaining.is_empty() && self.errors.is_empty()
    }

    /// What is left and what went wrong, as text.
    pub fn leftovers(&self) -> Vec<String> {
        let errors = self.errors.iter().map(Error::chain);
        self.remaining.iter().cloned().chain(errors).collect()
    }

    pub(super) fn is_hopeless(&self) -> bool {
        !self.errors.is_empty()
            && self.remaining.is_empty()
            && self.errors.iter().all(|error| !error.kind().is_transient())
    }
}

/// How far a turn goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Whether objects of volumes without a manifest go: not after success.
    pub half_objects: bool,
    /// Whether the workers' last words go: not before they are read.
    pub last_words: bool,
    /// Whether a volume that is slow to detach is forced.
    pub force_detach: bool,
}
