//! The vaults, and what stands behind their recovery points.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::point::RecoveryPoint;
use crate::context::Context;
use crate::dynamodb::Dynamodb;
use crate::ec2::Ec2;
use crate::error::{Error, Result};
use crate::rds::Rds;

/// The vaults of one region.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(super) context: Arc<Context>,
    pub(super) ec2: Arc<Ec2>,
    pub(super) dynamodb: Arc<Dynamodb>,
    pub(super) rds: Arc<Rds>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Recovery points by vault and ARN.
    pub(super) vaults: BTreeMap<String, BTreeMap<String, RecoveryPoint>>,
    pub(super) restore_jobs: BTreeMap<String, Value>,
    /// IdempotencyToken → the restore job that was started.
    pub(super) restore_tokens: BTreeMap<String, String>,
}

impl Backup {
    pub(crate) fn new(context: &Arc<Context>, ec2: &Arc<Ec2>, dynamodb: &Arc<Dynamodb>, rds: &Arc<Rds>) -> Self {
        Self {
            context: Arc::clone(context),
            ec2: Arc::clone(ec2),
            dynamodb: Arc::clone(dynamodb),
            rds: Arc::clone(rds),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn create_vault(&self, name: &str) {
        self.state().vaults.entry(name.to_owned()).or_default();
    }

    pub(super) fn add(&self, vault: &str, point: RecoveryPoint) -> Result<()> {
        let mut state = self.state();
        let points =
            state.vaults.get_mut(vault).ok_or_else(|| Error::Missing { kind: "vault", name: vault.to_owned() })?;
        points.insert(point.arn.clone(), point);
        Ok(())
    }

    pub(crate) fn describe(&self, vault: &str, arn: &str) -> Option<Value> {
        self.state().vaults.get(vault)?.get(arn).map(|point| point.describe(&self.context.names, vault))
    }

    /// Removes what stands behind a recovery point.
    pub(super) fn remove_content(&self, arn: &str) {
        if self.dynamodb.remove_backup(arn) {
            return;
        }
        if let Some((_, id)) = arn.rsplit_once("snapshot/") {
            self.ec2.remove_snapshot(id);
        } else if let Some((_, id)) = arn.rsplit_once("image/") {
            self.ec2.remove_image(id);
        } else {
            self.rds.remove_snapshot(arn);
        }
    }
}
