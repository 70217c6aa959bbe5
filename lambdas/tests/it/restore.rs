//! Volumes: made once, where there is room, and given up on with the reason.

use aws_sdk_ec2::types::VolumeState;
use domain::failure::Kind;
use domain::plan::VolumeOptions;
use domain::source::Source;
use lambdas::resource::volume::performance;
use lambdas::restore::volume::{Step, next_step};
use lambdas::restore::{Progress, Restore, RestoreRequest, RestoreState};

use crate::cloud::Cloud;
use crate::sample::{SNAPSHOT, now, plan};

fn request(restore: Option<Restore>) -> RestoreRequest {
    let plan = plan();
    RestoreRequest { unit: plan.units[0].clone(), plan, restore }
}

/// The volume that is being made, and its zone.
fn volume(restore: &Restore) -> (String, String) {
    let Progress::Volume { volume_id, availability_zone } = &restore.progress else { panic!("{restore:?}") };
    (volume_id.to_string(), availability_zone.to_string())
}

#[tokio::test]
async fn a_retry_reuses_the_client_token_and_makes_no_second_volume() {
    let cloud = Cloud::new();
    cloud.lose_answer("ec2:CreateVolume");
    let first = cloud.restorer().start(request(None)).await.unwrap();
    let second = cloud.restorer().start(request(None)).await.unwrap();
    assert_eq!(first, second);
    let (tokens, volumes) = cloud.edit(|state| (state.tokens.clone(), state.volumes.len()));
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(volumes, 1);
}

#[tokio::test]
async fn the_volume_is_tagged_by_the_call_that_makes_it() {
    let cloud = Cloud::new();
    let restore = cloud.restorer().start(request(None)).await.unwrap();
    let tags = cloud.edit(|state| state.volumes[&volume(&restore).0].tags.clone());
    let plan = plan();
    assert_eq!(tags["backup-export:export-id"], plan.export_id.as_str());
    assert_eq!(tags["backup-export:execution"], plan.execution.as_str());
    assert_eq!(tags["backup-export:volume-key"], plan.units[0].key);
    assert!(restore.command.is_empty(), "{restore:?}");
}

#[tokio::test]
async fn the_operators_tags_stand_beside_ours_and_never_in_their_place() {
    let cloud = Cloud::new();
    let mut request = request(None);
    let theirs = [("owner", "payments"), ("Name", "mine"), ("backup-export:execution", "nobody")];
    request.plan.resource_tags = theirs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let plan = request.plan.clone();
    let restore = cloud.restorer().start(request).await.unwrap();
    let tags = cloud.edit(|state| state.volumes[&volume(&restore).0].tags.clone());
    assert_eq!(tags.len(), 5);
    assert_eq!(tags["owner"], "payments");
    assert_eq!(tags["backup-export:execution"], plan.execution.as_str());
    assert!(tags["Name"].starts_with(plan.export_id.as_str()), "{}", tags["Name"]);
}

#[tokio::test]
async fn a_full_zone_is_followed_by_the_next() {
    let cloud = Cloud::new();
    cloud.fail("ec2:CreateVolume", 1, 400, "InsufficientVolumeCapacity");
    let restore = cloud.restorer().start(request(None)).await.unwrap();
    let second = &plan().placements[1];
    assert_eq!(volume(&restore).1, second.availability_zone.as_str());
    assert_eq!(restore.job_queue, second.job_queue);

    cloud.fail("ec2:CreateVolume", 9, 400, "InsufficientVolumeCapacity");
    let error = cloud.restorer().start(request(None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    for placement in &plan().placements {
        assert!(error.chain().contains(placement.availability_zone.as_str()), "{error}");
    }
}

#[tokio::test]
async fn refusals_of_ec2_are_told_apart() {
    for (status, code, kind) in [
        (403, "UnauthorizedOperation", Kind::AccessDenied),
        (503, "RequestLimitExceeded", Kind::Throttled),
        (400, "VolumeLimitExceeded", Kind::Throttled),
        (500, "InternalError", Kind::Unavailable),
        (400, "InvalidSnapshot.NotFound", Kind::SourceNotFound),
        (400, "IncorrectState", Kind::RecoveryPointNotUsable),
        (400, "InvalidParameterValue", Kind::RestoreFailed),
        (400, "KMSKeyNotAccessibleFault", Kind::RestoreFailed),
    ] {
        let cloud = Cloud::new();
        cloud.fail("ec2:CreateVolume", 9, status, code);
        let error = cloud.restorer().start(request(None)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(error.chain().contains(code) && error.chain().contains(SNAPSHOT), "{error}");
    }
}

#[tokio::test]
async fn a_volume_is_waited_for_and_then_used() {
    let cloud = Cloud::new();
    let mut restore = cloud.restorer().start(request(None)).await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..4 {
        restore = cloud.restorer().check(request(Some(restore)), now()).await.unwrap();
        assert_eq!(restore.state, RestoreState::Pending);
        waits.push(restore.wait_seconds);
    }
    assert!(waits.is_sorted() && waits[3] == 60, "{waits:?}");
    cloud.edit(|state| state.volumes.get_mut(&volume(&restore).0).unwrap().state = "available");
    let ready = cloud.restorer().check(request(Some(restore.clone())), now()).await.unwrap();
    assert_eq!(ready.state, RestoreState::Ready);
    assert_eq!(ready.command[..3], ["volume", "--volume-id", &volume(&restore).0]);
    assert_eq!(ready.verify_command[0], "verify");
}

#[tokio::test]
async fn the_time_to_restore_counts_from_the_first_look() {
    let cloud = Cloud::new();
    let restore = cloud.restorer().start(request(None)).await.unwrap();
    // A volume of a large image whose turn came hours after the plan was made.
    let later = |minutes| now() + jiff::SignedDuration::from_mins(minutes);
    let restore = cloud.restorer().check(request(Some(restore)), later(600)).await.unwrap();
    assert_eq!(restore.state, RestoreState::Pending);
    let restore = cloud.restorer().check(request(Some(restore)), later(659)).await.unwrap();
    let error = cloud.restorer().check(request(Some(restore)), later(661)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RestoreTimedOut);
}

#[tokio::test]
async fn a_volume_that_vanished_points_to_its_key() {
    let cloud = Cloud::new();
    let mut restore = cloud.restorer().start(request(None)).await.unwrap();
    cloud.edit(|state| state.volumes.clear());
    // Describing is eventually consistent: unknown at first means nothing.
    restore = cloud.restorer().check(request(Some(restore)), now()).await.unwrap();
    restore = cloud.restorer().check(request(Some(restore)), now()).await.unwrap();
    let mut request = request(Some(restore));
    let Source::Volume(source) = &mut request.unit.source else { panic!("not a volume") };
    source.kms_key_id = Some("arn:aws:kms:us-east-1:999999999999:key/k".into());
    let error = cloud.restorer().check(request, now()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::RestoreFailed);
    assert!(error.chain().contains("key/k") && error.chain().contains("kms:CreateGrant"), "{error}");
}

#[test]
fn steps_follow_the_state() {
    let plan = plan();
    let source = plan.units[0].source.as_volume().unwrap();
    let step = |state| next_step(Some(&state), 1, source);
    assert_eq!(step(VolumeState::Creating), Step::Wait);
    assert_eq!(step(VolumeState::Available), Step::Use);
    assert_eq!(step(VolumeState::InUse), Step::Use);
    assert!(matches!(step(VolumeState::Error), Step::GiveUp(Kind::RestoreFailed, _)));
    assert_eq!(next_step(None, 1, source), Step::Wait);
    assert!(matches!(next_step(None, 3, source), Step::GiveUp(Kind::RestoreFailed, _)));
}

#[test]
fn performance_stays_within_what_the_size_allows() {
    let options = |volume_type: &str, throughput_mib, iops| VolumeOptions {
        volume_type: volume_type.into(),
        throughput_mib,
        iops,
        initialization_rate_mib: None,
        kms_key_id: None,
    };
    assert_eq!(performance(&options("gp3", None, None), 8), (None, None));
    assert_eq!(performance(&options("gp3", Some(250), None), 1), (None, Some(250)));
    // 1,000 MiB/s need 4,000 IOPS, which need 8 GiB.
    assert_eq!(performance(&options("gp3", Some(1_000), None), 8), (Some(4_000), Some(1_000)));
    assert_eq!(performance(&options("gp3", Some(1_000), None), 1), (Some(3_000), Some(750)));
    assert_eq!(performance(&options("gp3", Some(125), Some(16_000)), 10), (Some(5_000), Some(125)));
    assert_eq!(performance(&options("io2", None, Some(64_000)), 8), (Some(8_000), None));
    assert_eq!(performance(&options("gp2", None, None), 8), (None, None));
}
