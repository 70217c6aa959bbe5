//! The index: where in an artifact each file or block is, and its hash.

pub mod reader;
pub mod row;
