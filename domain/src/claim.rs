//! The claim of an export: who works on it, and by which plan.
//!
//! It is created by a conditional write and deleted by one. A claim whose execution no longer runs means that nobody
//! has cleaned up yet, so it keeps the whole plan for whoever does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::ExecutionArn;
use crate::plan::Plan;

/// The only schema version so far.
pub const SCHEMA_VERSION: u32 = 1;

/// The object at [`claim_key`](crate::key::claim_key).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The execution that holds the claim.
    pub execution: ExecutionArn,
    /// When it was made.
    pub claimed_at: Timestamp,
    /// The plan by which the execution works.
    pub plan: Plan,
}

/// A claim that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    /// Not JSON of this shape.
    #[error("the claim is not readable: {0}")]
    Malformed(String),
    /// Written by a newer version.
    #[error("the claim has schema version {0}, and this version knows {SCHEMA_VERSION}")]
    UnknownSchema(u64),
}

impl Claim {
    /// The claim of the execution that `plan` names.
    pub fn new(plan: Plan, claimed_at: Timestamp) -> Self {
        Self { schema_version: SCHEMA_VERSION, execution: plan.execution.clone(), claimed_at, plan }
    }

    /// Reads a claim as it is stored.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidClaim> {
        let malformed = |error: serde_json::Error| InvalidClaim::Malformed(error.to_string());
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
        match value.get("schemaVersion").and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA_VERSION) => {}
            Some(version) => return Err(InvalidClaim::UnknownSchema(version)),
            None => return Err(InvalidClaim::Malformed("it has no schemaVersion".into())),
        }
        serde_json::from_value(value).map_err(malformed)
    }

    /// The claim as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a claim holds nothing that JSON cannot")
    }
}
