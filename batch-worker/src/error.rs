//! The worker's error: what was tried on what, and the kind by which Batch and the state machine react.

use domain::failure::Kind;

/// The error at the bottom of a failure.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failure of the worker.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    kind: Kind,
    what: String,
    #[source]
    source: Option<BoxError>,
}

/// The result of the worker's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure that nothing else caused.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// A failure with its cause.
    pub fn caused_by(kind: Kind, what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { kind, what: what.into(), source: Some(source.into()) }
    }

    /// A defect.
    pub fn internal(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::caused_by(Kind::Internal, what, source)
    }

    /// The worker was asked to stop.
    pub fn interrupted() -> Self {
        Self::new(
            Kind::Interrupted,
            "asked to stop (SIGTERM or SIGINT): nothing was completed, and what was begun is undone",
        )
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The error and its causes on one line.
    pub fn chain(&self) -> String {
        domain::failure::chain(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_says_what_was_tried_and_why_it_failed() {
        let error =
            Error::caused_by(Kind::ReadFailed, "read /dev/x at 4096", std::io::Error::other("input/output error"));
        assert_eq!(error.chain(), "read /dev/x at 4096: input/output error");
        assert_eq!(error.kind().exit_code(), 74);
    }
}
