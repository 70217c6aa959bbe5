//! Decides how the execution ended: enters the export in the catalog, gives the claim back, names the first failure.

use aws::config::Patience;
use lambdas::conclude::{self, ConclusionRequest};
use lambdas::metric::Emitter;
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    let s3 = aws::config::s3(&config);
    let emitter = Emitter::stdout();
    runtime::serve(|request: ConclusionRequest| conclude::run(&s3, &emitter, request, jiff::Timestamp::now())).await
}
