//! The RDS operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Response;
use s3s::Body;

use super::instance::flag;
use super::snapshot::{Snapshot, arn_of};
use super::{State, cluster, instance, orderable, parameter_group, view};
use crate::engine::DatabaseEngine;
use crate::gateway::Shared;
use crate::pattern::glob_matches;
use crate::snapshot_export;
use crate::wire::{Answer, ApiError, Call, Query, response};

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call) -> Answer {
    let query = Query::new(&call.body);
    let operation = call.operation.as_str();
    if let Some(answer) = parameter_group::answer(shared, operation, &query) {
        return answer;
    }
    match operation {
        "DescribeDBSnapshots" => describe_snapshots(shared, &query, operation, false),
        "DescribeDBClusterSnapshots" => describe_snapshots(shared, &query, operation, true),
        "DescribeOrderableDBInstanceOptions" => describe_orderable(shared, &query, operation),
        "RestoreDBInstanceFromDBSnapshot" => {
            instance::restore(shared, &query).map(|made| instance_answer(operation, &made))
        }
        "CreateDBInstance" => instance::create(shared, &query).map(|made| instance_answer(operation, &made)),
        "ModifyDBInstance" => instance::modify(shared, &query).map(|made| instance_answer(operation, &made)),
        "DeleteDBInstance" => instance::delete(shared, &query).map(|made| instance_answer(operation, &made)),
        "RestoreDBClusterFromSnapshot" => {
            cluster::restore(shared, &query).map(|made| cluster_answer(shared, operation, &made))
        }
        "ModifyDBCluster" => cluster::modify(shared, &query).map(|made| cluster_answer(shared, operation, &made)),
        "DeleteDBCluster" => cluster::delete(shared, &query).map(|made| cluster_answer(shared, operation, &made)),
        "DescribeDBInstances" => describe_instances(shared, &query, operation),
        "DescribeDBClusters" => describe_clusters(shared, &query, operation),
        "ListTagsForResource" => {
            let mut state = shared.rds.state();
            let found = tags_of(&mut state, query.required("ResourceName")?)?;
            Ok(response::rds(operation, |xml| {
                xml.tag_list(found);
            }))
        }
        "AddTagsToResource" => {
            let mut state = shared.rds.state();
            tags_of(&mut state, query.required("ResourceName")?)?.extend(query.tags("Tags."));
            Ok(empty(operation))
        }
        "RemoveTagsFromResource" => {
            let mut state = shared.rds.state();
            let found = tags_of(&mut state, query.required("ResourceName")?)?;
            for key in query.list("TagKeys.member") {
                found.remove(&key);
            }
            Ok(empty(operation))
        }
        "StartExportTask" | "DescribeExportTasks" | "CancelExportTask" => {
            snapshot_export::answer(shared, call, operation)
        }
        other => Err(ApiError::new(400, "InvalidAction", format!("The RDS action {other} is not played"))),
    }
}

/// The response of an operation that has no result.
fn empty(operation: &str) -> Response<Body> {
    response::rds(operation, |_| {})
}

fn instance_answer(operation: &str, instance: &instance::Instance) -> Response<Body> {
    response::rds(operation, |xml| {
        xml.element("DBInstance", |xml| view::instance(xml, instance));
    })
}

fn cluster_answer(shared: &Shared, operation: &str, cluster: &cluster::Cluster) -> Response<Body> {
    let state = shared.rds.state();
    let members = state.members(&cluster.id);
    response::rds(operation, |xml| {
        xml.element("DBCluster", |xml| view::cluster(xml, cluster, &members));
    })
}

/// The tags of a resource, whatever it is.
fn tags_of<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let kind = arn.split(':').nth(5).unwrap_or_default();
    let instances = state.instances.values_mut().map(|instance| (&instance.arn, &mut instance.tags));
    let clusters = state.clusters.values_mut().map(|cluster| (&cluster.arn, &mut cluster.tags));
    let snapshots = state.snapshots.values_mut().map(|snapshot| (&snapshot.arn, &mut snapshot.tags));
    let groups = state.parameter_groups.values_mut().map(|group| (&group.arn, &mut group.tags));
    let found = instances.chain(clusters).chain(snapshots).chain(groups).find(|(each, _)| *each == arn);
    found.map(|(_, tags)| tags).ok_or_else(|| match kind {
        "cluster" => cluster::not_found(arn),
        "snapshot" => ApiError::new(404, "DBSnapshotNotFound", format!("DBSnapshot {arn} not found.")),
        "cluster-snapshot" => {
            ApiError::new(404, "DBClusterSnapshotNotFoundFault", format!("DBClusterSnapshot {arn} not found."))
        }
        _ => instance::not_found(arn),
    })
}

/// One page of a list, and the marker of the next.
pub(super) fn page<T>(shared: &Shared, query: &Query, mut all: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
    let most = match query.number("MaxRecords") {
        None => 100,
        Some(most) if (20..=100).contains(&most) => usize::try_from(most).unwrap_or(100),
        Some(most) => {
            let message = format!("Invalid value {most} for MaxRecords. Must be between 20 and 100");
            return Err(ApiError::new(400, "InvalidParameterValue", message));
        }
    };
    let most = most.min(shared.options.databases.page_size.max(1));
    let start = query.number("Marker").and_then(|marker| usize::try_from(marker).ok()).unwrap_or(0).min(all.len());
    let mut rest = all.split_off(start);
    let next = (rest.len() > most).then(|| (start + most).to_string());
    rest.truncate(most);
    Ok((rest, next))
}

/// The filters of a request: RDS's lists are named otherwise than EC2's.
fn filters(query: &Query) -> Vec<(String, Vec<String>)> {
    (1..)
        .map_while(|n| {
            let name = query.get(&format!("Filters.Filter.{n}.Name"))?.to_owned();
            Some((name, query.list(&format!("Filters.Filter.{n}.Values.Value"))))
        })
        .collect()
}

fn passes(filters: &[(String, Vec<String>)], value: impl Fn(&str) -> Option<String>) -> Result<bool, ApiError> {
    for (name, wanted) in filters {
        let has = value(name)
            .ok_or_else(|| ApiError::new(400, "InvalidParameterValue", format!("Unrecognized filter name: {name}")))?;
        if !wanted.contains(&has) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn describe_instances(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.rds.state();
    let wanted = query.get("DBInstanceIdentifier").map(str::to_ascii_lowercase);
    let mut found = Vec::new();
    for each in state.instances.values() {
        let named = wanted.as_ref().is_none_or(|wanted| *wanted == each.id || *wanted == each.arn.to_ascii_lowercase());
        let value = |name: &str| match name {
            "db-instance-id" => Some(each.id.clone()),
            "db-cluster-id" => Some(each.cluster.clone().unwrap_or_default()),
            "dbi-resource-id" => Some(each.resource_id.clone()),
            "engine" => Some(each.engine.to_string()),
            _ => None,
        };
        if named && passes(&filters(query), value)? {
            found.push(each);
        }
    }
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
        return Err(instance::not_found(&wanted));
    }
    let (found, next) = page(shared, query, found)?;
    Ok(response::rds(operation, |xml| {
        xml.list("DBInstances", "DBInstance", found, view::instance);
        xml.optional("Marker", next);
    }))
}

fn describe_clusters(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let state = shared.rds.state();
    let wanted = query.get("DBClusterIdentifier").map(str::to_ascii_lowercase);
    let mut found = Vec::new();
    for each in state.clusters.values() {
        let named = wanted.as_ref().is_none_or(|wanted| *wanted == each.id || *wanted == each.arn.to_ascii_lowercase());
        let value = |name: &str| match name {
            "db-cluster-id" => Some(each.id.clone()),
            "db-cluster-resource-id" => Some(each.resource_id.clone()),
            "engine" => Some(each.engine.to_string()),
            _ => None,
        };
        if named && passes(&filters(query), value)? {
            found.push(each);
        }
    }
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
        return Err(cluster::not_found(&wanted));
    }
    let (found, next) = page(shared, query, found)?;
    Ok(response::rds(operation, |xml| {
        xml.list("DBClusters", "DBCluster", found, |xml, each| {
            view::cluster(xml, each, &state.members(&each.id));
        });
        xml.optional("Marker", next);
    }))
}

fn describe_snapshots(shared: &Shared, query: &Query, operation: &str, clusters: bool) -> Answer {
    let (id, source) = if clusters {
        ("DBClusterSnapshotIdentifier", "DBClusterIdentifier")
    } else {
        ("DBSnapshotIdentifier", "DBInstanceIdentifier")
    };
    let state = shared.rds.state();
    let wanted = query.get(id).map(|name| arn_of(shared, name, clusters));
    if let Some(name) = query.get(id) {
        state.find_snapshot(shared, name, clusters)?;
    }
    let kind = query.get("SnapshotType");
    let chosen = |snapshot: &&Snapshot| {
        // Those of AWS Backup are listed only to who asks for them.
        let of_kind = match (kind, &wanted) {
            (Some(kind), _) => kind == snapshot.kind,
            (None, Some(_)) => true,
            (None, None) => !snapshot.is_awsbackup(),
        };
        snapshot.is_cluster == clusters
            && of_kind
            && wanted.as_ref().is_none_or(|arn| *arn == snapshot.arn)
            && query.get(source).is_none_or(|name| name.eq_ignore_ascii_case(&snapshot.source))
    };
    let zones = shared.options.availability_zones();
    let zone = zones.first().map(String::as_str).unwrap_or_default();
    let (found, next) = page(shared, query, state.snapshots.values().filter(chosen).collect())?;
    Ok(response::rds(operation, |xml| {
        if clusters {
            xml.list("DBClusterSnapshots", "DBClusterSnapshot", found, |xml, each| {
                view::cluster_snapshot(xml, each, &zones);
            });
        } else {
            xml.list("DBSnapshots", "DBSnapshot", found, |xml, each| view::snapshot(xml, each, zone));
        }
        xml.optional("Marker", next);
    }))
}

fn describe_orderable(shared: &Shared, query: &Query, operation: &str) -> Answer {
    let name = query.required("Engine")?;
    let engine: DatabaseEngine =
        name.parse().map_err(|message: String| ApiError::new(400, "InvalidParameterValue", message))?;
    let version = query.get("EngineVersion").unwrap_or(engine.usual_version());
    let in_vpc = flag(query, "Vpc").unwrap_or(true);
    let licensed = query.get("LicenseModel").is_none_or(|license| glob_matches(license, engine.license()));
    let mut found = Vec::new();
    if in_vpc && licensed {
        for (class, zones) in orderable::options(shared, engine, version, query.get("DBInstanceClass")) {
            for storage_type in orderable::storage_types(engine) {
                found.push((class, *storage_type, zones.clone()));
            }
        }
    }
    let (found, next) = page(shared, query, found)?;
    Ok(response::rds(operation, |xml| {
        let options = "OrderableDBInstanceOptions";
        xml.list(options, "OrderableDBInstanceOption", found, |xml, (class, storage_type, zones)| {
            view::orderable(xml, engine, version, &class.name, storage_type, &zones);
        });
        xml.optional("Marker", next);
    }))
}
