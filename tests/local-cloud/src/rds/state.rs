//! What RDS has: snapshots, instances, clusters, parameter groups, and the servers that run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::server::{DatabaseServer, Password};
use crate::engine::DatabaseEngine;
use crate::recovery_point::DatabaseFate;

/// What RDS has.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By ARN.
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) parameter_groups: BTreeMap<(Scope, String), ParameterGroup>,
    /// The servers that run, by the resource id of the instance or cluster whose data they serve.
    pub(super) servers: BTreeMap<String, DatabaseServer>,
    /// Zones in which no instance can be had.
    pub(super) full_zones: BTreeSet<String>,
    /// Instances and clusters that are gone, but whose automated backups were kept.
    pub(super) automated_backups: Vec<String>,
    /// The states that each instance and cluster has been in, also of those that are gone.
    pub(super) history: BTreeMap<String, Vec<String>>,
}

/// What an instance and a cluster have in common.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pub(super) id: String,
    /// The id that no other resource ever had.
    pub(super) resource_id: String,
    pub(super) arn: String,
    pub(super) engine: DatabaseEngine,
    pub(super) engine_version: String,
    pub(super) status: String,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) master_user: String,
    /// Changes of the password that are not made yet.
    pub(super) pending_passwords: u32,
    /// Where its server listens, once it runs.
    pub(super) port: Option<u16>,
    pub(super) subnet_group: Option<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) parameter_group: Option<String>,
    pub(super) storage_type: String,
    pub(super) allocated_storage_gib: u32,
    pub(super) backup_retention_days: u32,
    pub(super) deletion_protection: bool,
    pub(super) kms_key_arn: Option<String>,
    /// What is left of it when it is deleted.
    pub(super) farewell: Farewell,
}

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) database: Database,
    pub(super) class: String,
    pub(super) zone: String,
    /// The cluster whose data it serves.
    pub(super) cluster: Option<String>,
    pub(super) publicly_accessible: bool,
    pub(super) multi_az: bool,
}

/// What is kept of an instance or a cluster that is deleted.
#[derive(Debug, Clone, Default)]
pub(super) struct Farewell {
    pub(super) final_snapshot: Option<String>,
    pub(super) automated_backups: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) database: Database,
    /// A password that the server gets when the first member starts it.
    pub(super) waiting_password: Option<Password>,
    pub(super) zones: Vec<String>,
    /// Capacity units of Aurora Serverless, least and most, as the request gave them.
    pub(super) serverless: Option<(String, String)>,
    pub(super) fate: DatabaseFate,
}

#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) arn: String,
    /// `awsbackup:job-…`.
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) is_cluster: bool,
    pub(super) engine: DatabaseEngine,
    pub(super) engine_version: String,
    /// Holds `data`, and what else goes with it.
    pub(super) directory: PathBuf,
    pub(super) source: String,
    pub(super) master_user: String,
    pub(super) allocated_storage_gib: u32,
    pub(super) backup_retention_days: u32,
    pub(super) storage_type: String,
    pub(super) created: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) kms_key_arn: Option<String>,
    pub(super) fate: DatabaseFate,
}

/// Whose parameters a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Instance,
    Cluster,
}

#[derive(Debug, Clone)]
pub(super) struct ParameterGroup {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) scope: Scope,
    pub(super) family: String,
    pub(super) description: String,
    /// What differs from the family's.
    pub(super) values: BTreeMap<String, String>,
}

impl Snapshot {
    pub(super) fn is_awsbackup(&self) -> bool {
        self.kind == "awsbackup"
    }
}

impl Scope {
    /// The word that names it in operations and elements.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Instance => "DB",
            Self::Cluster => "DBCluster",
        }
    }

    /// The kind of its ARN.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Instance => "pg",
            Self::Cluster => "cluster-pg",
        }
    }

    pub(super) fn element(self) -> String {
        format!("{}ParameterGroup", self.word())
    }
}

impl State {
    /// The resource id of what owns the data of an instance (its cluster, or itself) or of a cluster.
    pub(super) fn data_owner(&self, id: &str) -> Option<String> {
        let cluster = |id: &str| self.clusters.get(id).map(|cluster| cluster.database.resource_id.clone());
        match self.instances.get(id) {
            Some(Instance { cluster: Some(owner), .. }) => cluster(owner),
            Some(instance) => Some(instance.database.resource_id.clone()),
            None => cluster(id),
        }
    }

    /// Remembers the state that an instance or a cluster is in.
    pub(super) fn remember(&mut self, id: &str, status: &str) {
        self.history.entry(id.to_owned()).or_default().push(status.to_owned());
    }

    /// The instances of a cluster.
    pub(super) fn members(&self, cluster: &str) -> Vec<&Instance> {
        self.instances.values().filter(|instance| instance.cluster.as_deref() == Some(cluster)).collect()
    }

    /// The instance with this resource id.
    pub(super) fn instance_of(&mut self, resource_id: &str) -> Option<&mut Instance> {
        self.instances.values_mut().find(|instance| instance.database.resource_id == resource_id)
    }

    /// The cluster with this resource id.
    pub(super) fn cluster_of(&mut self, resource_id: &str) -> Option<&mut Cluster> {
        self.clusters.values_mut().find(|cluster| cluster.database.resource_id == resource_id)
    }

    /// The instance or the cluster with this resource id.
    pub(super) fn database_of(&mut self, resource_id: &str) -> Option<&mut Database> {
        let instances = self.instances.values_mut().map(|instance| &mut instance.database);
        let clusters = self.clusters.values_mut().map(|cluster| &mut cluster.database);
        instances.chain(clusters).find(|database| database.resource_id == resource_id)
    }
}
