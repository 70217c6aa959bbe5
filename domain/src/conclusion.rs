//! What stays of an export when it is over: a row of the catalog and the pointer to the newest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::arn::RecoveryPointArn;
use crate::id::{AccountId, ExecutionArn, ExportId, Region, VaultName};
use crate::key::Prefix;
use crate::manifest::{Artifact, Manifest};
use crate::plan::{Plan, VerifyMode};

/// The only schema version so far.
pub const SCHEMA_VERSION: u32 = 1;

/// A finished export: one line of JSON, which Athena reads as one row. Names are in snake case because Athena's are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogRow {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The export.
    pub export_id: ExportId,
    /// The execution that finished it.
    pub execution: ExecutionArn,
    /// 0, or what a person asked for.
    pub generation: u32,
    /// The recovery point.
    pub recovery_point_arn: RecoveryPointArn,
    /// The vault in which it lay.
    pub vault_name: VaultName,
    /// What was backed up.
    pub resource_arn: String,
    /// Its own name.
    pub resource_id: String,
    /// AWS Backup's name of its type.
    pub resource_type: String,
    /// Its account.
    pub account_id: AccountId,
    pub region: Region,
    /// When the backup was made.
    pub created_at: Timestamp,
    /// When the execution started.
    pub started_at: Timestamp,
    /// When the export was concluded.
    pub concluded_at: Timestamp,
    /// Where the artifacts are.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: Prefix,
    /// Keys of the manifests, one for each volume, database or table.
    pub manifests: Vec<String>,
    /// `archive`, `dump`, `parquet` or `dynamodb`.
    #[serde(default)]
    pub method: Option<String>,
    /// How many archives, images, dumps and objects that AWS wrote there are.
    pub artifacts: u64,
    /// Their size.
    pub bytes: u64,
    /// Size of what is in the archives, images and dumps.
    pub uncompressed_bytes: u64,
    /// Tar entries, image blocks, and rows or items in them.
    pub entries: u64,
    /// How the export was verified.
    pub verify: VerifyMode,
    /// Whether the recovery point was deleted afterwards.
    pub recovery_point_deleted: bool,
    /// Why it was kept, where deletion was asked for and the settings keep it.
    #[serde(default)]
    pub recovery_point_kept: Option<String>,
}

/// Rows of a dump, entries or blocks of anything else.
fn entries(artifact: &Artifact) -> u64 {
    match &artifact.dump {
        Some(dump) => dump.tables.iter().map(|table| table.rows).sum(),
        None => artifact.entries,
    }
}

/// What became of the recovery point of a finished export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nobody asked for its deletion, or it is still there for whatever reason.
    Untouched,
    /// The settings keep it, and this is why.
    Kept(String),
    /// It is gone.
    Deleted,
}

/// The newest finished export of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The export.
    pub export_id: ExportId,
    /// The recovery point.
    pub recovery_point_arn: RecoveryPointArn,
    /// When the backup was made. The pointer moves only to a later backup, or to a later generation of the same.
    pub created_at: Timestamp,
    /// 0, or what a person asked for.
    pub generation: u32,
    /// When the export was concluded.
    pub concluded_at: Timestamp,
    /// What the artifacts' keys begin with.
    pub prefix: Prefix,
    /// Keys of the manifests.
    pub manifests: Vec<String>,
    /// The row in the catalog.
    pub catalog_key: String,
}

impl CatalogRow {
    /// The row of a finished export, with totals from its manifests, in the order of the plan's volumes.
    pub fn new(plan: &Plan, manifests: &[Manifest], fate: &Fate, concluded_at: Timestamp) -> Self {
        let artifacts = || manifests.iter().flat_map(|manifest| &manifest.artifacts);
        let natives = || manifests.iter().filter_map(|manifest| manifest.native.as_ref());
        let point = &plan.recovery_point;
        Self {
            schema_version: SCHEMA_VERSION,
            export_id: plan.export_id.clone(),
            execution: plan.execution.clone(),
            generation: plan.generation,
            recovery_point_arn: point.arn.clone(),
            vault_name: point.vault_name.clone(),
            resource_arn: point.resource_arn.clone(),
            resource_id: point.resource_id.clone(),
            resource_type: point.resource_type.clone(),
            account_id: point.account_id.clone(),
            region: point.region.clone(),
            created_at: point.created_at,
            started_at: plan.started_at,
            concluded_at,
            bucket: plan.bucket.to_string(),
            prefix: plan.prefix.clone(),
            manifests: plan.units.iter().map(crate::plan::Unit::manifest_key).collect(),
            method: plan.units.first().map(|unit| unit.source.method().to_owned()),
            artifacts: artifacts().map(|_| 1).chain(natives().map(|native| native.objects)).sum(),
            bytes: artifacts().map(|artifact| artifact.bytes).chain(natives().map(|native| native.bytes)).sum(),
            uncompressed_bytes: artifacts().map(|artifact| artifact.uncompressed_bytes).sum(),
            entries: artifacts().map(entries).chain(natives().map(|native| native.items)).sum(),
            verify: plan.verify,
            recovery_point_deleted: *fate == Fate::Deleted,
            recovery_point_kept: match fate {
                Fate::Kept(why) => Some(why.clone()),
                Fate::Untouched | Fate::Deleted => None,
            },
        }
    }

    /// Whether this row knows more of the recovery point's fate than `other`. What is deleted never comes back.
    pub fn tells_more_than(&self, other: &Self) -> bool {
        let known = |row: &Self| (row.recovery_point_deleted, row.recovery_point_kept.is_some());
        known(self) > known(other)
    }

    /// One line of JSON with its newline.
    pub fn to_json_line(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("a row holds nothing that JSON cannot");
        json.push(b'\n');
        json
    }

    /// The pointer to this export.
    pub fn latest(&self, catalog_key: &str) -> Latest {
        Latest {
            schema_version: SCHEMA_VERSION,
            export_id: self.export_id.clone(),
            recovery_point_arn: self.recovery_point_arn.clone(),
            created_at: self.created_at,
            generation: self.generation,
            concluded_at: self.concluded_at,
            prefix: self.prefix.clone(),
            manifests: self.manifests.clone(),
            catalog_key: catalog_key.to_owned(),
        }
    }
}

impl Latest {
    /// Whether this pointer takes the place of `other`: exports finish in any order, backups do not.
    pub fn supersedes(&self, other: &Self) -> bool {
        (self.created_at, self.generation) > (other.created_at, other.generation)
    }

    /// Indented, as people read it.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a pointer holds nothing that JSON cannot");
        json.push(b'\n');
        json
    }
}
