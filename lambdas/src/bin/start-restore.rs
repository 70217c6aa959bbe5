//! Begins to make one unit of an export readable: a volume, a database, a table; tagged or named, and idempotent, from
//! the call that creates it.

use aws::config::Patience;
use lambdas::restore::{RestoreRequest, Restorer};
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let restorer = Restorer::new(&aws::config::load(Patience::Lambda).await);
    runtime::serve(|request: RestoreRequest| restorer.start(request)).await
}
