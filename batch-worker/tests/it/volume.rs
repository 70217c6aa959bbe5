//! The real binary against AWS in one process: a volume to S3 by a plan, read back, stopped and failed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod fake;
mod planned;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use disk::{assert_released, failure, log, partitioned, report, run, worker};
use domain::manifest::Manifest;
use domain::plan::Plan;
use domain::source::{Source, VolumeSource};
use fake::{BUCKET, Fake, FakeVolume, Fault, OWNER, When};
use planned::{CLAIM, VOLUME_INDEX as INDEX, VOLUME_KEY as KEY, VOLUME_PREFIX as PREFIX, claim};

const VOLUME: &str = "vol-0123456789abcdef0";

struct World {
    fake: Fake,
    _directory: tempfile::TempDir,
    disk: PathBuf,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = partitioned(directory.path()).canonicalize().unwrap();
        let fake = Fake::start();
        let plan = plan();
        let volume = FakeVolume::new(&disk)
            .tagged(domain::tag::EXPORT_ID, plan.export_id.as_str())
            .tagged(domain::tag::EXECUTION, plan.execution.as_str());
        fake.lock().volumes.insert(VOLUME.to_owned(), volume);
        claim(&fake, plan);
        Self { fake, _directory: directory, disk }
    }

    fn arguments() -> Vec<String> {
        [
            "volume",
            "--volume-id",
            VOLUME,
            "--dest",
            &format!("s3://{BUCKET}/{PREFIX}"),
            "--plan",
            &format!("s3://{BUCKET}/{CLAIM}"),
            "--unit-key",
            KEY,
            "--bucket-owner",
            OWNER,
            "--part-bytes",
            "5242880",
            "--expect-bytes",
            "50331648",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn export(&self) -> std::process::Output {
        let arguments = Self::arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, &self.fake.environment())
    }

    fn verify(&self, mode: &str) -> std::process::Output {
        let manifest = format!("s3://{BUCKET}/{PREFIX}manifest.json");
        let mut environment = self.fake.environment();
        environment.push(("AWS_BATCH_JOB_ATTEMPT", "1".to_owned()));
        run(&["verify", &manifest, "--mode", mode, "--bucket-owner", OWNER], &environment)
    }

    fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    fn assert_nothing_left(&self) {
        let state = self.fake.lock();
        assert!(state.uploads.is_empty(), "an upload was left: {:?}", state.uploads.keys());
        assert_eq!(state.volumes[VOLUME].state, "available", "the volume was left attached");
        assert!(!state.objects.contains_key(&Self::key("manifest.json")));
        drop(state);
        assert_released(&self.disk);
    }

    fn word(&self) -> serde_json::Value {
        serde_json::from_slice(&self.fake.object(&Self::key("error.json")).expect("error.json")).unwrap()
    }
}

fn plan() -> Plan {
    planned::plan(Source::Volume(VolumeSource {
        snapshot_id: "snap-0123456789abcdef0".parse().unwrap(),
        size_gib: 1,
        device_name: None,
        kms_key_id: None,
    }))
}

#[test]
fn a_volume_becomes_verified_objects_and_is_detached() {
    let world = World::new();
    let done = report(&world.export());
    assert_eq!(done["artifacts"], 2);
    assert_eq!(world.fake.lock().volumes[VOLUME].state, "available");
    assert!(world.fake.lock().uploads.is_empty());
    assert_released(&world.disk);
    let manifest = Manifest::parse(&world.fake.object(&World::key("manifest.json")).unwrap(), PREFIX).unwrap();
    assert_eq!(manifest.recovery_point, Some(plan().recovery_point));
    assert_eq!(manifest.source.as_disk().unwrap().volume_key.as_deref(), Some(KEY));
    assert_eq!(manifest.artifacts[0].index.key, format!("{INDEX}partition-1.parquet"));
    assert!(manifest.cost.is_some());
    assert_eq!(report(&world.verify("readback"))["verified"], true);
    assert_eq!(report(&world.verify("checksum"))["verified"], true);
    let again = report(&world.export());
    assert_eq!(again["alreadyDone"], true);
    assert_eq!(world.fake.calls("AttachVolume"), 1, "a finished export attaches nothing");
}

#[test]
fn a_failure_of_s3_leaves_nothing_but_the_last_word() {
    for (call, fault, code, kind) in [
        ("UploadPart", Fault::Status(500, "InternalError"), 75, "Unavailable"),
        ("CompleteMultipartUpload", Fault::Status(403, "AccessDenied"), 77, "AccessDenied"),
    ] {
        let world = World::new();
        world.fake.fault(call, When::Always, fault);
        let (actual, error) = failure(&world.export());
        assert_eq!(actual, code, "{error}");
        world.assert_nothing_left();
        let left = world.word();
        assert_eq!(left["error"], kind);
        assert!(left["cause"].as_str().unwrap().contains("partition-1.tar.gz"), "{left}");
    }
}

#[test]
fn nothing_is_attached_when_the_bucket_is_wrong() {
    let world = World::new();
    let mut arguments = World::arguments();
    let owner = arguments.iter().position(|argument| argument == OWNER).unwrap();
    arguments[owner] = "999999999999".to_owned();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, error) = failure(&run(&arguments, &world.fake.environment()));
    assert_eq!(code, 77, "{error}");
    assert!(error.starts_with("BucketNotOwned"), "{error}");
    assert_eq!(world.fake.calls("AttachVolume"), 0);
    world.assert_nothing_left();
}

#[test]
fn a_stopped_worker_undoes_what_it_began() {
    for call in ["UploadPart", "AttachVolume"] {
        let world = World::new();
        world.fake.fault(call, When::Always, Fault::Slow(Duration::from_secs(2)));
        let arguments = World::arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let child = worker(&arguments, &world.fake.environment()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while world.fake.calls(call) == 0 {
            assert!(Instant::now() < deadline, "{call} was never called");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(143), "{}", log(&output));
        // What EC2 had begun when the worker left ends by itself, or by Cleanup.
        if call == "UploadPart" {
            world.assert_nothing_left();
        }
        assert!(world.fake.object(&World::key("partition-1.tar.gz")).is_none());
        assert!(world.fake.object(&World::key("error.json")).is_none(), "a stop is no failure");
    }
}

#[test]
fn readback_over_a_bad_network_still_succeeds() {
    let world = World::new();
    report(&world.export());
    for number in [3, 5] {
        world.fake.fault("GetObject", When::Nth(number), Fault::HalfBody);
    }
    world.fake.fault("GetObject", When::Nth(7), Fault::Reset);
    assert_eq!(report(&world.verify("readback"))["verified"], true);
}

type Change = fn(&World);

#[test]
fn what_was_changed_in_s3_is_found_and_left_as_the_last_word() {
    let name = "partition-1.tar.gz";
    let cases: [(&str, Change, &str); 4] = [
        ("readback", |world| flip(world, 5_000_000), name),
        ("checksum", |world| flip(world, 5_000_000), "its content was changed"),
        (
            "readback",
            |world| {
                let content = world.fake.object(&World::key("partition-1.tar.gz")).unwrap();
                world.fake.put(&World::key("partition-1.tar.gz"), content.slice(..1_234));
            },
            "is 1,234 bytes, the manifest says",
        ),
        (
            "checksum",
            |world| {
                world.fake.lock().objects.remove(&World::key("partition-1.tar.gz"));
            },
            "is missing from s3://backups/data/ebs/",
        ),
    ];
    for (mode, change, part) in cases {
        let world = World::new();
        report(&world.export());
        change(&world);
        let (code, error) = failure(&world.verify(mode));
        assert_eq!(code, 65, "{error}");
        assert!(error.contains(part) && error.contains(name), "{error}");
        assert_eq!(world.word()["error"], "VerificationFailed");
    }
}

fn flip(world: &World, position: usize) {
    let key = World::key("partition-1.tar.gz");
    let mut content = world.fake.object(&key).unwrap().to_vec();
    content[position] ^= 1;
    world.fake.put(&key, content);
}

#[test]
fn a_claim_that_is_gone_or_of_another_volume_ends_before_anything_is_attached() {
    let world = World::new();
    let mut arguments = World::arguments();
    let key = arguments.iter().position(|argument| argument == KEY).unwrap();
    arguments[key] = "vol-0bbbbbbbbbbbbbbbb".to_owned();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, error) = failure(&run(&arguments, &world.fake.environment()));
    assert_eq!(code, 2);
    assert!(error.contains(KEY), "{error}");
    world.fake.lock().objects.clear();
    let (code, error) = failure(&world.export());
    assert_eq!(code, 66);
    assert!(error.contains(CLAIM), "{error}");
    assert_eq!(world.fake.calls("AttachVolume"), 0);
}
