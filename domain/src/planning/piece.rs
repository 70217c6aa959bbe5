//! What a recovery point is taken apart into.

use crate::source::Source;

/// One piece of a recovery point, before it has its place in the bucket.
pub(super) struct Piece {
    /// Its name within the export.
    pub(super) key: String,
    /// Whether its objects lie in a folder of that name.
    pub(super) in_folder: bool,
    /// What it is made of.
    pub(super) source: Source,
}
