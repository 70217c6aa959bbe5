//! Plans of one unit, as the claim in the bucket holds them.

use std::collections::BTreeMap;

use domain::claim::Claim;
use domain::manifest::Manifest;
use domain::plan::{Placement, Plan, Retention, Unit, VerifyMode, VolumeOptions, WorkerOptions};
use domain::source::Source;

/// The key of the claim.
pub const CLAIM: &str = "claims/exp-0123456789abcdef0123.json";
/// The unit of everything but volumes.
pub const KEY: &str = "orders";
/// Where its objects are.
pub const PREFIX: &str = "data/rds/123456789012/us-east-1/orders/2026-11-02T030405Z_job-1f2e/";
/// What the keys of its indexes begin with.
pub const INDEX: &str = "catalog/files/account_id=123456789012/region=us-east-1/resource_type=rds/year=2026/month=11/exp-0123456789abcdef0123-";
/// The unit of a volume.
pub const VOLUME_KEY: &str = "vol-0aaaaaaaaaaaaaaaa";
/// Where its objects are.
pub const VOLUME_PREFIX: &str =
    "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/";
/// What the keys of its indexes begin with.
pub const VOLUME_INDEX: &str = "catalog/files/account_id=123456789012/region=us-east-1/resource_type=ebs/year=2026/month=11/exp-0123456789abcdef0123-";

/// The manifest of a volume, from which the plans take recovery point and execution.
const GOLDEN: &str = include_str!("../../../domain/golden/manifest.json");

/// A plan of one unit, into this bucket of this account.
pub fn plan(source: Source, bucket: &str, bucket_owner: &str) -> Plan {
    let golden = Manifest::parse(GOLDEN.as_bytes(), VOLUME_PREFIX).expect("the golden manifest is one");
    let (key, place, index) = match source {
        Source::Volume(_) => (VOLUME_KEY, VOLUME_PREFIX, VOLUME_INDEX),
        Source::Database(_) | Source::SnapshotExport(_) | Source::Table(_) => (KEY, PREFIX, INDEX),
    };
    let prefix = |text: &str| serde_json::from_value(text.into()).expect("a prefix");
    Plan {
        schema_version: domain::plan::SCHEMA_VERSION,
        export_id: golden.export_id.expect("the golden manifest has an export id"),
        execution: golden.execution.expect("the golden manifest has an execution"),
        generation: 0,
        started_at: "2026-11-21T09:00:00Z".parse().expect("a time"),
        recovery_point: golden.recovery_point.expect("the golden manifest has a recovery point"),
        bucket: bucket.parse().expect("the name of a bucket"),
        bucket_owner: bucket_owner.parse().expect("an account"),
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
        placements: vec![Placement {
            availability_zone: "us-east-1a".parse().expect("a zone"),
            job_queue: String::new(),
        }],
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
        retention: Retention::default(),
        resource_tags: BTreeMap::new(),
        poll_seconds: 1,
    }
}

/// The claim of a plan, which belongs under [`CLAIM`].
pub fn claim(plan: Plan) -> Vec<u8> {
    Claim::new(plan, "2026-11-21T09:00:00Z".parse().expect("a time")).to_json()
}

#[cfg(test)]
mod tests {
    use domain::source::VolumeSource;

    use super::*;

    #[test]
    fn a_claim_holds_its_plan() {
        let source = Source::Volume(VolumeSource {
            snapshot_id: "snap-0123456789abcdef0".parse().unwrap(),
            size_gib: 1,
            device_name: None,
            kms_key_id: None,
        });
        let plan = plan(source, "backups", "123456789012");
        let claim: serde_json::Value = serde_json::from_slice(&claim(plan.clone())).unwrap();
        assert_eq!(claim["plan"], serde_json::to_value(&plan).unwrap());
        assert_eq!(plan.units[0].key, VOLUME_KEY);
    }
}
