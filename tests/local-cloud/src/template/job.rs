//! Batch: job definitions, and queues with the zone of their hosts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::intrinsic::Scope;
use super::programs::Programs;
use super::resource::{Kind, Resource};
use crate::error::Result;
use crate::stack::{JobDefinitionSpec, QueueSpec, Stack};

/// Limits of Batch's `RetryStrategy`.
const MOST_ATTEMPTS: u64 = 10;
const MOST_RULES: usize = 5;

pub(super) fn add(scope: &Scope<'_>, programs: &Programs, stack: &mut Stack) -> Result<()> {
    for resource in scope.catalog.of(scope, Kind::JobDefinition)? {
        stack.job_definitions.push(definition(scope, programs, resource)?);
    }
    let zones = zones_of_queues(stack);
    for resource in scope.catalog.of(scope, Kind::JobQueue)? {
        let arn = scope.names.job_queue(&resource.name);
        let Some(zone) = zones.get(&arn) else {
            let message = format!("no function is told its zone: {arn} is not in a variable JOB_QUEUES");
            return Err(resource.wrong("Type", message));
        };
        for host_zone in host_zones(scope, resource)? {
            if host_zone != *zone {
                let message = format!("JOB_QUEUES says that it is in {zone}, but its hosts are in {host_zone}");
                return Err(resource.wrong("ComputeEnvironmentOrder", message));
            }
        }
        stack.queues.push(QueueSpec { name: resource.name.clone(), availability_zone: zone.clone() });
    }
    Ok(())
}

fn definition(scope: &Scope<'_>, programs: &Programs, resource: &Resource<'_>) -> Result<JobDefinitionSpec> {
    let container = resource.resolved(scope, "ContainerProperties")?;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let pairs = container["Environment"].as_array().into_iter().flatten();
    let environment = pairs
        .filter_map(|pair| Some((pair["Name"].as_str()?.to_owned(), pair["Value"].as_str()?.to_owned())))
        .collect();
    Ok(JobDefinitionSpec {
        name: resource.name.clone(),
        entrypoint: programs.entrypoint.clone(),
        command: texts(&container["Command"]),
        environment,
        retry_strategy: retry_strategy(scope, resource)?,
        timeout_seconds: resource.resolved(scope, "Timeout")?["AttemptDurationSeconds"].as_u64(),
        scratch: scratch(&container),
    })
}

fn retry_strategy(scope: &Scope<'_>, resource: &Resource<'_>) -> Result<Option<Value>> {
    let strategy = resource.resolved(scope, "RetryStrategy")?;
    if strategy.is_null() {
        return Ok(None);
    }
    if strategy["Attempts"].as_u64().is_some_and(|attempts| attempts > MOST_ATTEMPTS) {
        return Err(resource.wrong("RetryStrategy.Attempts", format!("Batch takes {MOST_ATTEMPTS} at most")));
    }
    if strategy["EvaluateOnExit"].as_array().is_some_and(|rules| rules.len() > MOST_RULES) {
        return Err(resource.wrong("RetryStrategy.EvaluateOnExit", "Batch takes five rules at most"));
    }
    Ok(Some(api_case(strategy)))
}

/// CloudFormation writes `EvaluateOnExit` where the API writes `evaluateOnExit`.
fn api_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let lower = |name: String| {
                let mut characters = name.chars();
                let first = characters.next().into_iter().flat_map(char::to_lowercase);
                first.chain(characters).collect::<String>()
            };
            let fields: Map<_, _> = fields.into_iter().map(|(name, field)| (lower(name), api_case(field))).collect();
            Value::Object(fields)
        }
        Value::Array(items) => items.into_iter().map(api_case).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Where volumes are mounted that are no directory of the host: they are the container's own, and empty.
fn scratch(container: &Value) -> Vec<PathBuf> {
    let volumes = container["Volumes"].as_array().into_iter().flatten();
    let own: Vec<&str> = volumes
        .filter(|volume| volume["Host"]["SourcePath"].is_null())
        .filter_map(|volume| volume["Name"].as_str())
        .collect();
    let mounts = container["MountPoints"].as_array().into_iter().flatten();
    mounts
        .filter(|mount| mount["SourceVolume"].as_str().is_some_and(|name| own.contains(&name)))
        .filter_map(|mount| mount["ContainerPath"].as_str().map(PathBuf::from))
        .collect()
}

/// Queue ARN to zone, as the functions are told.
fn zones_of_queues(stack: &Stack) -> BTreeMap<String, String> {
    let told = stack.functions.iter().filter_map(|function| function.environment.get("JOB_QUEUES"));
    let parsed = told.filter_map(|text| serde_json::from_str::<BTreeMap<String, String>>(text).ok());
    parsed.flatten().map(|(zone, queue)| (queue, zone)).collect()
}

/// The zones of the subnets in which a queue's hosts run, as far as the subnets are of this template.
fn host_zones(scope: &Scope<'_>, queue: &Resource<'_>) -> Result<Vec<String>> {
    let environments = scope.catalog.of(scope, Kind::ComputeEnvironment)?;
    let order = queue.resolved(scope, "ComputeEnvironmentOrder")?;
    let mut zones = Vec::new();
    for (index, entry) in order.as_array().into_iter().flatten().enumerate() {
        let arn = entry["ComputeEnvironment"].as_str().unwrap_or_default();
        let environment = environments.iter().find(|environment| environment.reference(scope.names) == arn);
        let Some(environment) = environment else {
            let place = format!("ComputeEnvironmentOrder[{index}]");
            return Err(queue.wrong(&place, format!("there is no compute environment {arn}")));
        };
        let subnets = environment.property("ComputeResources")["Subnets"].as_array();
        for subnet in subnets.into_iter().flatten() {
            let found = subnet["Ref"].as_str().and_then(|id| scope.catalog.find(id));
            if let Some(subnet) = found.filter(|subnet| subnet.kind == "AWS::EC2::Subnet") {
                zones.push(subnet.text(scope, "AvailabilityZone")?);
            }
        }
    }
    Ok(zones)
}
