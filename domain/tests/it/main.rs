//! Plans, from what AWS says and what the settings want, to what the worker is told.
#![expect(clippy::unwrap_used, reason = "test code: clippy exempts only the test functions themselves")]

mod database;
mod disk;
mod sample;
