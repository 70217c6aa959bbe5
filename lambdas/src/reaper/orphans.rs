//! Databases, parameter groups, tables, passwords and export tasks whose export nobody works on any more: made by a
//! call that was under way when the cleanup looked, or by a restore job that came late.
//!
//! They are found by their names, which say the installation and the export. An export that is at work has a claim from
//! before it makes anything to after everything is gone, so what was listed first and has no claim afterwards is
//! nobody's.

use std::collections::{BTreeMap, BTreeSet};

use aws::bucket::Bucket;
use domain::failure::Error;
use domain::id::ExportId;
use domain::key::claim_key;
use domain::name;

use super::settings::ReaperSettings;
use super::sweep::Sweep;
use crate::cleanup::{Cleaner, Turn};
use crate::resource::parameter_group::{self, GroupKind};
use crate::resource::rds::{cluster, instance};
use crate::resource::{export_task, password, table};

/// Something that has a name of ours, in the order in which things are removed: what uses another comes before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Instance(String),
    Password(String),
    Cluster(String),
    ParameterGroup(GroupKind, String),
    Table(String),
    ExportTask(String),
}

/// What there is of one installation, by export.
struct Found {
    installation: String,
    things: BTreeMap<ExportId, BTreeSet<Thing>>,
}

impl Found {
    /// Notes a thing, if its name is one of this installation.
    fn note(&mut self, name: &str, thing: impl FnOnce(String) -> Thing) {
        self.note_as(name, thing(name.to_owned()));
    }

    /// The same of a thing whose name is more than what tells whose it is.
    fn note_as(&mut self, name: &str, thing: Thing) {
        if let Some((export, of)) = name::owner(name)
            && of == self.installation
        {
            self.things.entry(export).or_default().insert(thing);
        }
    }
}

/// Looks for orphans and removes what can be removed now.
pub(super) async fn remove(cleaner: &Cleaner, settings: &ReaperSettings, sweep: &mut Sweep) {
    let mut found = Found { installation: name::installation(&settings.state_machine), things: BTreeMap::new() };
    let handles = |types: &[&str]| settings.resource_types.iter().any(|known| types.contains(&known.as_str()));
    let mut results = Vec::new();
    if handles(&["RDS", "Aurora"]) {
        results.extend(databases(cleaner, &settings.parameter_path, &mut found).await);
    }
    if handles(&["DynamoDB"]) {
        let tell = |name: &str| {
            if name::is_temporary_table(name) {
                found.note(name, Thing::Table);
            }
        };
        results.push(table::each_name(&cleaner.dynamodb, tell).await);
    }
    sweep.errors.extend(results.into_iter().filter_map(Result::err));
    let bucket = Bucket::new(&cleaner.s3, &settings.bucket, Some(&settings.bucket_owner));
    for (export, things) in found.things {
        match bucket.has(&claim_key(&export)).await {
            Ok(true) => {}
            Ok(false) => {
                for thing in &things {
                    remove_one(cleaner, thing, &mut sweep.orphans).await;
                }
            }
            Err(error) => sweep.errors.push(error),
        }
    }
}

async fn databases(cleaner: &Cleaner, path: &str, found: &mut Found) -> [Result<(), Error>; 6] {
    let Cleaner { rds, ssm, .. } = cleaner;
    let of_instance = |name| Thing::ParameterGroup(GroupKind::Instance, name);
    let of_cluster = |name| Thing::ParameterGroup(GroupKind::Cluster, name);
    [
        instance::each_name(rds, |name| found.note(name, Thing::Instance)).await,
        cluster::each_name(rds, |name| found.note(name, Thing::Cluster)).await,
        parameter_group::each_name(rds, GroupKind::Instance, |name| found.note(name, of_instance)).await,
        parameter_group::each_name(rds, GroupKind::Cluster, |name| found.note(name, of_cluster)).await,
        password::each_name(ssm, path, |whole| {
            if let Some(name) = whole.strip_prefix(path) {
                found.note_as(name, Thing::Password(whole.to_owned()));
            }
        })
        .await,
        export_task::each_running_name(rds, |name| found.note(name, Thing::ExportTask)).await,
    ]
}

async fn remove_one(cleaner: &Cleaner, thing: &Thing, turn: &mut Turn) {
    match thing {
        Thing::Instance(id) => cleaner.instance(id, turn).await,
        Thing::Password(name) => cleaner.password(name, turn).await,
        Thing::Cluster(id) => cleaner.cluster(id, turn).await,
        Thing::ParameterGroup(kind, name) => cleaner.parameter_group(*kind, name, turn).await,
        Thing::Table(name) => cleaner.table(name, turn).await,
        Thing::ExportTask(id) => cleaner.export_task(id, turn).await,
    }
}
