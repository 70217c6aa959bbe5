//! Databases, parameter groups, tables, passwords and export tasks whose export nobody works on any more: made by a call that was under way when the cleanup looked, or by a restore
//! job that came late.
//!
//! They are found by their names, which say the installation and the export. An export that is at work has a claim from before it makes anything to
//! after everything is gone, so what was listed first and has no claim afterwards is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::ExportId;
use domain::key::claim_key;
use domain::name;

use super::{Reaper, Sweep};
use crate::aws::Failure;
use crate::bucket::Bucket;
use crate::cleanup::databases::Names;
use crate::error::Error;
use crate::restore::parameter_group::Scope;
use crate::restore::snapshot_export::is_running;

/// What there is, by export.
type Found = BTreeMap<ExportId, Things>;

#[derive(Debug, Default)]
struct Things {
    instances: BTreeSet<String>,
    clusters: BTreeSet<String>,
    parameter_groups: BTreeSet<(Scope, String)>,
    parameters: BTreeSet<String>,
    tables: BTreeSet<String>,
    export_tasks: BTreeSet<String>,
}

impl Reaper {
    pub(super) async fn orphans(&self, sweep: &mut Sweep) {
        let mut found = Found::new();
        let mut note = |result: Result<(), Error>| {
            if let Err(error) = result {
                sweep.errors.push(error);
            }
        };
        let handles = |types: &[&str]| self.settings.resource_types.iter().any(|known| types.contains(&known.as_str()));
        if handles(&["RDS", "Aurora"]) {
            note(self.instances(&mut found).await);
            note(self.clusters(&mut found).await);
            note(self.instance_parameter_groups(&mut found).await);
            note(self.cluster_parameter_groups(&mut found).await);
            note(self.parameters(&mut found).await);
            note(self.export_tasks(&mut found).await);
        }
        if handles(&["DynamoDB"]) {
            note(self.tables(&mut found).await);
        }
        let bucket = Bucket::new(&self.cleaner.s3, &self.settings.bucket, &self.settings.bucket_owner);
        for (export, things) in found {
            match bucket.has(&claim_key(&export)).await {
                Ok(true) => {}
                Ok(false) => self.remove(&things, sweep).await,
                Err(error) => sweep.errors.push(error),
            }
        }
    }

    async fn remove(&self, things: &Things, sweep: &mut Sweep) {
        let turn = &mut sweep.orphans;
        let instances = things.instances.iter().map(|id| Names { instance: Some(id), ..Names::default() });
        let parameters = things.parameters.iter().map(|name| Names { parameter: Some(name), ..Names::default() });
        for names in instances.chain(parameters) {
            self.cleaner.database(&names, turn).await;
        }
        // A cluster with an instance is refused, as is a group that something uses, and goes in a later turn.
        for id in &things.clusters {
            self.cleaner.database(&Names { cluster: Some(id), ..Names::default() }, turn).await;
        }
        for (scope, name) in &things.parameter_groups {
            let parameter_group = Some((*scope, name.as_str()));
            self.cleaner.database(&Names { parameter_group, ..Names::default() }, turn).await;
        }
        for name in &things.tables {
            self.cleaner.table(name, turn).await;
        }
        for id in &things.export_tasks {
            self.cleaner.export_task(id, turn).await;
        }
    }

    /// The export of a name of this installation.
    fn owner(&self, name: &str) -> Option<ExportId> {
        let (export, of) = name::owner(name)?;
        (of == name::installation(&self.settings.state_machine)).then_some(export)
    }

    async fn instances(&self, found: &mut Found) -> Result<(), Error> {
        let mut instances = self.cleaner.rds.describe_db_instances().into_paginator().items().send();
        while let Some(instance) = instances.next().await {
            let instance = instance.map_err(|error| Failure::of(&error).during("list the database instances"))?;
            let id = instance.db_instance_identifier().unwrap_or_default();
            if let Some(export) = self.owner(id) {
                found.entry(export).or_default().instances.insert(id.to_owned());
            }
        }
        Ok(())
    }

    async fn clusters(&self, found: &mut Found) -> Result<(), Error> {
        let mut clusters = self.cleaner.rds.describe_db_clusters().into_paginator().items().send();
        while let Some(cluster) = clusters.next().await {
            let cluster = cluster.map_err(|error| Failure::of(&error).during("list the database clusters"))?;
            let id = cluster.db_cluster_identifier().unwrap_or_default();
            if let Some(export) = self.owner(id) {
                found.entry(export).or_default().clusters.insert(id.to_owned());
            }
        }
        Ok(())
    }

    async fn instance_parameter_groups(&self, found: &mut Found) -> Result<(), Error> {
        let mut groups = self.cleaner.rds.describe_db_parameter_groups().into_paginator().items().send();
        while let Some(group) = groups.next().await {
            let group = group.map_err(|error| Failure::of(&error).during("list the parameter groups"))?;
            self.note_group(found, Scope::Instance, group.db_parameter_group_name().unwrap_or_default());
        }
        Ok(())
    }

    async fn cluster_parameter_groups(&self, found: &mut Found) -> Result<(), Error> {
        let mut groups = self.cleaner.rds.describe_db_cluster_parameter_groups().into_paginator().items().send();
        while let Some(group) = groups.next().await {
            let group = group.map_err(|error| Failure::of(&error).during("list the cluster parameter groups"))?;
            self.note_group(found, Scope::Cluster, group.db_cluster_parameter_group_name().unwrap_or_default());
        }
        Ok(())
    }

    fn note_group(&self, found: &mut Found, scope: Scope, name: &str) {
        if let Some(export) = self.owner(name) {
            found.entry(export).or_default().parameter_groups.insert((scope, name.to_owned()));
        }
    }

    async fn export_tasks(&self, found: &mut Found) -> Result<(), Error> {
        let mut tasks = self.cleaner.rds.describe_export_tasks().into_paginator().items().send();
        while let Some(task) = tasks.next().await {
            let task = task.map_err(|error| Failure::of(&error).during("list the export tasks"))?;
            let id = task.export_task_identifier().unwrap_or_default();
            if let Some(export) = self.owner(id).filter(|_| is_running(&task)) {
                found.entry(export).or_default().export_tasks.insert(id.to_owned());
            }
        }
        Ok(())
    }

    async fn parameters(&self, found: &mut Found) -> Result<(), Error> {
        use aws_sdk_ssm::types::ParameterStringFilter;
        let path = &self.settings.parameter_path;
        let prefix = name::password_prefix(path);
        let action = || format!("list the parameters {prefix}…");
        let filter = ParameterStringFilter::builder().key("Name").option("BeginsWith").values(&prefix).build();
        let filter =
            filter.map_err(|error| Error::new(domain::failure::Kind::Internal, format!("{}: {error}", action())))?;
        let call = self.cleaner.ssm.describe_parameters().parameter_filters(filter);
        let mut pages = call.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::of(&error).during(action()))?;
            for name in page.parameters().iter().filter_map(|parameter| parameter.name()) {
                if let Some(export) = name.strip_prefix(path.as_str()).and_then(|name| self.owner(name)) {
                    found.entry(export).or_default().parameters.insert(name.to_owned());
                }
            }
        }
        Ok(())
    }

    async fn tables(&self, found: &mut Found) -> Result<(), Error> {
        // Names come in no order that could be relied on, so all are listed: a hundred to a page.
        let mut tables = self.cleaner.dynamodb.list_tables().into_paginator().items().send();
        while let Some(name) = tables.next().await {
            let name = name.map_err(|error| Failure::of(&error).during("list the tables"))?;
            if let Some(export) = self.owner(&name).filter(|_| name::is_temporary_table(&name)) {
                found.entry(export).or_default().tables.insert(name);
            }
        }
        Ok(())
    }
}
