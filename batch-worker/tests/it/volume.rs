//! The real binary against AWS in one process: a volume to S3 by a plan, read back, stopped and failed.

use std::process::Output;
use std::time::{Duration, Instant};

use domain::manifest::Manifest;
use domain::plan::Plan;
use local_cloud::{FaultAction, VolumeSpec, When, WorkerCloud};
use support::disk::Disk;
use support::loop_device::assert_released;
use support::plan::{self, CLAIM, VOLUME_INDEX as INDEX, VOLUME_KEY as KEY, VOLUME_PREFIX as PREFIX};
use support::program::{failure, log, report};

use crate::source::{self, VOLUME};
use crate::worker::{run, verify, worker};

const BUCKET: &str = WorkerCloud::BUCKET;
const OWNER: &str = WorkerCloud::OWNER;

struct World {
    cloud: WorkerCloud,
    _directory: tempfile::TempDir,
    disk: Disk,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::with_two_partitions(&directory.path().canonicalize().unwrap()).unwrap();
        let cloud = WorkerCloud::start().unwrap();
        let plan = plan();
        let volume = VolumeSpec::new(VOLUME, disk.path(), WorkerCloud::ZONE)
            .tagged(domain::tag::EXPORT_ID, plan.export_id.as_str())
            .tagged(domain::tag::EXECUTION, plan.execution.as_str());
        cloud.add_volume(volume);
        cloud.put_object(CLAIM, plan::claim(plan)).unwrap();
        Self { cloud, _directory: directory, disk }
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

    fn export(&self) -> Output {
        run(&Self::arguments(), &self.cloud.environment())
    }

    fn verify(&self, mode: &str) -> Output {
        let mut environment = self.cloud.environment();
        environment.insert("AWS_BATCH_JOB_ATTEMPT".to_owned(), "1".to_owned());
        verify(&environment, PREFIX, mode)
    }

    fn volume_state(&self) -> String {
        self.cloud.volume(VOLUME).unwrap().state
    }

    fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.cloud.uploads(), [], "an upload was left");
        assert_eq!(self.volume_state(), "available", "the volume was left attached");
        assert_eq!(self.cloud.object(&Self::key("manifest.json")), None);
        assert_released(self.disk.path()).unwrap();
    }

    fn word(&self) -> serde_json::Value {
        serde_json::from_slice(&self.cloud.object(&Self::key("error.json")).expect("error.json")).unwrap()
    }
}

fn plan() -> Plan {
    plan::plan(source::volume(), BUCKET, OWNER)
}

#[test]
fn a_volume_becomes_verified_objects_and_is_detached() {
    let world = World::new();
    let done = report(&world.export());
    assert_eq!(done["artifacts"], 2);
    assert_eq!(world.volume_state(), "available");
    assert_eq!(world.cloud.uploads(), []);
    assert_released(world.disk.path()).unwrap();
    let manifest = Manifest::parse(&world.cloud.object(&World::key("manifest.json")).unwrap(), PREFIX).unwrap();
    assert_eq!(manifest.recovery_point, Some(plan().recovery_point));
    assert_eq!(manifest.source.as_disk().unwrap().unit_key.as_deref(), Some(KEY));
    assert_eq!(manifest.artifacts[0].index.key, format!("{INDEX}partition-1.parquet"));
    assert!(manifest.cost.is_some());
    assert_eq!(report(&world.verify("readback"))["verified"], true);
    assert_eq!(report(&world.verify("checksum"))["verified"], true);
    let again = report(&world.export());
    assert_eq!(again["alreadyDone"], true);
    assert_eq!(world.cloud.calls("AttachVolume"), 1, "a finished export attaches nothing");
}

#[test]
fn a_failure_of_s3_leaves_nothing_but_the_last_word() {
    for (call, fault, code, kind) in [
        ("UploadPart", FaultAction::error(500, "InternalError"), 75, "Unavailable"),
        ("CompleteMultipartUpload", FaultAction::error(403, "AccessDenied"), 77, "AccessDenied"),
    ] {
        let world = World::new();
        world.cloud.fault(call, When::Always, fault);
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
    let (code, error) = failure(&run(&arguments, &world.cloud.environment()));
    assert_eq!(code, 77, "{error}");
    assert!(error.starts_with("BucketNotOwned"), "{error}");
    assert_eq!(world.cloud.calls("AttachVolume"), 0);
    world.assert_nothing_left();
}

#[test]
fn a_stopped_worker_undoes_what_it_began() {
    for call in ["UploadPart", "AttachVolume"] {
        let world = World::new();
        world.cloud.fault(call, When::Always, FaultAction::delay(Duration::from_secs(2)));
        let child = worker(&World::arguments(), &world.cloud.environment()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while world.cloud.calls(call) == 0 {
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
        assert!(world.cloud.object(&World::key("partition-1.tar.gz")).is_none());
        assert!(world.cloud.object(&World::key("error.json")).is_none(), "a stop is no failure");
    }
}

#[test]
fn readback_over_a_bad_network_still_succeeds() {
    let world = World::new();
    report(&world.export());
    world.cloud.fault("GetObject", When::Nth(3), FaultAction::HalveResponse);
    // Requests that an earlier rule hit are none of theirs.
    world.cloud.fault("GetObject", When::Nth(4), FaultAction::HalveResponse);
    world.cloud.fault("GetObject", When::Nth(5), FaultAction::CutRequest { after_bytes: 0 });
    assert_eq!(report(&world.verify("readback"))["verified"], true);
    assert_eq!(world.cloud.faults().hits(), [1, 1, 1]);
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
                let content = world.cloud.object(&World::key("partition-1.tar.gz")).unwrap();
                world.cloud.put_object(&World::key("partition-1.tar.gz"), &content[..1_234]).unwrap();
            },
            "is 1,234 bytes, the manifest says",
        ),
        (
            "checksum",
            |world| world.cloud.remove_object(&World::key("partition-1.tar.gz")).unwrap(),
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
    let mut content = world.cloud.object(&key).unwrap();
    content[position] ^= 1;
    world.cloud.put_object(&key, content).unwrap();
}

#[test]
fn a_claim_that_is_gone_or_of_another_volume_ends_before_anything_is_attached() {
    let world = World::new();
    let mut arguments = World::arguments();
    let key = arguments.iter().position(|argument| argument == KEY).unwrap();
    arguments[key] = "vol-0bbbbbbbbbbbbbbbb".to_owned();
    let (code, error) = failure(&run(&arguments, &world.cloud.environment()));
    assert_eq!(code, 2);
    assert!(error.contains(KEY), "{error}");
    world.cloud.remove_object(CLAIM).unwrap();
    let (code, error) = failure(&world.export());
    assert_eq!(code, 66);
    assert!(error.contains(CLAIM), "{error}");
    assert_eq!(world.cloud.calls("AttachVolume"), 0);
}
