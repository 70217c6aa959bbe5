//! What AWS itself wrote: DynamoDB's exports of tables, RDS's exports of snapshots. Read [`record`] first.
//!
//! Nothing is copied. Every object is read to its end and hashed, what is in it is counted and compared with what AWS
//! says of it, and the list of all objects becomes part of the manifest, so that they can be verified later like what
//! the worker wrote itself.

mod count;
mod format;
mod reading;
mod record;
mod snapshot;
mod table;
pub(crate) mod verify;

pub use record::record;
