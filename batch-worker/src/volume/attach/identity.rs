//! Which instance this is, by the instance metadata service.

use aws_config::provider_config::ProviderConfig;
use aws_config::{SdkConfig, imds};
use domain::failure::{Error, Kind, Result};
use domain::id::{AvailabilityZone, InstanceId};

/// The instance that this process runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: InstanceId,
    /// Its zone.
    pub availability_zone: AvailabilityZone,
}

impl Instance {
    /// Asks the metadata service, version 2 only. Its endpoint may be given by `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub async fn discover(config: &SdkConfig) -> Result<Self> {
        let provider = config
            .http_client()
            .iter()
            .fold(ProviderConfig::default(), |provider, http| provider.with_http_client((*http).clone()));
        let metadata = &imds::Client::builder().configure(&provider).build();
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
