//! What a plan says, and what is refused before anything is created.

use std::collections::BTreeMap;
use std::path::Path;

use domain::claim::Claim;
use domain::conclusion::{CatalogRow, Fate, Latest};
use domain::event::ExportRequest;
use domain::facts::{DeviceFacts, Facts, ImageFacts, SnapshotFacts};
use domain::failure::{Kind, Result};
use domain::manifest::Manifest;
use domain::plan::{Decision, Plan, Restored, VerifyMode};
use domain::recovery_point::Image;
use domain::settings::Settings;

use crate::sample::{self, execution, facts, request, settings};

const SNAPSHOT: &str = "snap-0123456789abcdef0";
const VOLUME: &str = "vol-0aaaaaaaaaaaaaaaa";

fn snapshot(id: &str, volume: Option<&str>) -> SnapshotFacts {
    SnapshotFacts {
        id: id.parse().unwrap(),
        state: "completed".into(),
        state_message: None,
        storage_tier: "standard".into(),
        volume_id: volume.map(|volume| volume.parse().unwrap()),
        size_gib: 8,
        kms_key_id: None,
    }
}

fn ebs() -> (ExportRequest, Facts) {
    let facts = Facts {
        tags: BTreeMap::from([("owner".into(), "payments".into())]),
        snapshots: vec![snapshot(SNAPSHOT, Some(VOLUME))],
        ..facts("EBS", &format!("arn:aws:ec2:us-east-1:123456789012:volume/{VOLUME}"))
    };
    let arn = format!("arn:aws:ec2:us-east-1::snapshot/{SNAPSHOT}");
    (request(&arn), facts)
}

fn device(name: &str, snapshot_id: Option<&str>) -> DeviceFacts {
    DeviceFacts { name: name.into(), snapshot_id: snapshot_id.map(|id| id.parse().unwrap()) }
}

fn ec2(devices: Vec<DeviceFacts>, snapshots: Vec<SnapshotFacts>) -> (ExportRequest, Facts) {
    let (_, facts) = ebs();
    let image = Image {
        image_id: "ami-0123456789abcdef0".parse().unwrap(),
        architecture: Some("x86_64".into()),
        boot_mode: Some("uefi".into()),
        root_device_name: Some("/dev/xvda".into()),
        platform: None,
        ena_support: Some(true),
        tpm_support: None,
        ephemeral_devices: Vec::new(),
    };
    let facts = Facts {
        resource_arn: "arn:aws:ec2:us-east-1:123456789012:instance/i-0bbbbbbbbbbbbbbbb".into(),
        resource_type: "EC2".into(),
        image: Some(ImageFacts { state: "available".into(), image, devices }),
        snapshots,
        ..facts
    };
    (request("arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0"), facts)
}

fn make((request, facts): (ExportRequest, Facts), changes: &[(&str, &str)]) -> Result<Plan> {
    sample::make(&request, &facts, &settings(&[changes]))
}

fn keys(plan: &Plan) -> Vec<&str> {
    plan.units.iter().map(|v| v.key.as_str()).collect()
}

#[track_caller]
fn refused(input: (ExportRequest, Facts), kind: Kind, words: &[&str]) {
    let refusal = make(input, &[]).unwrap_err();
    assert_eq!(refusal.kind(), kind, "{refusal}");
    for word in words {
        assert!(refusal.to_string().contains(word), "{word:?} is not in {refusal}");
    }
}

/// Compares with a file of `golden/`. A change of these is a change of what crosses processes: edit the file by hand.
#[track_caller]
fn golden(name: &str, actual: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(*actual, expected, "{}", path.display());
}

#[test]
fn the_plan_and_the_claim_have_the_documented_shape() {
    let plan = make(ebs(), &[]).unwrap();
    let claim = Claim::new(plan.clone(), "2026-11-21T09:00:01Z".parse().unwrap());
    golden("claim.json", &serde_json::to_value(&claim).unwrap());
    assert_eq!(Claim::parse(&claim.to_json()).unwrap(), claim);

    let decision = serde_json::to_value(Decision::Export(Box::new(plan.clone()))).unwrap();
    assert_eq!(decision["decision"], "export");
    assert_eq!(decision["exportId"], serde_json::to_value(&plan.export_id).unwrap());
    // The other Lambdas read the decision as the plan that it is.
    assert_eq!(serde_json::from_value::<Plan>(decision).unwrap(), plan);

    let (request, facts) = ec2(
        vec![device("/dev/xvda", Some(SNAPSHOT)), device("/dev/sdb", None)],
        vec![snapshot(SNAPSHOT, Some(VOLUME))],
    );
    let image = make((request, facts), &[("DELETE_RECOVERY_POINT", "true")]).unwrap();
    golden("plan-ec2.json", &serde_json::to_value(&image).unwrap());
}

#[test]
fn skips_and_cleanings_have_the_documented_shape() {
    let skip = Decision::Skip { reason: "finished".into(), export_id: None };
    assert_eq!(
        serde_json::to_value(skip).unwrap(),
        serde_json::json!({"decision": "skip", "reason": "finished", "exportId": null})
    );
    let previous = Box::new(make(ebs(), &[]).unwrap());
    let clean = serde_json::to_value(Decision::Clean { previous }).unwrap();
    assert_eq!(clean["decision"], "clean");
    assert_eq!(clean["previous"]["units"][0]["key"], VOLUME);
}

#[test]
fn a_claim_of_a_newer_schema_is_not_guessed_at() {
    let error = Claim::parse(br#"{"schemaVersion": 9}"#).unwrap_err();
    assert!(error.to_string().contains("schema version 9"));
    assert!(Claim::parse(b"{}").is_err());
    assert!(Claim::parse(b"").is_err());
}

#[test]
fn commands_name_everything_that_the_worker_needs() {
    let plan = make(ebs(), &[("CODEC", "zstd"), ("READERS", "32")]).unwrap();
    let volume = &plan.units[0];
    let restored = Restored::Volume { volume_id: "vol-0ccccccccccccccc0".parse().unwrap() };
    let command = plan.export_command(volume, &restored);
    let prefix = "s3://exports/data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/\
                  2026-11-02T030405Z_snap-0123456789abcdef0/";
    assert_eq!(
        command,
        [
            "volume",
            "--volume-id",
            "vol-0ccccccccccccccc0",
            "--dest",
            prefix,
            "--plan",
            &format!("s3://exports/claims/{}.json", plan.export_id),
            "--unit-key",
            VOLUME,
            "--bucket-owner",
            "123456789012",
            "--codec",
            "zstd",
            "--level",
            "3",
            "--part-bytes",
            "16777216",
            "--readers",
            "32",
            "--expect-bytes",
            "8589934592",
        ]
    );
    let manifest = format!("{prefix}manifest.json");
    assert_eq!(
        plan.verify_command(volume),
        ["verify", &manifest, "--mode", "readback", "--bucket-owner", "123456789012"]
    );
}

#[test]
fn a_retry_reuses_the_client_token_and_nothing_else_does() {
    let plan = make(ebs(), &[]).unwrap();
    let volume = &plan.units[0];
    let zones: Vec<&str> = plan.placements.iter().map(|p| p.availability_zone.as_str()).collect();
    let token = plan.client_token(volume, zones[0]);
    assert_eq!(token, plan.client_token(volume, zones[0]));
    assert!(token.is_ascii() && token.len() <= 64, "{token}");
    assert_ne!(token, plan.client_token(volume, zones[1]));
    let other = Plan { execution: execution("run-2"), ..plan.clone() };
    assert_ne!(token, other.client_token(volume, zones[0]));
    assert_ne!(plan.names(), other.names());
    assert!(volume.export_job_name.starts_with(plan.names().prefix()));
}

#[test]
fn an_image_has_a_folder_for_each_volume_and_notes_what_has_none() {
    let second = "snap-0fedcba9876543210";
    let input = ec2(
        vec![device("/dev/xvda", Some(SNAPSHOT)), device("/dev/sdf", Some(second)), device("/dev/sdb", None)],
        vec![snapshot(SNAPSHOT, Some(VOLUME)), snapshot(second, Some("vol-0dddddddddddddddd"))],
    );
    let plan = make(input, &[]).unwrap();
    assert_eq!(keys(&plan), [VOLUME, "vol-0dddddddddddddddd"]);
    for volume in &plan.units {
        assert_eq!(volume.prefix, plan.prefix.folder(&volume.key));
        assert!(volume.index_prefix.as_str().ends_with(&format!("{}-{}-", plan.export_id, volume.key)));
    }
    assert_eq!(plan.recovery_point.image.unwrap().ephemeral_devices, ["/dev/sdb"]);
    assert_eq!(plan.recovery_point.resource_id, "i-0bbbbbbbbbbbbbbbb");
}

#[test]
fn unit_keys_stay_apart_when_snapshots_say_nothing_of_their_volumes() {
    let ids = ["snap-0000000000000000a", "snap-0000000000000000b", "snap-0000000000000000c", "snap-0000000000000000d"];
    let input = ec2(
        vec![
            device("/dev/xvda", Some(ids[0])),
            device("/dev/sdf", Some(ids[1])),
            device("/dev/sdg", Some(ids[2])),
            device("/dev/sdh", Some(ids[3])),
            device("xvdi", Some(ids[3])),
        ],
        vec![
            snapshot(ids[0], Some("vol-ffffffff")),
            snapshot(ids[1], Some(VOLUME)),
            snapshot(ids[2], Some(VOLUME)),
            snapshot(ids[3], None),
        ],
    );
    let plan = make(input, &[]).unwrap();
    assert_eq!(keys(&plan), [ids[0], ids[1], ids[2], "snap-0000000000000000d-sdh", "snap-0000000000000000d-xvdi"]);
}

#[test]
fn a_copied_snapshot_is_named_by_itself() {
    let (request, mut facts) = ebs();
    facts.resource_arn = "arn:aws:ec2:us-east-1:123456789012:volume/vol-ffffffff".into();
    facts.snapshots[0].volume_id = "vol-ffffffff".parse().ok();
    let plan = make((request, facts), &[]).unwrap();
    assert_eq!(keys(&plan), [SNAPSHOT]);
    assert_eq!(plan.recovery_point.resource_id, SNAPSHOT);
}

#[test]
fn every_zone_is_a_fall_back_and_exports_begin_in_different_ones() {
    let mut first = std::collections::BTreeSet::new();
    for n in 0..32 {
        let (mut request, facts) = ebs();
        request.generation = n;
        let plan = make((request, facts), &[]).unwrap();
        let zones: std::collections::BTreeSet<_> =
            plan.placements.iter().map(|p| p.availability_zone.to_string()).collect();
        assert_eq!(zones.len(), 3);
        for placement in &plan.placements {
            assert_eq!(placement.job_queue.chars().last(), placement.availability_zone.as_str().chars().last());
        }
        first.insert(plan.placements[0].availability_zone.to_string());
    }
    assert_eq!(first.len(), 3);
}

#[test]
fn timeouts_grow_with_the_disk_up_to_the_setting() {
    let with_size = |size_gib| {
        let (request, mut facts) = ebs();
        facts.snapshots[0].size_gib = size_gib;
        make((request, facts), &[("EXPORT_TIMEOUT_HOURS", "24")]).unwrap().units.remove(0)
    };
    let (small, large, huge) = (with_size(1), with_size(100), with_size(16_384));
    assert_eq!(small.export_timeout_seconds, 1_800 + 1_024 / 8);
    assert!(large.export_timeout_seconds > small.export_timeout_seconds);
    assert!(large.verify_timeout_seconds < large.export_timeout_seconds);
    assert_eq!(huge.export_timeout_seconds, 24 * 3_600);
    assert!(huge.export_task_seconds > 2 * huge.export_timeout_seconds);
}

#[test]
fn waits_back_off_and_all_units_together_look_a_thousand_times_at_most() {
    let one = make(ebs(), &[]).unwrap();
    let waits: Vec<u32> = (0..5).map(|turn| one.wait_seconds(turn, 3_600)).collect();
    assert_eq!(waits, [15, 30, 60, 60, 60]);
    let mut many = one.clone();
    many.units = vec![one.units[0].clone(); 128];
    let turns = 3_600 / many.wait_seconds(0, 3_600);
    assert!(turns * 128 <= 1_100, "{turns} turns");
    let quick = make(ebs(), &[("POLL_SECONDS", "1")]).unwrap();
    assert_eq!(quick.wait_seconds(0, 60), 1);
    assert_eq!(quick.wait_seconds(u32::MAX, 60), 60);
}

#[test]
fn types_that_cannot_be_exported_are_named() {
    let vaulted = "arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2";
    for (arn, resource_type, word) in [
        (vaulted, "EFS", "DataSync"),
        (vaulted, "S3", "restored to a bucket"),
        (vaulted, "FSx", "DataSync"),
        (vaulted, "Redshift", "UNLOAD"),
        (vaulted, "VirtualMachine", "virtual machine"),
        (vaulted, "Something new", "Something new"),
        ("arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:db-1", "RDS", "continuous"),
        ("arn:aws:timestream:us-east-1:123456789012:database/x", "Timestream", "timestream"),
    ] {
        let (_, mut facts) = ebs();
        facts.resource_type = resource_type.into();
        refused((request(arn), facts), Kind::UnsupportedResourceType, &[arn, word, "the recovery point is kept"]);
    }
}

#[test]
fn recovery_points_that_are_not_usable_are_refused_with_the_remedy() {
    let with = |change: &dyn Fn(&mut Facts)| {
        let (request, mut facts) = ebs();
        change(&mut facts);
        (request, facts)
    };
    for status in ["PARTIAL", "EXPIRED", "DELETING", "CREATING", "STOPPED", ""] {
        refused(
            with(&|facts| facts.status = status.into()),
            Kind::RecoveryPointNotUsable,
            &[SNAPSHOT, status, "COMPLETED"],
        );
    }
    assert!(make(with(&|facts| facts.status = "AVAILABLE".into()), &[]).is_ok());
    refused(with(&|facts| facts.vault_name = "other".parse().unwrap()), Kind::VaultMismatch, &["other", "Default"]);
    refused(
        with(&|facts| facts.snapshots[0].storage_tier = "archive".into()),
        Kind::RecoveryPointArchived,
        &[SNAPSHOT, "restore-snapshot-tier"],
    );
    refused(
        with(&|facts| {
            facts.snapshots[0].state = "error".into();
            facts.snapshots[0].state_message = Some("key disabled".into());
        }),
        Kind::RecoveryPointNotUsable,
        &[SNAPSHOT, "error", "key disabled"],
    );
    refused(with(&|facts| facts.snapshots.clear()), Kind::RecoveryPointNotUsable, &[SNAPSHOT, "does not exist"]);
    let (request, mut facts) = ec2(vec![device("/dev/xvda", None)], vec![]);
    refused((request.clone(), facts.clone()), Kind::RecoveryPointNotUsable, &["no EBS volumes"]);
    facts.image.as_mut().unwrap().state = "failed".into();
    refused((request.clone(), facts.clone()), Kind::RecoveryPointNotUsable, &["failed"]);
    facts.image = None;
    refused((request, facts), Kind::RecoveryPointNotUsable, &["ami-0123456789abcdef0", "does not exist"]);
}

#[test]
fn deletion_without_verification_is_refused_by_the_plan_too() {
    let (request, facts) = ebs();
    let settings = Settings { verify: VerifyMode::None, delete_recovery_point: true, ..settings(&[]) };
    let refusal = sample::make(&request, &facts, &settings).unwrap_err();
    assert_eq!(refusal.kind(), Kind::InvalidSettings);
}

#[test]
fn a_finished_export_is_one_row_and_moves_the_pointer_forward_only() {
    let plan = make(ebs(), &[]).unwrap();
    let manifest = Manifest::parse(include_bytes!("../../golden/manifest.json"), plan.prefix.as_str()).unwrap();
    let now = "2026-11-21T10:00:00Z".parse().unwrap();
    let row = CatalogRow::new(&plan, std::slice::from_ref(&manifest), &Fate::Deleted, now);
    golden("catalog-row.json", &serde_json::to_value(&row).unwrap());
    let row_of = |fate| CatalogRow::new(&plan, std::slice::from_ref(&manifest), &fate, now);
    let kept = row_of(Fate::Kept("the last one".into()));
    assert!(row.tells_more_than(&kept) && kept.tells_more_than(&row_of(Fate::Untouched)));
    assert!(
        !kept.tells_more_than(&row) && !row.tells_more_than(&row) && !row_of(Fate::Untouched).tells_more_than(&kept)
    );
    let line = row.to_json_line();
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));

    let latest = row.latest(&plan.catalog_key);
    golden("latest.json", &serde_json::to_value(&latest).unwrap());
    let earlier = Latest { created_at: "2026-11-01T00:00:00Z".parse().unwrap(), generation: 9, ..latest.clone() };
    let again = Latest { generation: 1, ..latest.clone() };
    assert!(latest.supersedes(&earlier) && !earlier.supersedes(&latest));
    assert!(again.supersedes(&latest) && !latest.supersedes(&latest));
}
