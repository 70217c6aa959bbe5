//! AWS, as all programs of this workspace meet it: one configuration, one meaning of every error code, one bucket.
//!
//! Read [`bucket`] first. Clients of services other than S3 are made where they are used, from the
//! [`SdkConfig`](aws_config::SdkConfig) that [`config::load`] gives, so that nobody compiles the SDK of a service that
//! it does not call.
//!
//! ```no_run
//! use aws::bucket::{Bucket, Condition};
//! use aws::config::{self, Patience};
//!
//! # async fn example() -> Result<(), domain::failure::Error> {
//! let config = config::load(Patience::Person).await;
//! let bucket = Bucket::new(&config::s3(&config), &"my-exports".parse().unwrap(), None);
//! bucket.check().await?;
//! let is_ours = bucket.put("claims/exp-1.json", "{}".into(), Condition::Absent).await?;
//! # Ok(())
//! # }
//! ```

pub mod bucket;
pub mod config;
pub mod failure;

pub use bucket::Bucket;
pub use failure::{CallError, done};
