//! Removes what an execution made and does not need, one turn a call, and says in a person's words why the export
//! failed.

use aws::config::Patience;
use lambdas::cleanup::{Cleaner, CleanupRequest};
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    let cleaner = Cleaner::new(&config);
    runtime::serve(|request: CleanupRequest| cleaner.run(request)).await
}
