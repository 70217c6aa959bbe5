//! What holds for the whole workspace.

mod structure;
