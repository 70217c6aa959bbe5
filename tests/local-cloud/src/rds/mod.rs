//! RDS: snapshots that are data directories, and the instances and clusters that are restored from them, which are real
//! database servers on this machine. What an export task is, is not played here.

mod answer;
mod cluster;
mod creation;
mod deletion;
mod identifier;
mod instance;
mod life;
mod orderable;
mod page;
mod parameter_group;
mod password;
mod request;
mod server;
mod service;
mod snapshot;
mod source;
mod state;
mod view;

pub(crate) use self::answer::{answer, identify};
pub use self::server::{DatabaseAccess, DatabaseServer, PlainDatabase};
pub(crate) use self::service::Rds;
pub use self::snapshot::ScratchDatabase;
pub(crate) use self::snapshot::{SnapshotView, add as add_snapshot};
pub use self::source::DatabaseSource;
