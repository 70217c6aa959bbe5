//! AWS Backup: vaults and recovery points. Restore jobs are played for EBS and DynamoDB.

mod addition;
mod answer;
mod event;
mod point;
mod refusal;
mod restore;
mod service;

pub(crate) use self::addition::{add_database, add_dynamodb, add_ebs, add_ec2, add_other};
pub(crate) use self::answer::{answer, identify};
pub(crate) use self::event::event_of;
pub(crate) use self::service::Backup;
