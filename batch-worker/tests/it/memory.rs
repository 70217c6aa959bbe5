//! Memory stays within its bound with the settings that use the most of it.

use std::time::Duration;

use local_cloud::{FaultAction, When, WorkerCloud};
use support::disk::Disk;
use support::process::peak_memory_bytes;
use support::program::log;

use crate::worker::worker;

const BOUND_BYTES: u64 = 512 << 20;

/// Runs the worker and returns the most memory it used.
fn peak(cloud: &WorkerCloud, arguments: &[&str]) -> u64 {
    let mut child = worker(arguments, &cloud.environment()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory_bytes(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", log(&output));
    peak
}

#[test]
fn memory_is_bounded_while_uploads_lag_behind() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let disk = Disk::noise(&directory.path().join("noise"), 500 << 20).unwrap();
    let cloud = WorkerCloud::start().unwrap();
    // So that every buffer on the way fills.
    cloud.fault("UploadPart", When::Always, FaultAction::delay(Duration::from_millis(300)));
    let destination = format!("s3://{}/data/by-hand/", WorkerCloud::BUCKET);
    let peak_export = peak(
        &cloud,
        &[
            "device",
            disk.path().to_str().unwrap(),
            "--dest",
            &destination,
            "--bucket-owner",
            WorkerCloud::OWNER,
            "--part-bytes",
            "67108864",
            "--member-bytes",
            "16777216",
            "--read-ahead-bytes",
            "134217728",
            "--readers",
            "64",
        ],
    );
    assert!(peak_export < BOUND_BYTES, "the export used {} MiB", peak_export >> 20);
    assert!(peak_export > 256 << 20, "the buffers were not full: {} MiB", peak_export >> 20);
    let manifest = format!("{destination}manifest.json");
    let peak_verify = peak(&cloud, &["verify", &manifest, "--bucket-owner", WorkerCloud::OWNER]);
    assert!(peak_verify < BOUND_BYTES, "the verification used {} MiB", peak_verify >> 20);
}

#[test]
fn parts_too_large_for_memory_go_through_files() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let disk = Disk::noise(&directory.path().join("noise"), 300 << 20).unwrap();
    let cloud = WorkerCloud::start().unwrap();
    let destination = format!("s3://{}/data/by-hand/", WorkerCloud::BUCKET);
    let arguments = ["device", disk.path().to_str().unwrap(), "--dest", &destination, "--part-bytes", "134217728"];
    let used = peak(&cloud, &arguments);
    assert!(used < 256 << 20, "{} MiB", used >> 20);
    assert_eq!(cloud.calls("UploadPart"), 3);
    let manifest = format!("{destination}manifest.json");
    peak(&cloud, &["verify", &manifest]);
}
