//! The whole system end to end: what goes in, what comes out, what fails, and what is left.
//!
//! Needs root, the built programs (`make build`) and the synthesized template (`make synth`).

mod command;
mod content;
mod database;
mod delete;
mod drift;
mod fault;
mod keep;
mod notify;
mod parquet;
mod reconcile;
mod refuse;
mod start;
mod table;
