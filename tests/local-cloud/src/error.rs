//! What can go wrong when the cloud is built, used or taken down.

use std::path::PathBuf;

/// An error of the local cloud itself, not one that it plays to its callers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program could not be run, or failed.
    #[error("run {program}: {message}")]
    Program {
        program: String,
        /// What it said.
        message: String,
    },
    /// The gateway's port could not be opened.
    #[error("listen on {address}")]
    Listen {
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// moto did not answer in time.
    #[error("wait for moto to answer on {url} (its log: {})", log.display())]
    MotoNotReady {
        /// Where it was asked.
        url: String,
        /// Where its log is.
        log: PathBuf,
    },
    /// A request to the cloud's own endpoint failed.
    #[error("call {operation}: {message}")]
    Call {
        operation: String,
        /// What was answered.
        message: String,
    },
    /// Something that a stack or a caller names is not there.
    #[error("{kind} {name} does not exist")]
    Missing {
        /// What kind of thing.
        kind: &'static str,
        name: String,
    },
    /// A stack that cannot be deployed.
    #[error("deploy {name}: {message}")]
    Stack {
        /// The resource.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A template that cannot be made a stack of.
    #[error("read the template: {resource}: {message}")]
    Template {
        /// The resource: its logical id, and the path of its construct.
        resource: String,
        /// What is wrong with it, and where.
        message: String,
    },
    /// A condition was not met in time.
    #[error("wait {seconds} s for {condition}: {last}")]
    Timeout {
        /// What was waited for.
        condition: String,
        /// How long.
        seconds: u64,
        /// The last state seen.
        last: String,
    },
}

/// The result of the cloud's own operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
