//! The vocabulary of AWS Backup Export: recovery points, requests, plans, object keys, manifests, failure kinds.
//!
//! Everything here is pure: no AWS SDK, no tokio, no clock, no environment. Read `plan` first: it shows what an
//! export is made of, and [`planning`] how it is decided; [`name`] and [`key`] derive what everything is called. A
//! string from outside becomes one of these types at the edge and stays one until it leaves.

pub mod arn;
pub mod claim;
pub mod conclusion;
pub mod cost;
mod digest;
pub mod engine;
pub mod event;
pub mod facts;
pub mod failure;
#[cfg(test)]
mod golden;
pub mod id;
pub mod key;
pub mod limit;
pub mod manifest;
pub mod name;
pub mod part;
pub mod plan;
pub mod planning;
pub mod recovery_point;
pub mod settings;
pub mod source;
pub mod tag;
