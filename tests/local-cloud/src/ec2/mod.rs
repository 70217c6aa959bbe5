//! EC2: volumes, snapshots, images, the hosts of Batch, and their tags. All other EC2 operations are moto's.

mod answer;
mod device;
mod host;
mod id;
mod service;
mod snapshot;
mod spec;
mod state;
mod view;
mod volume;

pub(crate) use self::answer::{answer, identify, plays};
pub(crate) use self::device::{copy_sparse, loops_below};
pub(crate) use self::host::start as start_host;
pub(crate) use self::id::new_id;
pub(crate) use self::service::Ec2;
pub use self::spec::VolumeSpec;
pub(crate) use self::state::{Image, Snapshot};
pub(crate) use self::volume::create_of_snapshot;
