//! The whole system on one machine: the real state machine, Lambdas and worker on a local cloud, for tests and the
//! demo.
//!
//! Read [`System`] first. [`stack`] is what a deployment consists of.

pub mod database;
pub mod demo;
pub mod scene;
pub mod stack;
mod system;
pub mod table;

pub use system::{Settings, System};
