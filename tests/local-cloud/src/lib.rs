//! AWS on one machine, so that the real state machine, the real Lambda binaries and the real worker run without an
//! account.
//!
//! Read [`LocalCloud`] first. One gateway (an HTTP server in this process) stands for every AWS endpoint; it routes by
//! the service name in the SigV4 credential scope. Behind it moto, a Python program, executes the ASL and plays the
//! services that are not named here; the gateway itself plays S3, EC2 volumes and snapshots, RDS and its export tasks,
//! DynamoDB backups and exports, Lambda, Batch, Backup, the delivery of events, and instance metadata. Every request
//! can be made to fail ([`FaultRule`]) and is logged.
//!
//! Behind [`LocalCloud`] a `Context` (names, options, faults, the log of requests, moto) knows no service, each service
//! holds the services that it calls, and the gateway routes to all of them: no file imports a file that imports it
//! back.
//!
//! Tests of the worker alone take [`WorkerCloud`] instead, which has neither moto nor Python and starts in
//! milliseconds, and [`PlainDatabase`] for a server of their own.
//!
//! ```
//! use local_cloud::{FaultAction, When, WorkerCloud};
//!
//! # fn main() -> local_cloud::Result<()> {
//! let cloud = WorkerCloud::start()?;
//! cloud.fault("GetObject", When::First(2), FaultAction::error(503, "SlowDown"));
//! cloud.put_object("claims/exp-1.json", "{}")?;
//! // A program with this environment talks to it.
//! assert!(cloud.environment().contains_key("AWS_ENDPOINT_URL"));
//! assert_eq!(cloud.keys(), ["claims/exp-1.json"]);
//! # Ok(())
//! # }
//! ```
//!
//! What it does not check: signatures, IAM policies, quotas, and real hardware.

mod background;
mod backup;
mod batch;
mod cloud;
mod context;
mod dead_letter;
mod dynamodb;
mod ec2;
mod engine;
mod error;
mod event;
mod execution;
mod fault;
mod gateway;
mod lambda;
mod local_cloud;
mod moto;
mod observe;
mod options;
mod pattern;
mod process;
mod rds;
mod recovery_point;
mod request_log;
mod s3;
mod snapshot_export;
mod stack;
mod stand_in;
mod states;
mod template;
mod topic;
mod wire;
mod worker_cloud;

pub use ec2::VolumeSpec;
pub use engine::DatabaseEngine;
pub use error::{Error, Result};
pub use execution::{ExecutionResult, ExecutionStatus, StateEntered};
pub use fault::{FaultAction, FaultRule, Faults, When};
pub use local_cloud::LocalCloud;
pub use observe::{
    DatabaseClusterView, DatabaseView, DeadLetter, JobView, Leftovers, Message, RequestRecord, StoredObject, TableView,
    Upload, VolumeView,
};
pub use options::{DatabaseOptions, Devices, Names, Options, OrderableClass};
pub use rds::{DatabaseAccess, DatabaseServer, DatabaseSource, PlainDatabase, ScratchDatabase};
pub use recovery_point::{
    DatabaseFate, Deletion, EventShape, ExportTaskFate, RecoveryPointOptions, TableExportFate, TableFate, VolumeFate,
    VolumeImage,
};
pub use request_log::RequestLog;
pub use stack::{
    BucketSpec, Definition, FunctionSpec, JobDefinitionSpec, QueueSpec, RuleSpec, ScheduleSpec, Stack,
    StateMachineSpec, Target, TargetInput, TargetSpec,
};
pub use template::{Programs, Template};
pub use worker_cloud::WorkerCloud;
