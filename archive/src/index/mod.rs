//! The index: where in an artifact each file or block is, and its hash. One Parquet file for each artifact, a row for
//! each tar entry or block.
//!
//! `row` is the row as code sees it, `schema` its columns; `locate` joins entries with the members that they came to
//! lie in.

pub(crate) mod locate;
pub mod reader;
pub mod row;
mod schema;
pub(crate) mod writer;
