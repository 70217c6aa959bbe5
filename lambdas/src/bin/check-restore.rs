//! Looks whether the worker can begin, and does what must be done before.

use aws::config::Patience;
use lambdas::restore::{RestoreRequest, Restorer};
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let restorer = Restorer::new(&aws::config::load(Patience::Lambda).await);
    runtime::serve(|request: RestoreRequest| restorer.check(request, jiff::Timestamp::now())).await
}
