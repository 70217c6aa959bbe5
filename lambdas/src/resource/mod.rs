//! What AWS holds for us: how each kind of thing is found, made and removed, and what its service's refusals mean.
//!
//! Nothing is decided here. `restore` knows when something is made, `cleanup` and `reaper` when it goes; all of them
//! ask here, and none knows the calls of another. What is there already is as good as made, and what is gone already as
//! good as removed: every call may be made twice.

pub mod export_task;
pub mod job;
pub mod parameter_group;
pub mod password;
pub mod rds;
pub(crate) mod removal;
pub mod restore_job;
pub mod table;
pub mod table_export;
pub mod tag;
pub mod volume;
