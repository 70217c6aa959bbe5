//! Decides which recovery points of the vault lack an export, and starts a few of them.

use aws::config::Patience;
use lambdas::metric::Emitter;
use lambdas::reconciler::{Reconciler, ReconcilerSettings};
use lambdas::runtime;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    let reconciler = ReconcilerSettings::read(&runtime::variable).map(|settings| Reconciler {
        backup: aws_sdk_backup::Client::new(&config),
        s3: aws::config::s3(&config),
        sfn: aws_sdk_sfn::Client::new(&config),
        settings,
        metrics: Emitter::stdout(),
    });
    runtime::serve(|_: Value| async {
        let reconciler = reconciler.as_ref().map_err(Clone::clone)?;
        reconciler.run(jiff::Timestamp::now()).await
    })
    .await
}
