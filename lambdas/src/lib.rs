//! The Lambdas of AWS Backup Export, one for each state of the state machine, the reaper and the reconciler.
//!
//! Lambdas decide, the state machine routes: every one of them answers at once, is safe to call twice, and fails with a
//! [failure kind](domain::failure::Kind) as its `errorType`. Each binary is a few lines; what it decides is in the
//! module of its name. Read [`plan`] first, then [`cleanup`]. What AWS holds for us, and how it is found, made and
//! removed, is in [`resource`].

pub mod catalog;
pub mod cause;
pub mod claim;
pub mod cleanup;
pub mod conclude;
pub mod deletion;
pub mod environment;
pub mod executions;
pub mod metric;
pub mod plan;
pub mod reaper;
pub mod reconciler;
pub mod resource;
pub mod restore;
pub mod runtime;
