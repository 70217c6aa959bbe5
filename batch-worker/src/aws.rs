//! One SDK configuration per process, and what an SDK error means.

use std::time::Duration;

use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::SharedHttpClient;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use domain::failure::Kind;

use domain::failure::Error;

/// Attempts of one call. The backoff doubles from a second to 20, so a call is given up after about a minute and a half:
/// longer than S3's scaling and EC2's throttling usually last, shorter than a person's patience with a dead endpoint.
const MAX_ATTEMPTS: u32 = 8;
const MAX_BACKOFF: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the request to the first byte of its answer. Calls that move parts set their own.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);
/// A connection over which nothing moves for so long is given up.
const STALL_GRACE: Duration = Duration::from_secs(30);

/// What the process knows of AWS: regions, credentials, endpoints and retries for every client.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    http_client: SharedHttpClient,
}

impl Aws {
    /// Reads the environment, profile and instance metadata as every AWS tool does.
    pub async fn load() -> Self {
        let http_client =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_max_backoff(MAX_BACKOFF);
        if let Some(attempts) = std::env::var("AWS_MAX_ATTEMPTS")
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
            .filter(|attempts| *attempts > 0)
        {
            retries = retries.with_max_attempts(attempts);
        }
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client.clone())
            .retry_config(retries)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALL_GRACE).build())
            .load()
            .await;
        Self { config, http_client }
    }

    /// A client of S3. Endpoints given by hand are addressed by path: their names rarely have a wildcard in DNS.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let by_hand = self.config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(by_hand).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// A client of EC2.
    pub fn ec2(&self) -> aws_sdk_ec2::Client {
        aws_sdk_ec2::Client::new(&self.config)
    }

    /// A client of SSM.
    pub fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.config)
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client of the instance metadata service, version 2 only. Its endpoint may be given by
    /// `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub fn instance_metadata(&self) -> imds::Client {
        let provider = ProviderConfig::default().with_http_client(self.http_client.clone());
        imds::Client::builder().configure(&provider).build()
    }
}

/// What the service said, on one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

/// Turns an SDK error into ours: the kind by its code and status, the words by what the service said.
pub(crate) fn sdk_error<E>(what: impl Into<String>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (kind, said) = match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code();
            let said = match (code, service.err().message()) {
                (Some(code), Some(message)) => format!("{code}: {message} (HTTP {status})"),
                (Some(code), None) => format!("{code} (HTTP {status})"),
                (None, _) => format!("HTTP {status}"),
            };
            (kind_of(code.unwrap_or_default(), status), said)
        }
        SdkError::ConstructionFailure(_) => (credentials_or(Kind::InvalidSettings, error), chain(error)),
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            (credentials_or(Kind::Unavailable, error), chain(error))
        }
        _ => (Kind::Internal, chain(error)),
    };
    Error::caused_by(kind, what, Said(said))
}

fn chain<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: std::error::Error + 'static,
{
    domain::failure::chain(error)
}

fn credentials_or<E>(kind: Kind, error: &SdkError<E, HttpResponse>) -> Kind
where
    E: std::error::Error + 'static,
{
    if chain(error).contains("credential") { Kind::AccessDenied } else { kind }
}

/// The HTTP status of a service's error answer.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What an error code and HTTP status mean for whoever reacts.
fn kind_of(code: &str, status: u16) -> Kind {
    match (code, status) {
        (
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "AuthFailure"
            | "ExpiredToken"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "SignatureDoesNotMatch"
            | "AllAccessDisabled",
            _,
        ) => Kind::AccessDenied,
        (
            "SlowDown"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "BandwidthLimitExceeded"
            | "ProvisionedThroughputExceededException",
            _,
        )
        | (_, 429) => Kind::Throttled,
        ("NoSuchBucket" | "PermanentRedirect" | "IllegalLocationConstraintException", _) | (_, 301) => {
            Kind::BucketNotFound
        }
        (
            "NoSuchKey"
            | "NotFound"
            | "ParameterNotFound"
            | "ResourceNotFoundException"
            | "InvalidVolume.NotFound"
            | "InvalidObjectState",
            _,
        ) => Kind::SourceNotFound,
        // Damage on the way to S3, and races that another try resolves.
        (
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentChecksumMismatch"
            | "RequestTimeout"
            | "IncompleteBody"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "NoSuchUpload"
            | "AttachmentLimitExceeded"
            | "IncorrectState"
            | "VolumeInUse",
            _,
        )
        | (_, 408 | 409 | 500..) => Kind::Unavailable,
        (_, 401 | 403) => Kind::AccessDenied,
        (_, 404) => Kind::SourceNotFound,
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_become_kinds() {
        for (code, status, kind) in [
            ("SlowDown", 503, Kind::Throttled),
            ("InternalError", 500, Kind::Unavailable),
            ("", 403, Kind::AccessDenied),
            ("UnauthorizedOperation", 403, Kind::AccessDenied),
            ("", 301, Kind::BucketNotFound),
            ("InvalidVolume.NotFound", 400, Kind::SourceNotFound),
            ("EntityTooSmall", 400, Kind::Internal),
        ] {
            assert_eq!(kind_of(code, status), kind, "{code} {status}");
        }
    }
}
