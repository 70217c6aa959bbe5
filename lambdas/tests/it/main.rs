//! The Lambdas against AWS's own wire formats, and the rules of the state machine.
#![expect(clippy::unwrap_used, reason = "test code: clippy exempts only the test functions themselves")]

mod asl;
mod cause;
mod cleanup;
mod cloud;
mod conclude;
mod database;
mod deletion;
mod native;
mod plan;
mod reaper;
mod reconciler;
mod restore;
mod sample;
