//! What comes of asking for something's removal.

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It was accepted. Most things are there for a while still.
    Begun,
    /// There is no such thing.
    Gone,
    /// Not as it is now: it is being made or changed, or something uses it. Another look may find it otherwise.
    Busy,
}
