//! What DynamoDB has, as far as moto does not play it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::description::Export;
use crate::context::Context;
use crate::recovery_point::{TableExportFate, TableFate};
use crate::s3::Store;
use crate::wire::ApiError;

/// The DynamoDB of one region, as far as moto does not play it.
#[derive(Debug)]
pub(crate) struct Dynamodb {
    pub(super) context: Arc<Context>,
    pub(super) store: Arc<Store>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Tables that were restored, or are being deleted.
    pub(super) tables: BTreeMap<String, Known>,
    /// The backups behind recovery points, by the recovery point's ARN.
    pub(super) backups: BTreeMap<String, Kept>,
    /// moto's backups that nobody may see: behind recovery points of a vault's own form, or deleted.
    pub(super) hidden: BTreeSet<String>,
    /// When the window of point-in-time recovery opens, by table.
    pub(super) windows: BTreeMap<String, Instant>,
    pub(super) exports: BTreeMap<String, Export>,
    /// ClientToken → what was asked for, and the export that was started.
    pub(super) tokens: BTreeMap<String, (String, String)>,
    /// The fates of the exports to come.
    pub(super) fates: VecDeque<TableExportFate>,
}

impl Dynamodb {
    pub(crate) fn new(context: &Arc<Context>, store: &Arc<Store>) -> Self {
        Self { context: Arc::clone(context), store: Arc::clone(store), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about the next export that is not decided about.
    pub(crate) fn push_fate(&self, fate: TableExportFate) {
        self.state().fates.push_back(fate);
    }
}

/// A table that is known here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether it was made of a backup.
    pub(super) restored: bool,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until then; for ever, when there is no end.
    Creating(Option<Instant>),
    Deleting,
}

/// What a table is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Now {
    Creating,
    Active,
    Deleting,
}

impl Known {
    pub(super) fn now(self) -> Now {
        match self.phase {
            Phase::Creating(Some(end)) if end <= Instant::now() => Now::Active,
            Phase::Creating(_) => Now::Creating,
            Phase::Deleting => Now::Deleting,
        }
    }
}

/// The backup behind a recovery point.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The ARN of moto's backup.
    pub(super) source: String,
    pub(super) fate: TableFate,
    pub(super) size_bytes: u64,
    pub(super) encrypted: bool,
}

/// Asks moto; its error is what the caller of the operation gets.
pub(super) async fn ask(dynamodb: &Dynamodb, operation: &str, input: &Value) -> Result<Value, ApiError> {
    let target = format!("DynamoDB_20120810.{operation}");
    let asked = dynamodb.context.moto.ask_json(&dynamodb.context.names, "local", "dynamodb", &target, input).await;
    let (status, answer) = asked.map_err(|error| ApiError::new(500, "InternalServerError", error.to_string()))?;
    if status.is_success() {
        return Ok(answer);
    }
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let code = text("__type").and_then(|kind| kind.rsplit('#').next()).unwrap_or("InternalServerError");
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    Err(ApiError::new(status.as_u16(), code, message))
}
