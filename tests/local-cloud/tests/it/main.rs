//! The local cloud against what it stands for: the AWS CLI, boto3, a mounting host and a real state machine use it.
//!
//! Needs root (loop devices, mounts), `mkfs.ext4`, PostgreSQL, MariaDB, and the virtualenv that `make setup` makes.

#[cfg(test)]
mod database;
#[cfg(test)]
mod export_task;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod parameter_group;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod table;
#[cfg(test)]
mod volume;
#[cfg(test)]
mod worker;
