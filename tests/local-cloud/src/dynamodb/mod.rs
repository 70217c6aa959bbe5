//! DynamoDB: backups, restores, point-in-time recovery and exports. Tables and their items are moto's; what moto lacks,
//! or does otherwise than AWS, is played here: tables that are CREATING or DELETING for a while, recovery points of AWS
//! Backup, and exports with the objects that AWS writes.

mod answer;
mod backup;
mod continuous;
mod description;
mod export;
mod request;
mod service;
mod table;

pub(crate) use self::answer::{answer, identify};
pub(crate) use self::backup::{Form, back_up, metadata as restore_metadata, restore_job};
pub(crate) use self::service::Dynamodb;
pub(crate) use self::table::views;
