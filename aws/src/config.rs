//! One SDK configuration per process: credentials, Region, endpoints, time-outs and retries of every client.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};

/// From the request of a worker to the first byte of its answer. Calls that move parts set their own.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a process waits for AWS, and how often it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A Lambda has a minute: an attempt that hangs must leave time for the next.
    Lambda,
    /// A job has hours. The backoff doubles from a second to 20, so a call is given up after about a minute and a half:
    /// longer than S3's scaling and EC2's throttling usually last, shorter than a person's patience with a dead
    /// endpoint.
    Worker,
    /// A person at a terminal, who has the AWS CLI's own.
    Person,
}

/// Reads the environment, the shared files and instance metadata as every AWS tool does.
pub async fn load(patience: Patience) -> SdkConfig {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    match patience {
        Patience::Person => loader,
        Patience::Lambda => {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(10))
                .operation_timeout(Duration::from_secs(30));
            loader.timeout_config(timeouts.build()).retry_config(RetryConfig::standard().with_max_attempts(4))
        }
        Patience::Worker => {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(10))
                .operation_attempt_timeout(ATTEMPT_TIMEOUT);
            let retries = RetryConfig::standard()
                .with_max_attempts(worker_attempts(std::env::var("AWS_MAX_ATTEMPTS").ok()))
                .with_max_backoff(Duration::from_secs(20));
            // A connection over which nothing moves for so long is given up.
            let stalls = StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(30));
            loader.timeout_config(timeouts.build()).retry_config(retries).stalled_stream_protection(stalls.build())
        }
    }
    .load()
    .await
}

/// A retry configuration of our own would hide the variable from the SDK.
fn worker_attempts(variable: Option<String>) -> u32 {
    const ATTEMPTS: u32 = 8;
    variable.and_then(|text| text.parse().ok()).filter(|attempts| *attempts > 0).unwrap_or(ATTEMPTS)
}

/// A client of S3. An endpoint that was given by hand, for all services or for S3 alone, is addressed by path: it
/// rarely has a host name for every bucket.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let by_hand = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(by_hand).build();
    aws_sdk_s3::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_the_environment_count_when_they_are_a_number_above_zero() {
        for (variable, attempts) in [(None, 8), (Some("3"), 3), (Some("0"), 8), (Some("many"), 8)] {
            assert_eq!(worker_attempts(variable.map(str::to_owned)), attempts, "{variable:?}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_given_by_hand_is_addressed_by_path() {
        let plain = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let by_hand = plain.to_builder().endpoint_url("http://localhost:9000").build();
        for (config, by_path) in [(plain, false), (by_hand, true)] {
            let shown = format!("{:?}", s3(&config).config());
            assert_eq!(shown.contains("ForcePathStyle(true)"), by_path, "{shown}");
        }
    }
}
