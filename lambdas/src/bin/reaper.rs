//! Decides which executions died without cleaning up, and cleans up after them.

use aws::config::Patience;
use lambdas::cleanup::Cleaner;
use lambdas::metric::Emitter;
use lambdas::reaper::{Reaper, ReaperSettings};
use lambdas::runtime;
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    let cleaner = Cleaner::new(&config);
    let reaper = ReaperSettings::read(&runtime::variable).map(|settings| Reaper {
        cleaner,
        sfn: aws_sdk_sfn::Client::new(&config),
        settings,
        metrics: Emitter::stdout(),
    });
    let reaper = &reaper;
    runtime::serve(|event: Value| async move {
        let reaper = reaper.as_ref().map_err(Clone::clone)?;
        Box::pin(reaper.run(&event, jiff::Timestamp::now())).await
    })
    .await
}
