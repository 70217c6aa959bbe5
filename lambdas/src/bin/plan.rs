//! Decides whether a recovery point is exported, and how: refuses what cannot be, claims what will be.

use aws::bucket::Bucket;
use aws::config::Patience;
use domain::settings::Settings;
use lambdas::plan::{PlanRequest, Planner};
use lambdas::runtime;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = aws::config::load(Patience::Lambda).await;
    // A wrong setting is told by every execution that meets it, not only in a log of a process that did not start.
    let planner = Settings::read(&runtime::variable).map(|settings| Planner {
        backup: aws_sdk_backup::Client::new(&config),
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        ec2: aws_sdk_ec2::Client::new(&config),
        rds: aws_sdk_rds::Client::new(&config),
        bucket: Bucket::new(&aws::config::s3(&config), &settings.bucket, Some(&settings.bucket_owner)),
        sfn: aws_sdk_sfn::Client::new(&config),
        settings,
    });
    runtime::serve(|request: PlanRequest| async {
        let planner = planner.as_ref().map_err(Clone::clone)?;
        planner.decide(request, jiff::Timestamp::now()).await
    })
    .await
}
