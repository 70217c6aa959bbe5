//! What every Lambda does around its decision: logs, AWS configuration, and one handler for the life of the process.

use std::env;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// Answers invocations with `handler` until Lambda ends the process.
pub async fn serve<I, O, F>(handler: impl Fn(I) -> F) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize,
    F: Future<Output = Result<O, Error>>,
{
    lambda_runtime::tracing::init_default_subscriber();
    lambda_runtime::run(service_fn(|event: LambdaEvent<I>| handler(event.payload))).await
}

/// The configuration that all clients of the process share.
pub async fn config() -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    // A Lambda has a minute: an attempt that hangs must leave time for the next.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .load()
        .await
}

/// The S3 client. An endpoint of one's own has no host name for each bucket.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let own_endpoint = env::var_os("AWS_ENDPOINT_URL_S3").or_else(|| env::var_os("AWS_ENDPOINT_URL"));
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(own_endpoint.is_some()).build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Looks a setting up in the process's environment.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}
