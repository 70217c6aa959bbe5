//! The refusal of an export, with the remedy.

use crate::failure::Kind;

/// A recovery point that is not exported, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind of failure.
    pub kind: Kind,
    /// What is refused, and the remedy.
    pub message: String,
}

pub(super) fn refuse<T>(kind: Kind, message: String) -> Result<T, Refusal> {
    Err(Refusal { kind, message })
}
