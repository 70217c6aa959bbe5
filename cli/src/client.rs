//! The AWS clients, from one configuration.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// Credentials, Region and endpoint from the environment, the shared files, or instance metadata.
pub(crate) async fn config() -> SdkConfig {
    let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await
}

/// S3. An endpoint that was given by hand is a store without virtual hosts.
pub(crate) async fn s3() -> aws_sdk_s3::Client {
    let config = config().await;
    let by_path = config.endpoint_url().is_some();
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(by_path).build())
}

/// Step Functions.
pub(crate) async fn sfn() -> aws_sdk_sfn::Client {
    aws_sdk_sfn::Client::new(&config().await)
}
