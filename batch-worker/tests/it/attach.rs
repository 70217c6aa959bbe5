//! Volumes in every state on their way to an instance and away, with a fault at every EC2 call.

use std::path::Path;
use std::time::Duration;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Credentials, Region};
use batch_worker::volume::attach::device::DeviceTree;
use batch_worker::volume::attach::identity::Instance;
use batch_worker::volume::attach::{Attachment, Ownership, Request, Timing, attach};
use domain::failure::{Kind, Result};
use domain::id::VolumeId;
use local_cloud::{FaultAction, VolumeSpec, When, WorkerCloud};
use tokio_util::sync::CancellationToken;

const VOLUME: &str = "vol-0123456789abcdef0";
const DEAD: &str = "i-0dddddddddddddddd";
const EXPORT: &str = "exp-0123456789abcdef0123";
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:backup-export:run-1";

/// A file that there is not: a volume of it has no device.
const NO_DISK: &str = "/nonexistent/nvme8n1";

struct World {
    cloud: WorkerCloud,
    directory: tempfile::TempDir,
}

/// A client that retries at once.
fn ec2(cloud: &WorkerCloud) -> aws_sdk_ec2::Client {
    let retries = RetryConfig::standard().with_max_attempts(4);
    let retries = retries.with_initial_backoff(Duration::from_millis(1)).with_max_backoff(Duration::from_millis(5));
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(cloud.endpoint())
        .region(Region::new(WorkerCloud::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries);
    aws_sdk_ec2::Client::from_conf(config.build())
}

impl World {
    fn new(change: impl FnOnce(VolumeSpec) -> VolumeSpec) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("nvme9n1");
        std::fs::write(&image, [0; 4096]).unwrap();
        let cloud = WorkerCloud::start().unwrap();
        let volume = VolumeSpec::new(VOLUME, &image, WorkerCloud::ZONE)
            .tagged(domain::tag::EXPORT_ID, EXPORT)
            .tagged(domain::tag::EXECUTION, EXECUTION);
        cloud.add_volume(change(volume));
        Self { cloud, directory }
    }

    fn without_disk() -> Self {
        Self::new(|volume| VolumeSpec { file: NO_DISK.into(), ..volume })
    }

    fn devices(&self) -> DeviceTree {
        let by_id = self.cloud.by_id_directory();
        let dev = by_id.ancestors().nth(2).map(Path::to_owned).unwrap();
        DeviceTree { by_id, sysfs: self.cloud.sysfs_directory(), dev }
    }

    async fn attach(&self, owned: bool) -> Result<Attachment> {
        self.attach_until(owned, &CancellationToken::new()).await
    }

    async fn attach_until(&self, owned: bool, stop: &CancellationToken) -> Result<Attachment> {
        let volume: VolumeId = VOLUME.parse().unwrap();
        let instance = Instance {
            id: self.cloud.instance_id().parse().unwrap(),
            availability_zone: WorkerCloud::ZONE.parse().unwrap(),
        };
        let ownership = Ownership { export_id: EXPORT.parse().unwrap(), execution: EXECUTION.parse().unwrap() };
        let request = Request {
            ec2: &ec2(&self.cloud),
            volume: &volume,
            instance: &instance,
            ownership: owned.then_some(&ownership),
            devices: &self.devices(),
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
        self.cloud.volume(VOLUME).unwrap().state
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
    let world = World::new(|volume| volume.attached_to(DEAD).held());
    let attached = world.attach(true).await.unwrap();
    attached.detach().await.unwrap();
    assert_eq!(world.cloud.calls("DetachVolume"), 3, "asked, forced, and detached at the end");
}

#[tokio::test]
async fn without_a_plan_an_attached_volume_is_left_alone() {
    let world = World::new(|volume| volume.attached_to(DEAD));
    let error = world.attach(false).await.unwrap_err();
    assert!(error.to_string().contains(DEAD), "{error}");
    assert_eq!(world.state(), "in-use");
    assert_eq!(world.cloud.calls("DetachVolume"), 0);
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
    assert_eq!(untagged.cloud.calls("AttachVolume"), 0);
}

#[tokio::test]
async fn a_volume_of_another_zone_or_none_at_all_is_refused() {
    let world = World::new(|volume| VolumeSpec { availability_zone: "us-east-1b".to_owned(), ..volume });
    let error = world.attach(true).await.unwrap_err();
    assert!(error.to_string().contains("us-east-1b"), "{error}");
    let gone = World::new(|volume| volume);
    assert!(gone.cloud.remove_volume(VOLUME));
    let error = gone.attach(true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::SourceNotFound);
    assert!(error.to_string().contains(VOLUME), "{error}");
}

#[tokio::test]
async fn a_name_in_use_leads_to_the_next() {
    let world = World::new(|volume| volume);
    let names = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
    let more = ('b'..='c').flat_map(|a| ('a'..='y').map(move |b| format!("/dev/xvd{a}{b}")));
    world.cloud.occupy_device_names(names.chain(more));
    world.assert_there_and_back().await;
}

#[tokio::test]
async fn an_error_of_ec2_that_passes_is_retried() {
    for call in ["DescribeVolumes", "AttachVolume", "DetachVolume"] {
        for fault in [
            FaultAction::error(503, "RequestLimitExceeded"),
            FaultAction::error(500, "InternalError"),
            FaultAction::CutRequest { after_bytes: 0 },
            FaultAction::CutResponse { after_bytes: 0 },
        ] {
            let world = World::new(|volume| volume.attached_to(DEAD));
            world.cloud.fault(call, When::First(2), fault);
            world.assert_there_and_back().await;
        }
    }
}

#[tokio::test]
async fn an_error_of_ec2_that_stays_is_reported_by_kind_and_leaves_nothing_attached() {
    for (call, fault, kind) in [
        ("DescribeVolumes", FaultAction::error(503, "RequestLimitExceeded"), Kind::Throttled),
        ("DescribeVolumes", FaultAction::error(403, "UnauthorizedOperation"), Kind::AccessDenied),
        ("AttachVolume", FaultAction::error(403, "UnauthorizedOperation"), Kind::AccessDenied),
        ("AttachVolume", FaultAction::error(500, "InternalError"), Kind::Unavailable),
        ("AttachVolume", FaultAction::error(400, "AttachmentLimitExceeded"), Kind::Unavailable),
        ("AttachVolume", FaultAction::CutRequest { after_bytes: 0 }, Kind::Unavailable),
    ] {
        let world = World::new(|volume| volume);
        world.cloud.fault(call, When::Always, fault.clone());
        let error = world.attach(true).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{call} {fault:?}: {}", error.chain());
        assert_eq!(world.state(), "available");
    }
}

#[tokio::test]
async fn a_device_that_never_appears_ends_in_a_detached_volume() {
    let world = World::without_disk();
    let error = world.attach(true).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{}", error.chain());
    assert_eq!(world.state(), "available");
}

#[tokio::test]
async fn a_worker_stopped_while_it_attaches_detaches() {
    let world = World::without_disk();
    let stop = CancellationToken::new();
    let ask = stop.clone();
    let (result, ()) = tokio::join!(world.attach_until(true, &stop), async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), Kind::Interrupted);
    assert_eq!(world.state(), "available");
}
