//! The S3 store, as the AWS CLI and boto3 see it.

use crate::support::{aws, aws_fails, cloud, run};
use local_cloud::{FaultAction, FaultRule, When};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_promises_of_s3() {
    let cloud = cloud().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/store.py");
    let (code, text) = run(&cloud, "python", &[script]).await;
    assert_eq!(code, 0, "{text}");
    assert!(cloud.uploads().is_empty());
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_there_and_back_and_spoiled_bytes_show() {
    let cloud = cloud().await;
    let file = cloud.directory().join("large");
    let bytes: Vec<u8> = (0..100_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    std::fs::write(&file, &bytes).unwrap();
    let (from, back) = (file.display(), cloud.directory().join("back"));
    aws(&cloud, &format!("s3 cp --no-progress {from} s3://bucket/large --checksum-algorithm CRC64NVME")).await;
    let head = aws(&cloud, "s3api head-object --bucket bucket --key large --checksum-mode ENABLED").await;
    assert_eq!(head["ChecksumType"], "FULL_OBJECT");
    assert_eq!(head["ContentLength"], 100_000_000);
    aws(&cloud, &format!("s3 cp --no-progress s3://bucket/large {}", back.display())).await;
    assert!(std::fs::read(&back).unwrap() == bytes);
    assert!(cloud.objects("bucket", "lar").unwrap()[0].files.len() > 1, "parts stay files");

    cloud.flip_byte("bucket", "large", 50_000_000).unwrap();
    let mut spoiled = cloud.object("bucket", "large").unwrap();
    assert!(spoiled != bytes);
    spoiled[50_000_000] ^= 0x40;
    assert!(spoiled == bytes);
    cloud.truncate_object("bucket", "large", 10).unwrap();
    assert_eq!(cloud.object("bucket", "large").unwrap(), bytes[..10]);
    let after = aws(&cloud, "s3api head-object --bucket bucket --key large --checksum-mode ENABLED").await;
    assert_eq!(after["ChecksumCRC64NVME"], head["ChecksumCRC64NVME"], "nobody was told");
    cloud.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_hit_the_requests_they_name() {
    let cloud = cloud().await;
    let put = "s3api put-object --bucket bucket --key k --body /etc/os-release";
    let slow_down =
        FaultRule::new("s3", "PutObject", FaultAction::error(503, "SlowDown")).on("bucket/k").when(When::Nth(1));
    cloud.faults().add(slow_down);
    assert!(aws_fails(&cloud, put).await.contains("SlowDown"));
    aws(&cloud, put).await;
    cloud
        .faults()
        .add(FaultRule::new("s3", "PutObject", FaultAction::CutRequest { after_bytes: 10 }).when(When::First(1)));
    aws_fails(&cloud, put).await;
    let get = "s3api get-object --bucket bucket --key k /dev/null";
    cloud
        .faults()
        .add(FaultRule::new("s3", "GetObject", FaultAction::CutResponse { after_bytes: 5 }).when(When::First(1)));
    aws_fails(&cloud, get).await;
    aws(&cloud, get).await;
    cloud.faults().clear();
    cloud
        .faults()
        .add(FaultRule::new("ec2", "CreateVolume", FaultAction::CutResponse { after_bytes: 0 }).when(When::First(1)));
    let create = "ec2 create-volume --availability-zone us-east-1a --size 1 --client-token t1";
    aws_fails(&cloud, create).await;
    let volume = aws(&cloud, create).await;
    assert_eq!(cloud.volumes().len(), 1, "it was made by the call whose answer was lost");
    assert_eq!(cloud.volumes()[0].id, volume["VolumeId"].as_str().unwrap());
    let log = cloud.requests().of("ec2", "CreateVolume");
    assert_eq!(log.iter().map(|record| (record.status, record.fault)).collect::<Vec<_>>(), [(0, true), (200, false)]);
    cloud.shutdown().await.unwrap();
}
