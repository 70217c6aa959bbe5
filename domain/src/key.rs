//! The layout of the export bucket. Object keys are built here and nowhere else.
//!
//! ```text
//! data/<type>/<account>/<region>/<resource>/<time>_<recovery point>/[<volume key>/]…    artifacts, manifest.json
//! catalog/files/account_id=…/region=…/resource_type=…/year=…/month=…/<export id>-…parquet
//! catalog/exports/account_id=…/region=…/resource_type=…/year=…/month=…/<export id>.json
//! latest/<type>/<account>/<region>/<resource>.json
//! claims/<export id>.json
//! ```

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::arn::RecoveryPointArn;
use crate::id::{AccountId, ExportId, Region};

/// Name of the manifest within a prefix.
pub const MANIFEST: &str = "manifest.json";
/// Name of the saved partition table within a prefix.
pub const PARTITION_TABLE: &str = "partition-table.json";
/// Name of the list of the objects that AWS itself wrote, within a prefix.
pub const NATIVE_LISTING: &str = "objects.jsonl";
/// Name under which a failing worker leaves its last word, within a prefix.
pub const ERROR: &str = "error.json";
/// Everything under this prefix is the archives themselves.
pub const DATA: &str = "data/";
/// Everything under this prefix is a row of a finished export.
pub const EXPORTS: &str = "catalog/exports/";
/// Everything under this prefix says who is exporting.
pub const CLAIMS: &str = "claims/";

/// An object key prefix that ends in `/` (or, for index objects, in `-`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prefix(String);

impl Prefix {
    /// The key of `name` under this prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    /// The prefix of the folder `name` under this one.
    pub fn folder(&self, name: &str) -> Self {
        Self(format!("{}{}/", self.0, segment(name)))
    }

    /// The prefix as S3 wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the place of an export in the bucket depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The export.
    pub export_id: &'a ExportId,
    pub recovery_point: &'a RecoveryPointArn,
    /// When the recovery point was made.
    pub created_at: Timestamp,
    /// AWS Backup's name of the resource's type: `EBS`, `EC2`.
    pub resource_type: &'a str,
    /// The account of the resource.
    pub account: &'a AccountId,
    /// The Region of the recovery point.
    pub region: &'a Region,
    /// The resource's own name: a volume, instance, table.
    pub resource: &'a str,
    /// 0, or what a person asked for: another generation lies beside the first and never replaces it.
    pub generation: u32,
}

impl Subject<'_> {
    /// Where the artifacts go.
    pub fn data_prefix(&self) -> Prefix {
        let generation = match self.generation {
            0 => String::new(),
            n => format!("_g{n}"),
        };
        Prefix(format!(
            "{DATA}{}/{}_{}{generation}/",
            self.resource_path(),
            utc(self.created_at, "%Y-%m-%dT%H%M%SZ"),
            segment(&self.recovery_point.short_id()),
        ))
    }

    /// What the keys of the file indexes of this export begin with. A volume of several adds its key and a dash.
    pub fn index_prefix(&self, unit_key: Option<&str>) -> Prefix {
        let unit = unit_key.map(|key| format!("{}-", segment(key))).unwrap_or_default();
        Prefix(format!("catalog/files/{}/{}-{unit}", self.catalog_partition(), self.export_id))
    }

    /// The row that says that the export is finished.
    pub fn catalog_key(&self) -> String {
        format!("{EXPORTS}{}/{}.json", self.catalog_partition(), self.export_id)
    }

    /// The pointer to the newest finished export of the resource.
    pub fn latest_key(&self) -> String {
        format!("latest/{}.json", self.resource_path())
    }

    fn resource_path(&self) -> String {
        format!("{}/{}/{}/{}", self.type_segment(), self.account, self.region, segment(self.resource))
    }

    /// Athena finds these by partition projection, so that no table repair is needed.
    fn catalog_partition(&self) -> String {
        format!(
            "account_id={}/region={}/resource_type={}/{}",
            self.account,
            self.region,
            self.type_segment(),
            utc(self.created_at, "year=%Y/month=%m"),
        )
    }

    fn type_segment(&self) -> String {
        segment(&self.resource_type.to_ascii_lowercase())
    }
}

/// The claim of an export.
pub fn claim_key(export_id: &ExportId) -> String {
    format!("{CLAIMS}{export_id}.json")
}

fn utc(time: Timestamp, format: &str) -> String {
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// A name as one path segment: what S3 calls safe characters stays, anything else becomes `_`, and a name that would be
/// empty or climb (`.`, `..`) is spelt out.
pub fn segment(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect();
    if safe.chars().all(|c| c == '.') { "_".repeat(safe.len().max(1)) } else { safe }
}

/// The export by whose id an object is named: a claim, a row of the catalog.
pub fn export_id_of(key: &str) -> Option<ExportId> {
    key.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name;
    use proptest::prelude::*;

    fn with_subject<T>(generation: u32, check: impl FnOnce(&Subject<'_>) -> T) -> T {
        let recovery_point: RecoveryPointArn =
            "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0".parse().unwrap();
        let export_id = name::export_id(&recovery_point, generation);
        check(&Subject {
            export_id: &export_id,
            recovery_point: &recovery_point,
            created_at: "2026-11-02T03:04:05.678Z".parse().unwrap(),
            resource_type: "EBS",
            account: &"123456789012".parse().unwrap(),
            region: recovery_point.region(),
            resource: "vol-0aaaaaaaaaaaaaaaa",
            generation,
        })
    }

    #[test]
    fn keys_are_where_the_design_says() {
        with_subject(0, |subject| {
            let id = subject.export_id;
            assert_eq!(
                subject.data_prefix().key(MANIFEST),
                "data/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa/2026-11-02T030405Z_snap-0123456789abcdef0/manifest.json"
            );
            assert_eq!(
                subject.index_prefix(None).key("partition-1.parquet"),
                format!(
                    "catalog/files/account_id=123456789012/region=us-east-1/resource_type=ebs/year=2026/month=11/{id}-partition-1.parquet"
                )
            );
            assert_eq!(
                subject.catalog_key(),
                format!(
                    "catalog/exports/account_id=123456789012/region=us-east-1/resource_type=ebs/year=2026/month=11/{id}.json"
                )
            );
            assert_eq!(subject.latest_key(), "latest/ebs/123456789012/us-east-1/vol-0aaaaaaaaaaaaaaaa.json");
            assert_eq!(claim_key(id), format!("claims/{id}.json"));
        });
    }

    #[test]
    fn another_generation_lies_beside_the_first() {
        let first = with_subject(0, |subject| subject.data_prefix().to_string());
        let second = with_subject(2, |subject| subject.data_prefix().to_string());
        assert_ne!(first, second);
        assert!(second.ends_with("_g2/"));
        assert!(!second.starts_with(&first));
    }

    proptest! {
        #[test]
        fn a_segment_never_climbs_or_splits(name in "\\PC*") {
            let segment = segment(&name);
            prop_assert!(!segment.is_empty() && segment != "." && segment != "..");
            prop_assert!(!segment.contains('/'));
        }
    }
}
