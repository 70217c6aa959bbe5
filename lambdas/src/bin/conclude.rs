//! Decides how the execution ended: enters the export in the catalog, gives the claim back, names the first failure.

use lambdas::conclude::{self, ConclusionRequest};
use lambdas::metric::Emitter;
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::config().await;
    let s3 = runtime::s3(&config);
    let emitter = Emitter::stdout();
    runtime::serve(|request: ConclusionRequest| conclude::run(&s3, &emitter, request, jiff::Timestamp::now())).await
}
