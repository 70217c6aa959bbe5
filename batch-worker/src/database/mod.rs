//! A database server to dumps: read [`run`] first, then `postgres` and `mysql`, which say what is dumped and how.
//!
//! The engines' own tools write the dumps. Each goes through our compressor and, at the same time, through a reader
//! that counts what is in it (`count`), so that a tool that ends well but leaves something out is found out. Nothing
//! secret is in an argument or in the environment (`login`), and no tool outlives the worker (`child`).

mod artifact;
pub(crate) mod child;
pub(crate) mod count;
mod dumping;
mod login;
mod mysql;
mod name;
mod postgres;
mod run;
mod version;

pub use run::run;
pub(crate) use version::can_read_archives;
