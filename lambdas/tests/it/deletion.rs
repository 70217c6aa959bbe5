//! The recovery point goes only when everything says so, and counts as gone only when it is.

use backup_export_lambdas::deletion::{Deletion, Request, State, run};
use backup_export_lambdas::error::Error;
use domain::failure::Kind;
use domain::plan::{Plan, VerifyMode};

use crate::cloud::Cloud;
use crate::sample::image_plan;

async fn turn(cloud: &Cloud, plan: &Plan, deletion: Option<Deletion>) -> Result<Deletion, Error> {
    let deletion = deletion.unwrap_or(Deletion { turn: 0, state: State::Pending, wait_seconds: 0 });
    let backup = aws_sdk_backup::Client::new(&cloud.config());
    run(&backup, &cloud.s3(), Request { plan: plan.clone(), deletion }).await
}

fn exported() -> (Cloud, Plan) {
    let (cloud, plan) = (Cloud::new(), image_plan());
    for volume in &plan.volumes {
        cloud.put(&volume.manifest_key(), "{}");
    }
    (cloud, plan)
}

#[tokio::test]
async fn a_deletion_is_confirmed_by_describing() {
    let (cloud, plan) = exported();
    let deletion = turn(&cloud, &plan, None).await.unwrap();
    assert_eq!(deletion.state, State::Deleted);
    assert_eq!(cloud.calls("backup:DELETE"), 1);
    // The call is safe to make again.
    assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, State::Deleted);
    assert_eq!(cloud.calls("backup:DELETE"), 1);
}

#[tokio::test]
async fn a_deletion_under_way_is_waited_for_and_not_asked_for_twice() {
    let (cloud, plan) = exported();
    cloud.edit(|state| state.after_deletion = Some("DELETING".into()));
    let mut deletion = turn(&cloud, &plan, None).await.unwrap();
    for _ in 0..3 {
        assert_eq!(deletion.state, State::Pending);
        deletion = turn(&cloud, &plan, Some(deletion)).await.unwrap();
    }
    assert_eq!(cloud.calls("backup:DELETE"), 1);
    cloud.edit(|state| state.recovery_point = None);
    assert_eq!(turn(&cloud, &plan, Some(deletion)).await.unwrap().state, State::Deleted);
}

#[tokio::test]
async fn an_accepted_deletion_that_does_not_happen_is_not_believed() {
    for (status, turns) in [("EXPIRED", 6), ("COMPLETED", 20)] {
        let (cloud, plan) = exported();
        cloud.edit(|state| state.after_deletion = Some(status.into()));
        let (mut deletion, mut looks) = (None, 0);
        let error = loop {
            match turn(&cloud, &plan, deletion).await {
                Ok(next) => deletion = Some(next),
                Err(error) => break error,
            }
            looks += 1;
        };
        assert_eq!(error.kind, Kind::DeletionNotConfirmed);
        assert_eq!(looks, turns, "{status}");
        assert!(status != "EXPIRED" || error.message.contains("EXPIRED"), "{error}");
    }
}

#[tokio::test]
async fn a_recovery_point_without_proof_stays() {
    let (cloud, plan) = exported();
    let unverified = Plan { verify: VerifyMode::None, ..plan.clone() };
    let unasked = Plan { delete_recovery_point: false, ..plan.clone() };
    let mut continuous = plan.clone();
    continuous.recovery_point.arn =
        "arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:db-1".parse().unwrap();
    for plan in [unverified, unasked, continuous] {
        assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind, Kind::DeletionRefused);
    }
    cloud.edit(|state| state.objects.clear());
    let error = turn(&cloud, &plan, None).await.unwrap_err();
    assert_eq!(error.kind, Kind::VerificationFailed);
    assert!(error.message.contains("manifest.json"), "{error}");
    // A bucket that cannot be asked proves nothing.
    cloud.fail("s3:HEAD", 9, 503, "");
    assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(cloud.calls("backup:DELETE"), 0);
}

#[tokio::test]
async fn refusals_of_the_service_are_told_apart() {
    for (code, kind) in [
        ("InvalidRequestException", Kind::DeletionRefused),
        ("InvalidResourceStateException", Kind::DeletionRefused),
        ("AccessDeniedException", Kind::AccessDenied),
        ("ThrottlingException", Kind::Throttled),
    ] {
        let (cloud, plan) = exported();
        cloud.fail("backup:DELETE", 9, 400, code);
        assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind, kind, "{code}");
    }
}
