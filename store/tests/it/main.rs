//! Where exports lie, held to its contract: a directory, and a bucket of a cloud in this process.
//!
//! Read [`contract`] first: what both promise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bucket;
mod contract;
mod place;
mod upload;
