//! The format as others see it: real tools, other threads, damaged objects.
//!
//! Needs GNU tar, bsdtar, Python 3, gzip and zstd; the tests that restore devices, owners and trusted attributes need
//! root, as the whole suite does.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy takes only functions marked as tests for tests"
)]

mod index;
mod members;
mod property;
mod restoring;
mod support;
mod tools;
mod verification;
