//! Makes the volume of one snapshot, in the first zone that has room, tagged and idempotent from the call that creates it.

use backup_export_lambdas::restore::{self, Request};
use backup_export_lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::config().await;
    let ec2 = aws_sdk_ec2::Client::new(&config);
    runtime::serve(|request: Request| restore::start(&ec2, request)).await
}
