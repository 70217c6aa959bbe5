//! Plans, as the claim in the bucket holds them.

#![allow(dead_code, reason = "each test binary uses its part")]

use domain::claim::Claim;
use domain::manifest::Manifest;
use domain::plan::{Placement, Plan, Unit, VerifyMode, VolumeOptions, WorkerOptions};
use domain::source::Source;

use crate::fake::{BUCKET, Fake, OWNER};

pub(crate) const CLAIM: &str = "claims/exp-0123456789abcdef0123.json";
pub(crate) const KEY: &str = "orders";
pub(crate) const PREFIX: &str = "data/rds/123456789012/us-east-1/orders/2026-11-02T030405Z_job-1f2e/";
const INDEX: &str = "catalog/files/account_id=123456789012/region=us-east-1/resource_type=rds/year=2026/month=11/exp-0123456789abcdef0123-";
pub(crate) const VOLUME_KEY: &str = "vol-0aaaaaaaaaaaaaaaa";
pub(crate) const VOLUME_PREFIX: &str =
    "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/";
pub(crate) const VOLUME_INDEX: &str = "catalog/files/account_id=123456789012/region=us-east-1/resource_type=ebs/year=2026/month=11/exp-0123456789abcdef0123-";
/// Of a volume.
const GOLDEN: &str = include_str!("../../../domain/golden/manifest.json");

/// A plan of one unit.
pub(crate) fn plan(source: Source) -> Plan {
    let golden = Manifest::parse(GOLDEN.as_bytes(), VOLUME_PREFIX).unwrap();
    let (key, place, index) = match source {
        Source::Volume(_) => (VOLUME_KEY, VOLUME_PREFIX, VOLUME_INDEX),
        Source::Database(_) | Source::SnapshotExport(_) | Source::Table(_) => (KEY, PREFIX, INDEX),
    };
    let prefix = |text: &str| serde_json::from_value(text.into()).unwrap();
    Plan {
        schema_version: domain::plan::SCHEMA_VERSION,
        export_id: golden.export_id.unwrap(),
        execution: golden.execution.unwrap(),
        generation: 0,
        started_at: "2026-11-21T09:00:00Z".parse().unwrap(),
        recovery_point: golden.recovery_point.unwrap(),
        bucket: BUCKET.parse().unwrap(),
        bucket_owner: OWNER.parse().unwrap(),
        prefix: prefix(place),
        catalog_key: String::new(),
        latest_key: String::new(),
        claim_key: CLAIM.to_owned(),
        units: vec![Unit {
            key: key.to_owned(),
            source,
            prefix: prefix(place),
            index_prefix: prefix(index),
            restore_timeout_seconds: 60,
            export_job_name: String::new(),
            verify_job_name: String::new(),
            export_timeout_seconds: 60,
            verify_timeout_seconds: 60,
            export_task_seconds: 60,
            verify_task_seconds: 60,
        }],
        placements: vec![Placement { availability_zone: "us-east-1a".parse().unwrap(), job_queue: String::new() }],
        volume_options: VolumeOptions {
            volume_type: "gp3".to_owned(),
            throughput_mib: None,
            iops: None,
            initialization_rate_mib: None,
            kms_key_id: None,
        },
        worker_options: WorkerOptions { codec: "gzip".to_owned(), level: 6, readers: 8 },
        export_job_definition: String::new(),
        verify_job_definition: String::new(),
        verify: VerifyMode::Readback,
        delete_recovery_point: false,
        retention: domain::plan::Retention::default(),
        resource_tags: std::collections::BTreeMap::new(),
        poll_seconds: 1,
    }
}

/// Puts the claim of a plan into the bucket.
pub(crate) fn claim(fake: &Fake, plan: Plan) {
    fake.put(CLAIM, Claim::new(plan, "2026-11-21T09:00:00Z".parse().unwrap()).to_json());
}
