//! What is wrong with a template.

use std::fmt;

use crate::error::Error;

/// What is wrong, and where in a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    place: String,
    message: String,
}

impl Problem {
    pub(super) fn new(place: &str, message: impl Into<String>) -> Self {
        Self { place: place.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Problem {
    /// The error, with the resource's name put to it.
    pub(super) fn of(&self, id: &str, path: &str) -> Error {
        Error::Template { resource: format!("{id} ({path})"), message: self.to_string() }
    }
}
