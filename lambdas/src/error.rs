//! The error of every Lambda: a failure kind, which the state machine matches, and a message for a person.

use domain::failure::{Kind, chain};
use domain::planning::Refusal;
use domain::settings::InvalidSettings;
use lambda_runtime::Diagnostic;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Becomes the `errorType`.
    pub kind: Kind,
    /// What was tried, on what, and what came of it.
    pub message: String,
}

impl Error {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind, refusal.message)
    }
}

impl From<InvalidSettings> for Error {
    fn from(error: InvalidSettings) -> Self {
        Self::new(Kind::InvalidSettings, chain(&error))
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.kind.name().to_owned(), error_message: error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_type_is_the_name_of_the_kind() {
        let diagnostic = Diagnostic::from(Error::new(Kind::Throttled, "create volume"));
        assert_eq!(diagnostic.error_type, "Throttled");
        assert_eq!(diagnostic.error_message, "create volume");
    }
}
