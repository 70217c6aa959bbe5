//! Decides whether a volume can be attached, is to be waited for, or will never be usable.

use backup_export_lambdas::restore::{self, Request};
use backup_export_lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::config().await;
    let ec2 = aws_sdk_ec2::Client::new(&config);
    runtime::serve(|request: Request| restore::check(&ec2, request, jiff::Timestamp::now())).await
}
