//! Which instance this is, by the instance metadata service.

use aws_config::imds;
use domain::failure::Kind;
use domain::id::{AvailabilityZone, InstanceId};

use domain::failure::{Error, Result};

/// The instance that this process runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its zone.
    pub availability_zone: AvailabilityZone,
}

impl Instance {
    /// Asks the metadata service.
    pub async fn discover(metadata: &imds::Client) -> Result<Self> {
        Ok(Self {
            id: get(metadata, "/latest/meta-data/instance-id").await?,
            availability_zone: get(metadata, "/latest/meta-data/placement/availability-zone").await?,
        })
    }
}

async fn get<T>(metadata: &imds::Client, path: &str) -> Result<T>
where
    T: std::str::FromStr<Err = domain::id::InvalidId>,
{
    let answer = metadata.get(path).await.map_err(|error| {
        Error::caused_by(
            Kind::Unavailable,
            format!(
                "ask the instance metadata service for {path}: volumes can be attached only from an EC2 instance \
                 whose metadata answers within two hops"
            ),
            error,
        )
    })?;
    answer
        .as_ref()
        .trim()
        .parse()
        .map_err(|error| Error::caused_by(Kind::Internal, format!("read instance metadata {path}"), error))
}
