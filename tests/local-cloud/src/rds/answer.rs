//! The RDS operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use http::Response;
use s3s::Body;

use super::page::page;
use super::request::flag;
use super::service::Rds;
use super::snapshot::{arn_of, find_snapshot};
use super::state::{Cluster, Instance, Snapshot, State};
use super::{cluster, instance, orderable, parameter_group, view};
use crate::engine::DatabaseEngine;
use crate::pattern::glob_matches;
use crate::wire::{Answer, ApiError, Call, Query, query_pairs, response};

/// The operation and the resource that a request names.
pub(crate) fn identify(body: &Bytes) -> (String, String) {
    let form = query_pairs(&String::from_utf8_lossy(body));
    let names = [
        "DBInstanceIdentifier",
        "DBClusterIdentifier",
        "DBSnapshotIdentifier",
        "DBClusterSnapshotIdentifier",
        "ExportTaskIdentifier",
        "DBParameterGroupName",
        "DBClusterParameterGroupName",
        "ResourceName",
        "DBInstanceClass",
    ];
    let resource = names.iter().find_map(|name| form.get(*name).cloned());
    (form.get("Action").cloned().unwrap_or_default(), resource.unwrap_or_default())
}

pub(crate) fn answer(rds: &Arc<Rds>, call: &Call) -> Answer {
    let query = Query::new(&call.body);
    let operation = call.operation.as_str();
    if let Some(answer) = parameter_group::answer(rds, operation, &query) {
        return answer;
    }
    match operation {
        "DescribeDBSnapshots" => describe_snapshots(rds, &query, operation, false),
        "DescribeDBClusterSnapshots" => describe_snapshots(rds, &query, operation, true),
        "DescribeOrderableDBInstanceOptions" => describe_orderable(rds, &query, operation),
        "RestoreDBInstanceFromDBSnapshot" => {
            instance::restore(rds, &query).map(|made| instance_answer(operation, &made))
        }
        "CreateDBInstance" => instance::create(rds, &query).map(|made| instance_answer(operation, &made)),
        "ModifyDBInstance" => instance::modify(rds, &query).map(|made| instance_answer(operation, &made)),
        "DeleteDBInstance" => instance::delete(rds, &query).map(|made| instance_answer(operation, &made)),
        "RestoreDBClusterFromSnapshot" => {
            cluster::restore(rds, &query).map(|made| cluster_answer(rds, operation, &made))
        }
        "ModifyDBCluster" => cluster::modify(rds, &query).map(|made| cluster_answer(rds, operation, &made)),
        "DeleteDBCluster" => cluster::delete(rds, &query).map(|made| cluster_answer(rds, operation, &made)),
        "DescribeDBInstances" => describe_instances(rds, &query, operation),
        "DescribeDBClusters" => describe_clusters(rds, &query, operation),
        "ListTagsForResource" => {
            let mut state = rds.state();
            let found = tags_of(&mut state, query.required("ResourceName")?)?;
            Ok(response::rds(operation, |xml| {
                xml.tag_list(found);
            }))
        }
        "AddTagsToResource" => {
            let mut state = rds.state();
            tags_of(&mut state, query.required("ResourceName")?)?.extend(query.tags("Tags."));
            Ok(empty(operation))
        }
        "RemoveTagsFromResource" => {
            let mut state = rds.state();
            let found = tags_of(&mut state, query.required("ResourceName")?)?;
            for key in query.list("TagKeys.member") {
                found.remove(&key);
            }
            Ok(empty(operation))
        }
        other => Err(ApiError::new(400, "InvalidAction", format!("The RDS action {other} is not played"))),
    }
}

/// The response of an operation that has no result.
fn empty(operation: &str) -> Response<Body> {
    response::rds(operation, |_| {})
}

fn instance_answer(operation: &str, instance: &Instance) -> Response<Body> {
    response::rds(operation, |xml| {
        xml.element("DBInstance", |xml| view::instance(xml, instance));
    })
}

fn cluster_answer(rds: &Rds, operation: &str, cluster: &Cluster) -> Response<Body> {
    let state = rds.state();
    let members = state.members(&cluster.database.id);
    response::rds(operation, |xml| {
        xml.element("DBCluster", |xml| view::cluster(xml, cluster, &members));
    })
}

/// The tags of a resource, whatever it is.
fn tags_of<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let kind = arn.split(':').nth(5).unwrap_or_default();
    let instances = state.instances.values_mut().map(|instance| (&instance.database.arn, &mut instance.database.tags));
    let clusters = state.clusters.values_mut().map(|cluster| (&cluster.database.arn, &mut cluster.database.tags));
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

fn describe_instances(rds: &Rds, query: &Query, operation: &str) -> Answer {
    let state = rds.state();
    let wanted = query.get("DBInstanceIdentifier").map(str::to_ascii_lowercase);
    let mut found = Vec::new();
    for each in state.instances.values() {
        let named = wanted
            .as_ref()
            .is_none_or(|wanted| *wanted == each.database.id || *wanted == each.database.arn.to_ascii_lowercase());
        let value = |name: &str| match name {
            "db-instance-id" => Some(each.database.id.clone()),
            "db-cluster-id" => Some(each.cluster.clone().unwrap_or_default()),
            "dbi-resource-id" => Some(each.database.resource_id.clone()),
            "engine" => Some(each.database.engine.to_string()),
            _ => None,
        };
        if named && passes(&filters(query), value)? {
            found.push(each);
        }
    }
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
        return Err(instance::not_found(&wanted));
    }
    let (found, next) = page(query, rds.context.options.databases.page_size, found)?;
    Ok(response::rds(operation, |xml| {
        xml.list("DBInstances", "DBInstance", found, view::instance);
        xml.optional("Marker", next);
    }))
}

fn describe_clusters(rds: &Rds, query: &Query, operation: &str) -> Answer {
    let state = rds.state();
    let wanted = query.get("DBClusterIdentifier").map(str::to_ascii_lowercase);
    let mut found = Vec::new();
    for each in state.clusters.values() {
        let named = wanted
            .as_ref()
            .is_none_or(|wanted| *wanted == each.database.id || *wanted == each.database.arn.to_ascii_lowercase());
        let value = |name: &str| match name {
            "db-cluster-id" => Some(each.database.id.clone()),
            "db-cluster-resource-id" => Some(each.database.resource_id.clone()),
            "engine" => Some(each.database.engine.to_string()),
            _ => None,
        };
        if named && passes(&filters(query), value)? {
            found.push(each);
        }
    }
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
        return Err(cluster::not_found(&wanted));
    }
    let (found, next) = page(query, rds.context.options.databases.page_size, found)?;
    Ok(response::rds(operation, |xml| {
        xml.list("DBClusters", "DBCluster", found, |xml, each| {
            view::cluster(xml, each, &state.members(&each.database.id));
        });
        xml.optional("Marker", next);
    }))
}

fn describe_snapshots(rds: &Rds, query: &Query, operation: &str, clusters: bool) -> Answer {
    let (id, source) = if clusters {
        ("DBClusterSnapshotIdentifier", "DBClusterIdentifier")
    } else {
        ("DBSnapshotIdentifier", "DBInstanceIdentifier")
    };
    let state = rds.state();
    let wanted = query.get(id).map(|name| arn_of(rds, name, clusters));
    if let Some(name) = query.get(id) {
        find_snapshot(rds, &state, name, clusters)?;
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
    let zones = rds.context.options.availability_zones();
    let zone = zones.first().map(String::as_str).unwrap_or_default();
    let (found, next) =
        page(query, rds.context.options.databases.page_size, state.snapshots.values().filter(chosen).collect())?;
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

fn describe_orderable(rds: &Rds, query: &Query, operation: &str) -> Answer {
    let name = query.required("Engine")?;
    let engine: DatabaseEngine =
        name.parse().map_err(|message: String| ApiError::new(400, "InvalidParameterValue", message))?;
    let version = query.get("EngineVersion").unwrap_or(engine.usual_version());
    let in_vpc = flag(query, "Vpc").unwrap_or(true);
    let licensed = query.get("LicenseModel").is_none_or(|license| glob_matches(license, engine.license()));
    let mut found = Vec::new();
    if in_vpc && licensed {
        for (class, zones) in orderable::options(rds, engine, version, query.get("DBInstanceClass")) {
            for storage_type in orderable::storage_types(engine) {
                found.push((class, *storage_type, zones.clone()));
            }
        }
    }
    let (found, next) = page(query, rds.context.options.databases.page_size, found)?;
    Ok(response::rds(operation, |xml| {
        let options = "OrderableDBInstanceOptions";
        xml.list(options, "OrderableDBInstanceOption", found, |xml, (class, storage_type, zones)| {
            view::orderable(xml, engine, version, &class.name, storage_type, &zones);
        });
        xml.optional("Marker", next);
    }))
}
