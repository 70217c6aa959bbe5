//! Memory stays within its bound with the settings that use the most of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod fake;

use std::time::Duration;

use disk::{log, noise, peak_memory_bytes, worker};
use fake::{BUCKET, Fake, Fault, OWNER, When};

const BOUND_BYTES: u64 = 512 << 20;

/// Runs the worker and returns the most memory it used.
fn peak(fake: &Fake, arguments: &[&str]) -> u64 {
    let mut child = worker(arguments, &fake.environment()).spawn().unwrap();
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
    let disk = noise(directory.path(), 500 << 20);
    let fake = Fake::start();
    // So that every buffer on the way fills.
    fake.fault("UploadPart", When::Always, Fault::Slow(Duration::from_millis(300)));
    let destination = format!("s3://{BUCKET}/data/by-hand/");
    let peak_export = peak(
        &fake,
        &[
            "device",
            disk.to_str().unwrap(),
            "--dest",
            &destination,
            "--bucket-owner",
            OWNER,
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
    let peak_verify = peak(&fake, &["verify", &manifest, "--bucket-owner", OWNER]);
    assert!(peak_verify < BOUND_BYTES, "the verification used {} MiB", peak_verify >> 20);
}

#[test]
fn parts_too_large_for_memory_go_through_files() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let disk = noise(directory.path(), 300 << 20);
    let fake = Fake::start();
    let destination = format!("s3://{BUCKET}/data/by-hand/");
    let arguments = ["device", disk.to_str().unwrap(), "--dest", &destination, "--part-bytes", "134217728"];
    let used = peak(&fake, &arguments);
    assert!(used < 256 << 20, "{} MiB", used >> 20);
    assert_eq!(fake.calls("UploadPart"), 3);
    let manifest = format!("{destination}manifest.json");
    peak(&fake, &["verify", &manifest]);
}
