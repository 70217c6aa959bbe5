//! Recovery points, volumes, and instance metadata, as the AWS CLI and a mounting host see them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{LONG, aws, aws_fails, cloud, run};
use local_cloud::{Deletion, LocalCloud, RecoveryPointOptions, VolumeFate, VolumeImage};

fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn image(cloud: &LocalCloud) -> PathBuf {
    let path = cloud.directory().join("disk.img");
    let (tree, image) = (cloud.directory().join("tree"), path.display());
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(tree.join("hello"), "world").unwrap();
    sh(&format!("truncate -s 64M {image}; mkfs.ext4 -q -d {} {image}", tree.display()));
    path
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LONG, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn state(cloud: &LocalCloud) -> String {
    cloud.volumes().first().map_or_else(|| "gone".to_owned(), |volume| volume.state.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_becomes_a_disk_and_goes_again() {
    let cloud = cloud().await;
    let arn = cloud.add_ebs_recovery_point("vault", &image(&cloud), RecoveryPointOptions::default()).unwrap();
    let snapshot = arn.rsplit('/').next().unwrap();
    let described = aws(&cloud, &format!("ec2 describe-snapshots --snapshot-ids {snapshot}")).await;
    assert_eq!(
        (&described["Snapshots"][0]["VolumeSize"], &described["Snapshots"][0]["State"]),
        (&1.into(), &"completed".into())
    );
    let create = format!(
        "ec2 create-volume --availability-zone us-east-1a --snapshot-id {snapshot} --volume-type gp3 --client-token t --tag-specifications ResourceType=volume,Tags=[{{Key=backup-export:export-id,Value=e}}]"
    );
    let volume = aws(&cloud, &create).await["VolumeId"].as_str().unwrap().to_owned();
    assert_eq!(aws(&cloud, &create).await["VolumeId"], volume.as_str(), "the token is honoured");
    assert!(aws_fails(&cloud, &create.replace("gp3", "gp2")).await.contains("IdempotentParameterMismatch"));
    until("available", || state(&cloud) == "available").await;
    let found = aws(
        &cloud,
        "ec2 describe-volumes --filters Name=tag:backup-export:export-id,Values=e Name=status,Values=available",
    )
    .await;
    assert_eq!(found["Volumes"][0]["VolumeId"], volume.as_str());

    let instance = aws(&cloud, "ec2 describe-instances --filters Name=availability-zone,Values=us-east-1a").await;
    let instance = instance["Reservations"][0]["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();
    let attach = format!("ec2 attach-volume --volume-id {volume} --instance-id {instance} --device /dev/sdf");
    assert_eq!(aws(&cloud, &attach).await["State"], "attaching");
    assert!(aws_fails(&cloud, &attach).await.contains("VolumeInUse"));
    assert!(aws_fails(&cloud, &format!("ec2 delete-volume --volume-id {volume}")).await.contains("VolumeInUse"));
    let attached =
        |cloud: &LocalCloud| cloud.volumes()[0].attachment.as_ref().is_some_and(|(_, state)| state == "attached");
    until("attached", || attached(&cloud)).await;
    let serial = volume.replace('-', "");
    let link = cloud.directory().join(format!("dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"));
    let device = std::fs::canonicalize(&link).unwrap();
    let name = device.file_name().unwrap().to_str().unwrap();
    let recorded =
        std::fs::read_to_string(cloud.directory().join(format!("sys/class/block/{name}/device/serial"))).unwrap();
    assert_eq!(recorded.trim_end(), serial);
    assert_eq!(cloud.leftovers().unwrap().loop_devices, [device.display().to_string()]);

    // A mounted volume stays detaching.
    let mount = cloud.directory().join("mnt");
    std::fs::create_dir(&mount).unwrap();
    let (device, mount) = (device.display(), mount.display());
    assert_eq!(sh(&format!("mount -o ro {device} {mount}; cat {mount}/hello")), "world");
    assert_eq!(cloud.leftovers().unwrap().mounts.len(), 1);
    assert_eq!(aws(&cloud, &format!("ec2 detach-volume --volume-id {volume}")).await["State"], "detaching");
    let view = aws(&cloud, &format!("ec2 describe-volumes --volume-ids {volume}")).await;
    assert_eq!(view["Volumes"][0]["Attachments"][0]["State"], "detaching");
    sh(&format!("umount {mount}"));
    until("detached", || state(&cloud) == "available").await;
    assert!(!link.is_symlink());
    aws(&cloud, &format!("ec2 delete-volume --volume-id {volume}")).await;
    assert!(
        aws_fails(&cloud, &format!("ec2 describe-volumes --volume-ids {volume}"))
            .await
            .contains("InvalidVolume.NotFound")
    );
    assert!(cloud.leftovers().unwrap().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_gives_read_errors() {
    let cloud = cloud().await;
    let arn = cloud.add_ebs_recovery_point("vault", &image(&cloud), RecoveryPointOptions::default()).unwrap();
    let snapshot = arn.rsplit('/').next().unwrap();
    cloud.break_snapshot(snapshot, 32 << 20).unwrap();
    let made = aws(&cloud, &format!("ec2 create-volume --availability-zone us-east-1b --snapshot-id {snapshot}")).await;
    let volume = made["VolumeId"].as_str().unwrap();
    until("available", || state(&cloud) == "available").await;
    let instance = aws(&cloud, "ec2 describe-instances --filters Name=availability-zone,Values=us-east-1b").await;
    let instance = instance["Reservations"][0]["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();
    aws(&cloud, &format!("ec2 attach-volume --volume-id {volume} --instance-id {instance} --device /dev/sdf")).await;
    until("attached", || cloud.volumes()[0].device.is_some()).await;
    let device = cloud.volumes()[0].device.clone().unwrap();
    let read = |skip: u32| {
        let (input, skip) = (format!("if={}", device.display()), format!("skip={skip}"));
        Command::new("dd")
            .args([input.as_str(), "of=/dev/null", "bs=1M", "count=1", &skip])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(read(1), "before the bad spot");
    assert!(!read(40), "behind it");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_points_are_described_and_deleted_as_asked() {
    let cloud = cloud().await;
    let disk = image(&cloud);
    let add = |options| cloud.add_ebs_recovery_point("vault", &disk, options).unwrap();
    let plain = add(RecoveryPointOptions { tags: [("team".to_owned(), "a".to_owned())].into(), ..Default::default() });
    let slow = add(RecoveryPointOptions { deletion: Deletion::After(1), ..Default::default() });
    let never = add(RecoveryPointOptions { deletion: Deletion::Never, ..Default::default() });
    let refused = Deletion::Refused { code: "InvalidRequestException".to_owned(), message: "held".to_owned() };
    let held = add(RecoveryPointOptions { deletion: refused, ..Default::default() });
    let volumes = [
        VolumeImage { device_name: "/dev/xvda".to_owned(), image: disk.clone() },
        VolumeImage { device_name: "/dev/sdb".to_owned(), image: disk.clone() },
    ];
    let ami = cloud.add_ec2_recovery_point("vault", &volumes, RecoveryPointOptions::default()).unwrap();
    let describe =
        |arn: &str| format!("backup describe-recovery-point --backup-vault-name vault --recovery-point-arn {arn}");
    let delete =
        |arn: &str| format!("backup delete-recovery-point --backup-vault-name vault --recovery-point-arn {arn}");

    assert_eq!(aws(&cloud, &describe(&plain)).await["Status"], "COMPLETED");
    assert_eq!(aws(&cloud, &format!("backup list-tags --resource-arn {plain}")).await["Tags"]["team"], "a");
    let listed =
        aws(&cloud, "backup list-recovery-points-by-backup-vault --backup-vault-name vault --page-size 2").await;
    assert_eq!(listed["RecoveryPoints"].as_array().unwrap().len(), 5);
    let image_id = ami.rsplit('/').next().unwrap();
    let described = aws(&cloud, &format!("ec2 describe-images --image-ids {image_id}")).await;
    assert_eq!(described["Images"][0]["BlockDeviceMappings"].as_array().unwrap().len(), 2);
    assert!(
        aws_fails(&cloud, &describe(&plain).replace("name vault", "name other"))
            .await
            .contains("ResourceNotFoundException")
    );

    aws(&cloud, &delete(&plain)).await;
    assert!(aws_fails(&cloud, &describe(&plain)).await.contains("ResourceNotFoundException"));
    aws(&cloud, &delete(&slow)).await;
    assert_eq!(aws(&cloud, &describe(&slow)).await["Status"], "EXPIRED");
    assert!(aws_fails(&cloud, &describe(&slow)).await.contains("ResourceNotFoundException"));
    aws(&cloud, &delete(&never)).await;
    assert_eq!(aws(&cloud, &describe(&never)).await["Status"], "EXPIRED");
    assert!(aws_fails(&cloud, &delete(&held)).await.contains("InvalidRequestException"));
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_can_fail_to_come_up() {
    let cloud = cloud().await;
    let disk = image(&cloud);
    let failing = RecoveryPointOptions { volumes: VolumeFate::Error, ..Default::default() };
    let arn = cloud.add_ebs_recovery_point("vault", &disk, failing).unwrap();
    aws(
        &cloud,
        &format!("ec2 create-volume --availability-zone us-east-1a --snapshot-id {}", arn.rsplit('/').next().unwrap()),
    )
    .await;
    until("error", || state(&cloud) == "error").await;
    until("gone", || state(&cloud) == "gone").await;
    let archived = RecoveryPointOptions { archived: true, ..Default::default() };
    let arn = cloud.add_ebs_recovery_point("vault", &disk, archived).unwrap();
    let create =
        format!("ec2 create-volume --availability-zone us-east-1a --snapshot-id {}", arn.rsplit('/').next().unwrap());
    assert!(aws_fails(&cloud, &create).await.contains("IncorrectState"));
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_knows_itself_by_imdsv2_alone() {
    let cloud = cloud().await;
    let script = r#"
import os, urllib.request, urllib.error
base = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "/latest/"
def get(path, **headers):
    return urllib.request.urlopen(urllib.request.Request(base + path, headers=headers)).read().decode()
try:
    get("meta-data/instance-id"); raise SystemExit("answered without a token")
except urllib.error.HTTPError as error:
    assert error.code == 401
request = urllib.request.Request(base + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
token = {"X-aws-ec2-metadata-token": urllib.request.urlopen(request).read().decode()}
assert get("meta-data/instance-id", **token).startswith("i-")
assert get("meta-data/placement/availability-zone", **token) == "us-east-1a"
assert '"instanceId"' in get("dynamic/instance-identity/document", **token)
"#;
    let (code, text) = run(&cloud, "python", &["-c", script]).await;
    assert_eq!(code, 0, "{text}");
    assert!(Path::new(&cloud.directory()).exists());
    cloud.shutdown().await.unwrap();
}
