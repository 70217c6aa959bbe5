//! Volumes in every state on their way to an instance and away, with a fault at every EC2 call.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake;

use std::time::Duration;

use batch_worker::attach::identity::Instance;
use batch_worker::attach::{Attachment, Ownership, Request, Timing, attach};
use domain::failure::Kind;
use domain::failure::Result;
use domain::id::VolumeId;
use fake::{Fake, FakeVolume, Fault, INSTANCE, When, ZONE};
use tokio_util::sync::CancellationToken;

const VOLUME: &str = "vol-0123456789abcdef0";
const DEAD: &str = "i-0dddddddddddddddd";
const EXPORT: &str = "exp-0123456789abcdef0123";
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:backup-export:run-1";

struct World {
    fake: Fake,
    directory: tempfile::TempDir,
}

impl World {
    fn new(change: impl FnOnce(FakeVolume) -> FakeVolume) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("nvme9n1");
        std::fs::write(&image, [0; 4096]).unwrap();
        let fake = Fake::start();
        let volume =
            FakeVolume::new(&image).tagged(domain::tag::EXPORT_ID, EXPORT).tagged(domain::tag::EXECUTION, EXECUTION);
        fake.lock().volumes.insert(VOLUME.to_owned(), change(volume));
        Self { fake, directory }
    }

    async fn attach(&self, owned: bool) -> Result<Attachment> {
        self.attach_until(owned, &CancellationToken::new()).await
    }

    async fn attach_until(&self, owned: bool, stop: &CancellationToken) -> Result<Attachment> {
        let volume: VolumeId = VOLUME.parse().unwrap();
        let instance = Instance { id: INSTANCE.parse().unwrap(), availability_zone: ZONE.parse().unwrap() };
        let ownership = Ownership { export_id: EXPORT.parse().unwrap(), execution: EXECUTION.parse().unwrap() };
        let request = Request {
            ec2: &self.fake.ec2(),
            volume: &volume,
            instance: &instance,
            ownership: owned.then_some(&ownership),
            devices: &self.fake.devices(),
            timing: Timing {
                poll: Duration::from_millis(2),
                attach: Duration::from_secs(2),
                force_after: Duration::from_millis(50),
                detach: Duration::from_secs(2),
            },
        };
        attach(&request, stop).await
    }

    fn state(&self) -> String {
        self.fake.lock().volumes[VOLUME].state.clone()
    }

    async fn assert_there_and_back(&self) {
        let attachment = match self.attach(true).await {
            Ok(attachment) => attachment,
            Err(error) => panic!("{}", error.chain()),
        };
        let image = self.directory.path().join("nvme9n1").canonicalize().unwrap();
        assert_eq!(attachment.path(), image);
        attachment.detach().await.unwrap();
        assert_eq!(self.state(), "available");
    }
}

#[tokio::test]
async fn a_free_volume_is_attached_and_detached() {
    World::new(|volume| volume).assert_there_and_back().await;
}

#[tokio::test]
async fn a_volume_of_a_dead_host_is_taken_over() {
    World::new(|volume| volume.attached_to(DEAD)).assert_there_and_back().await;
}

#[tokio::test]
async fn a_host_that_does_not_let_go_is_forced() {
    let world = World::new(|mut volume| {
        volume.stuck = true;
        volume.attached_to(DEAD)
    });
    // Its attachment to this instance is not stuck.
    let attached = world.attach(true).await.unwrap();
    world.fake.lock().volumes.get_mut(VOLUME).unwrap().stuck = false;
    attached.detach().await.unwrap();
    assert_eq!(world.fake.calls("DetachVolume"), 3, "asked, forced, and detached at the end");
}

#[tokio::test]
async fn without_a_plan_an_attached_volume_is_left_alone() {
    let world = World::new(|volume| volume.attached_to(DEAD));
    let error = world.attach(false).await.unwrap_err();
    assert!(error.to_string().contains(DEAD), "{error}");
    assert_eq!(world.state(), "in-use");
    assert_eq!(world.fake.calls("DetachVolume"), 0);
}

#[tokio::test]
async fn a_volume_of_another_export_is_never_touched() {
    let world = World::new(|volume| volume.tagged(domain::tag::EXPORT_ID, "exp-ffffffffffffffffffff"));
    let error = world.attach(true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidSettings);
    assert!(error.to_string().contains("exp-ffffffffffffffffffff"), "{error}");
    let untagged = World::new(|mut volume| {
        volume.tags.clear();
        volume
    });
    let error = untagged.attach(true).await.unwrap_err();
    assert!(error.to_string().contains("no tag"), "{error}");
    assert_eq!(untagged.fake.calls("AttachVolume"), 0);
}

#[tokio::test]
async fn a_volume_of_another_zone_or_none_at_all_is_refused() {
    let world = World::new(|mut volume| {
        volume.zone = "us-east-1b".to_owned();
        volume
    });
    let error = world.attach(true).await.unwrap_err();
    assert!(error.to_string().contains("us-east-1b"), "{error}");
    let gone = World::new(|volume| volume);
    gone.fake.lock().volumes.clear();
    let error = gone.attach(true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::SourceNotFound);
    assert!(error.to_string().contains(VOLUME), "{error}");
}

#[tokio::test]
async fn a_name_in_use_leads_to_the_next() {
    let world = World::new(|volume| volume);
    let names = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
    let more = ('b'..='c').flat_map(|a| ('a'..='y').map(move |b| format!("/dev/xvd{a}{b}")));
    world.fake.lock().names_in_use = names.chain(more).collect();
    world.assert_there_and_back().await;
}

#[tokio::test]
async fn an_error_of_ec2_that_passes_is_retried() {
    for call in ["DescribeVolumes", "AttachVolume", "DetachVolume"] {
        for fault in [
            Fault::Status(503, "RequestLimitExceeded"),
            Fault::Status(500, "InternalError"),
            Fault::Reset,
            Fault::LostAnswer,
        ] {
            let world = World::new(|volume| volume.attached_to(DEAD));
            world.fake.fault(call, When::First(2), fault);
            world.assert_there_and_back().await;
        }
    }
}

#[tokio::test]
async fn an_error_of_ec2_that_stays_is_reported_by_kind_and_leaves_nothing_attached() {
    for (call, fault, kind) in [
        ("DescribeVolumes", Fault::Status(503, "RequestLimitExceeded"), Kind::Throttled),
        ("DescribeVolumes", Fault::Status(403, "UnauthorizedOperation"), Kind::AccessDenied),
        ("AttachVolume", Fault::Status(403, "UnauthorizedOperation"), Kind::AccessDenied),
        ("AttachVolume", Fault::Status(500, "InternalError"), Kind::Unavailable),
        ("AttachVolume", Fault::Status(400, "AttachmentLimitExceeded"), Kind::Unavailable),
        ("AttachVolume", Fault::Reset, Kind::Unavailable),
    ] {
        let world = World::new(|volume| volume);
        world.fake.fault(call, When::Always, fault);
        let error = world.attach(true).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{call} {fault:?}: {}", error.chain());
        assert_eq!(world.state(), "available");
    }
}

#[tokio::test]
async fn a_device_that_never_appears_ends_in_a_detached_volume() {
    let world = World::new(|volume| volume);
    world.fake.lock().volumes.get_mut(VOLUME).unwrap().image = "/nonexistent/nvme8n1".into();
    let error = world.attach(true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{}", error.chain());
    assert_eq!(world.state(), "available");
}

#[tokio::test]
async fn a_worker_stopped_while_it_attaches_detaches() {
    let world = World::new(|volume| volume);
    world.fake.lock().volumes.get_mut(VOLUME).unwrap().image = "/nonexistent/nvme8n1".into();
    let stop = CancellationToken::new();
    let ask = stop.clone();
    let (result, ()) = tokio::join!(world.attach_until(true, &stop), async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), Kind::Interrupted);
    assert_eq!(world.state(), "available");
}
