//! The recovery point goes only when everything says so, and counts as gone only when it is.

use domain::claim::Claim;
use domain::conclusion::CatalogRow;
use domain::failure::{Error, Kind};
use domain::key::claim_key;
use domain::name;
use domain::plan::{Plan, VerifyMode};
use lambdas::deletion::{Deletion, DeletionRequest, DeletionState, run};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::sample::{image_manifest, image_plan, now};

async fn turn(cloud: &Cloud, plan: &Plan, deletion: Option<Deletion>) -> Result<Deletion, Error> {
    let deletion =
        deletion.unwrap_or(Deletion { turn: 0, state: DeletionState::Pending, wait_seconds: 0, reason: None });
    let backup = aws_sdk_backup::Client::new(&cloud.config());
    run(&backup, &cloud.s3(), DeletionRequest { plan: plan.clone(), deletion }, now()).await
}

fn exported() -> (Cloud, Plan) {
    let (cloud, plan) = (Cloud::new(), image_plan());
    for volume in &plan.units {
        cloud.put(&volume.manifest_key(), image_manifest(volume));
    }
    (cloud, plan)
}

#[tokio::test]
async fn a_deletion_is_confirmed_by_describing() {
    let (cloud, plan) = exported();
    let deletion = turn(&cloud, &plan, None).await.unwrap();
    assert_eq!(deletion.state, DeletionState::Deleted);
    assert_eq!(cloud.calls("backup:DELETE"), 1);
    // The call is safe to make again.
    assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, DeletionState::Deleted);
    assert_eq!(cloud.calls("backup:DELETE"), 1);
}

fn row(cloud: &Cloud, plan: &Plan) -> Option<CatalogRow> {
    Some(serde_json::from_str(&cloud.object(&plan.catalog_key)?).unwrap())
}

#[tokio::test]
async fn the_export_is_in_the_catalog_before_its_source_goes() {
    // The deletion is refused, its answer is lost, or the row cannot be written.
    let (cloud, plan) = exported();
    cloud.fail("backup:DELETE", 1, 400, "InvalidRequestException");
    turn(&cloud, &plan, None).await.unwrap_err();
    assert!(!row(&cloud, &plan).unwrap().recovery_point_deleted);
    assert!(cloud.object(&plan.latest_key).is_some());
    let keys = cloud.keys();
    assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, DeletionState::Deleted);
    assert_eq!(cloud.keys(), keys);

    for object in ["s3:PUT catalog/", "s3:PUT latest/"] {
        let (cloud, plan) = exported();
        cloud.fail(object, 9, 503, "SlowDown");
        assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind(), Kind::Throttled);
        assert_eq!(cloud.calls("backup:DELETE"), 0);
    }
}

/// Lists these recovery points of the plan's resource, and one of another resource.
fn listed(cloud: &Cloud, plan: &Plan, points: &[(&str, &str)]) {
    let point = |arn: &str, status: &str, resource: &str| json!({"RecoveryPointArn": arn, "Status": status, "ResourceArn": resource, "ResourceType": "EC2"});
    let mut all: Vec<Value> = points
        .iter()
        .map(|(id, status)| {
            point(&format!("arn:aws:ec2:us-east-1::image/{id}"), status, &plan.recovery_point.resource_arn)
        })
        .collect();
    all.push(point("arn:aws:ec2:us-east-1::image/ami-0eeeeeeeeeeeeeeee", "COMPLETED", "arn:of:another"));
    cloud.edit(|state| state.listed = all);
}

const OWN: &str = "ami-0123456789abcdef0";

#[tokio::test]
async fn the_last_recovery_points_of_a_resource_are_kept() {
    let (cloud, mut plan) = exported();
    plan.retention.minimum_recovery_points = 2;
    let usable = [("ami-00000001", "COMPLETED"), (OWN, "COMPLETED"), ("ami-00000002", "AVAILABLE")];
    for points in [
        vec![],
        usable[..2].to_vec(),
        vec![
            usable[0],
            usable[1],
            ("ami-00000002", "EXPIRED"),
            ("ami-00000003", "PARTIAL"),
            ("not-an-image", "COMPLETED"),
        ],
    ] {
        listed(&cloud, &plan, &points);
        let deletion = turn(&cloud, &plan, None).await.unwrap();
        assert_eq!(deletion.state, DeletionState::Kept, "{points:?}");
        let reason = deletion.reason.unwrap();
        assert!(reason.contains("MINIMUM_RECOVERY_POINTS is 2") && reason.contains(OWN), "{reason}");
    }
    listed(&cloud, &plan, &usable);
    cloud.fail("backup:LIST", 9, 400, "AccessDeniedException");
    assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind(), Kind::AccessDenied);
    assert_eq!(cloud.calls("backup:DELETE"), 0);
    assert!(row(&cloud, &plan).is_some());

    let (cloud, _) = exported();
    listed(&cloud, &plan, &usable);
    assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, DeletionState::Deleted);
}

#[tokio::test]
async fn two_that_end_together_do_not_count_on_each_other() {
    let (cloud, mut plan) = exported();
    plan.retention.minimum_recovery_points = 1;
    listed(&cloud, &plan, &[(OWN, "COMPLETED"), ("ami-00000001", "COMPLETED")]);
    // Of any generation: a person may export anew what was exported before.
    for generation in [0, 1] {
        let arn = "arn:aws:ec2:us-east-1::image/ami-00000001".parse().unwrap();
        let mut other = plan.clone();
        other.export_id = name::export_id(&arn, generation);
        other.recovery_point.arn = arn;
        let key = claim_key(&other.export_id);
        cloud.put(&key, String::from_utf8(Claim::new(other, now()).to_json()).unwrap());
        assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, DeletionState::Kept, "{generation}");
        cloud.edit(|state| state.objects.remove(&key));
    }
    assert_eq!(turn(&cloud, &plan, None).await.unwrap().state, DeletionState::Deleted);
}

#[tokio::test]
async fn an_accepted_deletion_is_told_though_it_cannot_be_looked_at() {
    let (cloud, plan) = exported();
    // The first look says that it is there, the second, after the deletion, is throttled however often the client
    // tries.
    cloud.fail_after("backup:GET", 1, 9, 429, "ThrottlingException");
    let deletion = turn(&cloud, &plan, None).await.unwrap();
    assert_eq!((deletion.state, deletion.turn), (DeletionState::Pending, 1));
    assert_eq!(cloud.calls("backup:DELETE"), 1);
}

#[tokio::test]
async fn without_the_tag_nothing_goes() {
    for (tag, state) in
        [(None, DeletionState::Kept), (Some("True"), DeletionState::Kept), (Some("true"), DeletionState::Deleted)]
    {
        let (cloud, mut plan) = exported();
        plan.retention.only_tagged = Some("exportable".into());
        plan.recovery_point.tags = tag.map(|value| ("exportable".to_owned(), value.to_owned())).into_iter().collect();
        let deletion = turn(&cloud, &plan, None).await.unwrap();
        assert_eq!(deletion.state, state, "{tag:?}");
        assert_eq!(
            deletion.reason.is_some_and(|reason| reason.contains("exportable = true")),
            state == DeletionState::Kept
        );
    }
}

#[tokio::test]
async fn a_deletion_under_way_is_waited_for_and_not_asked_for_twice() {
    let (cloud, plan) = exported();
    cloud.edit(|state| state.after_deletion = Some("DELETING".into()));
    let mut deletion = turn(&cloud, &plan, None).await.unwrap();
    for _ in 0..3 {
        assert_eq!(deletion.state, DeletionState::Pending);
        deletion = turn(&cloud, &plan, Some(deletion)).await.unwrap();
    }
    assert_eq!(cloud.calls("backup:DELETE"), 1);
    cloud.edit(|state| state.recovery_point = None);
    assert_eq!(turn(&cloud, &plan, Some(deletion)).await.unwrap().state, DeletionState::Deleted);
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
        assert_eq!(error.kind(), Kind::DeletionNotConfirmed);
        assert_eq!(looks, turns, "{status}");
        assert!(status != "EXPIRED" || error.chain().contains("EXPIRED"), "{error}");
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
        assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind(), Kind::DeletionRefused);
    }
    cloud.edit(|state| state.objects.clear());
    let error = turn(&cloud, &plan, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::VerificationFailed);
    assert!(error.chain().contains("manifest.json"), "{error}");
    // A bucket that cannot be asked proves nothing.
    cloud.fail("s3:HEAD", 9, 503, "");
    assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind(), Kind::Unavailable);
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
        assert_eq!(turn(&cloud, &plan, None).await.unwrap_err().kind(), kind, "{code}");
    }
}
