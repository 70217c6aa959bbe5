//! One look at a restore.

use domain::plan::Restored;

use super::progress::Progress;

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing new.
    Wait {
        /// What is waited for, for the case that it takes too long.
        at: String,
    },
    /// The next thing was begun.
    Next {
        /// How far it is now.
        progress: Progress,
        /// What is waited for.
        at: String,
    },
    /// The worker can read it.
    Ready(Restored),
}
