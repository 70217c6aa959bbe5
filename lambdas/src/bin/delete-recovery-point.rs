//! Decides whether the exported recovery point may be deleted, deletes it, and says so only when it is gone.

use aws::config::Patience;
use lambdas::deletion::{self, DeletionRequest};
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    let backup = aws_sdk_backup::Client::new(&config);
    let s3 = aws::config::s3(&config);
    runtime::serve(|request: DeletionRequest| deletion::run(&backup, &s3, request, jiff::Timestamp::now())).await
}
