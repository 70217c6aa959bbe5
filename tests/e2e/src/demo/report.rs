//! What the demo prints about an execution: states, objects, throughput, verification, what was cleaned up.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use domain::key::MANIFEST;
use domain::manifest::{Artifact, Manifest};
use local_cloud::{ExecutionResult, ExecutionStatus};

use crate::System;
use crate::stack::{BUCKET, VAULT};

/// A title with space around it.
pub(crate) fn heading(title: &str) {
    println!("\n── {title} {}", "─".repeat(96_usize.saturating_sub(title.chars().count())));
}

/// A remark.
pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// Reports a finished export and returns the keys of its manifests. Fails when the execution did.
pub(crate) fn export(system: &System, execution: &ExecutionResult, arn: &str) -> Result<Vec<String>> {
    states(execution, arn);
    ensure!(
        execution.status == ExecutionStatus::Succeeded,
        "the export of {arn} ended as {}: {}: {}",
        execution.status,
        execution.error.as_deref().unwrap_or_default(),
        execution.cause.as_deref().unwrap_or_default()
    );
    let mut manifests = Vec::new();
    for object in system.cloud.objects(BUCKET, "data/")? {
        let Some(prefix) = object.key.strip_suffix(MANIFEST) else { continue };
        let manifest = Manifest::parse(&system.cloud.object(BUCKET, &object.key)?, prefix)
            .with_context(|| format!("read {}", object.key))?;
        if manifest.execution.as_ref().is_some_and(|arn| arn.as_str() == execution.arn) {
            objects(prefix, &manifest);
            manifests.push(object.key);
        }
    }
    ensure!(!manifests.is_empty(), "the export of {arn} left no manifest");
    verification(system, execution);
    cleanup(system);
    match system.cloud.recovery_point(VAULT, arn) {
        Some(_) => note("kept         the recovery point is still in the vault"),
        None => note("deleted      the recovery point, after the verification (DELETE_RECOVERY_POINT is true here)"),
    }
    Ok(manifests)
}

/// Reports an export that failed, and that nothing of it is left.
pub(crate) fn failure(system: &System, execution: &ExecutionResult, arn: &str) -> Result<()> {
    states(execution, arn);
    note(&format!("error        {}", execution.error.as_deref().unwrap_or("none")));
    note(&format!("cause        {}", execution.cause.as_deref().unwrap_or("none")));
    cleanup(system);
    let leftovers = system.cloud.leftovers()?;
    ensure!(leftovers.is_empty(), "left behind: {leftovers:?}");
    let snapshot = arn.rsplit('/').next().unwrap_or_default();
    let objects = system.cloud.objects(BUCKET, "data/")?;
    ensure!(!objects.iter().any(|object| object.key.contains(snapshot)), "objects of the failed export are left");
    ensure!(system.cloud.recovery_point(VAULT, arn).is_some(), "the recovery point of a failed export is gone");
    note(
        "left behind  no volume, no attachment, no mount, no loop device, no upload, no object; the recovery point stays",
    );
    Ok(())
}

/// The states passed, a run of turns of one loop as one.
fn states(execution: &ExecutionResult, arn: &str) {
    note(&format!("recovery     {arn}"));
    note(&format!("execution    {}", execution.arn.rsplit(':').next().unwrap_or_default()));
    let mut line = String::new();
    for state in &execution.states {
        let step = match state.took {
            Some(took) if took >= Duration::from_millis(50) => format!("{} {:.1}s", state.name, took.as_secs_f64()),
            _ => state.name.clone(),
        };
        if line.chars().count() + step.chars().count() > 96 {
            note(&format!("             {line}"));
            line.clear();
        }
        line.push_str(&step);
        line.push_str(" › ");
    }
    note(&format!("             {line}{} after {:.1} s", execution.status, execution.duration.as_secs_f64()));
}

fn objects(prefix: &str, manifest: &Manifest) {
    note(&format!("objects      s3://{BUCKET}/{prefix}"));
    for artifact in &manifest.artifacts {
        note(&format!("             {}", describe(artifact)));
        if let Some(reason) = &artifact.fallback_reason {
            note(&format!("                 an image, because: {reason}"));
        }
    }
    for skipped in &manifest.skipped {
        let what = skipped.source.partition.map_or("disk".to_owned(), |number| format!("partition {number}"));
        note(&format!("             {what} left out: {}", skipped.reason));
    }
    if let Some(native) = &manifest.native {
        note(&format!(
            "             {} objects that AWS wrote ({}), {} of them: {} items, each file's checksum and count as AWS's manifest says",
            native.objects,
            native.format,
            size(native.bytes),
            native.items
        ));
        return;
    }
    let read: u64 = manifest.artifacts.iter().map(|artifact| artifact.uncompressed_bytes).sum();
    let milliseconds: u64 = manifest.artifacts.iter().map(|artifact| artifact.duration_ms).sum();
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with one digit")]
    let rate = read as f64 / f64::from(1 << 20) / (milliseconds.max(1) as f64 / 1000.0);
    note(&format!("throughput   {rate:.0} MiB/s of archived data: {} in {:.1} s", size(read), seconds(milliseconds)));
}

fn describe(artifact: &Artifact) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a ratio is shown with three digits")]
    let ratio = artifact.bytes as f64 / artifact.uncompressed_bytes.max(1) as f64;
    let (what, entries) = match (&artifact.source, &artifact.dump) {
        (_, Some(dump)) => {
            let rows: u64 = dump.tables.iter().map(|table| table.rows).sum();
            (dump.database.as_deref().unwrap_or("roles"), format!("{} objects, {rows} rows", dump.objects))
        }
        (source, None) => {
            let filesystem = source.as_ref().and_then(|source| source.filesystem.as_deref());
            (filesystem.unwrap_or("no filesystem"), format!("{} entries", artifact.entries))
        }
    };
    format!(
        "{:<22} {what:<14} {:>10} of {:>10}, ratio {ratio:.3}, {entries}",
        artifact.name,
        size(artifact.bytes),
        size(artifact.uncompressed_bytes),
    )
}

fn verification(system: &System, execution: &ExecutionResult) {
    let short = domain_short(&execution.arn);
    for job in system.cloud.jobs() {
        if job.name.contains(&short) && job.name.ends_with("-verify") && job.status == "SUCCEEDED" {
            note(&format!(
                "verified     read back from S3 and compared with the manifest, every hash: job {}",
                job.name
            ));
        }
    }
}

/// What Cleanup and the reaper took away, by the requests that they made.
fn cleanup(system: &System) {
    let mut removed: Vec<String> = system
        .cloud
        .requests()
        .all()
        .into_iter()
        .filter(|request| (200..300).contains(&request.status))
        .filter_map(|request| match request.operation.as_str() {
            "DetachVolume"
            | "DeleteVolume"
            | "AbortMultipartUpload"
            | "TerminateJob"
            | "DeleteDBInstance"
            | "DeleteDBCluster"
            | "DeleteParameter"
            | "DeleteTable" => Some(format!("{} {}", request.operation, request.resource)),
            _ => None,
        })
        .collect();
    removed.dedup();
    for step in removed {
        note(&format!("cleaned up   {step}"));
    }
}

fn domain_short(execution: &str) -> String {
    execution.parse().map(|arn| domain::name::short_execution(&arn)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a size is shown with one digit")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are shown with one digit")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
