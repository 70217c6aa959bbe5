//! Parameter groups, of instances and of clusters: what a server is told before it starts.

use std::collections::BTreeMap;

use super::answer::page;
use super::{State, identifier};
use crate::engine::{DatabaseEngine, Family};
use crate::gateway::Shared;
use crate::wire::{Answer, ApiError, Query, Xml, response};

/// Whose parameters a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Instance,
    Cluster,
}

/// A parameter group.
#[derive(Debug, Clone)]
pub(super) struct ParameterGroup {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) tags: BTreeMap<String, String>,
    scope: Scope,
    family: String,
    description: String,
    /// What differs from the family's.
    values: BTreeMap<String, String>,
}

/// The parameters that are played, with what they may be.
const KNOWN: &[(&str, &[&str])] = &[("event_scheduler", &["ON", "OFF"])];

/// The most that one change may have.
const MOST_CHANGES: usize = 20;

impl Scope {
    /// The word that names it in operations and elements.
    fn word(self) -> &'static str {
        match self {
            Self::Instance => "DB",
            Self::Cluster => "DBCluster",
        }
    }

    /// The kind of its ARN.
    fn kind(self) -> &'static str {
        match self {
            Self::Instance => "pg",
            Self::Cluster => "cluster-pg",
        }
    }

    fn element(self) -> String {
        format!("{}ParameterGroup", self.word())
    }
}

/// The answer, if the operation is one of parameter groups.
pub(super) fn answer(shared: &Shared, operation: &str, query: &Query) -> Option<Answer> {
    let answer = match operation {
        "CreateDBParameterGroup" => create(shared, operation, query, Scope::Instance),
        "CreateDBClusterParameterGroup" => create(shared, operation, query, Scope::Cluster),
        "ModifyDBParameterGroup" => modify(shared, operation, query, Scope::Instance),
        "ModifyDBClusterParameterGroup" => modify(shared, operation, query, Scope::Cluster),
        "DescribeDBParameters" => describe_parameters(shared, operation, query, Scope::Instance),
        "DescribeDBClusterParameters" => describe_parameters(shared, operation, query, Scope::Cluster),
        "DescribeDBParameterGroups" => describe_groups(shared, operation, query, Scope::Instance),
        "DescribeDBClusterParameterGroups" => describe_groups(shared, operation, query, Scope::Cluster),
        "DeleteDBParameterGroup" => delete(shared, operation, query, Scope::Instance),
        "DeleteDBClusterParameterGroup" => delete(shared, operation, query, Scope::Cluster),
        _ => return None,
    };
    Some(answer)
}

fn not_found(name: &str) -> ApiError {
    ApiError::new(404, "DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}"))
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}

fn name_of(query: &Query, scope: Scope) -> Result<String, ApiError> {
    query.required(&format!("{}Name", scope.element())).map(str::to_ascii_lowercase)
}

/// What RDS calls the major version of an engine.
fn family_of(engine: DatabaseEngine, version: &str) -> String {
    let places = match engine.family() {
        Family::Postgres => 1,
        Family::Mariadb => 2,
    };
    let major: Vec<&str> = version.split('.').take(places).collect();
    format!("{engine}{}", major.join("."))
}

/// What an engine's own group says.
fn usual(engine: DatabaseEngine) -> BTreeMap<String, String> {
    let scheduler = match engine {
        DatabaseEngine::Mysql | DatabaseEngine::AuroraMysql => "ON",
        DatabaseEngine::Mariadb => "OFF",
        DatabaseEngine::Postgres | DatabaseEngine::AuroraPostgresql => return BTreeMap::new(),
    };
    BTreeMap::from([("event_scheduler".to_owned(), scheduler.to_owned())])
}

impl State {
    /// The group that a request names, checked against the engine that it is for.
    pub(super) fn parameter_group(
        &self,
        query: &Query,
        scope: Scope,
        (engine, version): (DatabaseEngine, &str),
    ) -> Result<Option<String>, ApiError> {
        if query.get(&format!("{}Name", scope.element())).is_none() {
            return Ok(None);
        }
        let name = name_of(query, scope)?;
        let group = self.parameter_groups.get(&(scope, name.clone())).ok_or_else(|| not_found(&name))?;
        let family = family_of(engine, version);
        if group.family != family {
            return Err(super::instance::invalid_combination(format!(
                "The Parameter Group {name} with DBParameterGroupFamily {} cannot be used for this instance. Please use a Parameter Group with \
                 DBParameterGroupFamily {family}",
                group.family
            )));
        }
        Ok(Some(name))
    }

    /// What a server is started with: the engine's own values, and those of the group.
    pub(super) fn parameters(
        &self,
        engine: DatabaseEngine,
        scope: Scope,
        group: Option<&str>,
    ) -> BTreeMap<String, String> {
        let mut values = usual(engine);
        let group = group.and_then(|name| self.parameter_groups.get(&(scope, name.to_owned())));
        values.extend(group.into_iter().flat_map(|group| group.values.clone()));
        values
    }

    fn is_used(&self, scope: Scope, name: &str) -> bool {
        match scope {
            Scope::Instance => self.instances.values().any(|each| each.parameter_group.as_deref() == Some(name)),
            Scope::Cluster => self.clusters.values().any(|each| each.parameter_group.as_deref() == Some(name)),
        }
    }
}

fn create(shared: &Shared, operation: &str, query: &Query, scope: Scope) -> Answer {
    let parameter = format!("{}Name", scope.element());
    let name = identifier::checked(&parameter, query.required(&parameter)?)?;
    let family = query.required("DBParameterGroupFamily")?;
    let is_known = DatabaseEngine::ALL.iter().any(|engine| {
        let version = family.strip_prefix(engine.name());
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            && (scope == Scope::Instance || engine.is_aurora())
    });
    if !is_known {
        return Err(refused(format!("ParameterGroupFamily {family} is not a valid parameter group family")));
    }
    let group = ParameterGroup {
        arn: shared.names.arn("rds", &format!("{}:{name}", scope.kind())),
        tags: query.tags("Tags."),
        scope,
        family: family.to_owned(),
        description: query.required("Description")?.to_owned(),
        values: BTreeMap::new(),
        name: name.clone(),
    };
    let mut state = shared.rds.state();
    if state.parameter_groups.contains_key(&(scope, name.clone())) {
        let message = format!("Parameter group {name} already exists");
        return Err(ApiError::new(400, "DBParameterGroupAlreadyExists", message));
    }
    state.parameter_groups.insert((scope, name), group.clone());
    Ok(response::rds(operation, |xml| {
        xml.element(&scope.element(), |xml| view(xml, &group));
    }))
}

fn modify(shared: &Shared, operation: &str, query: &Query, scope: Scope) -> Answer {
    let name = name_of(query, scope)?;
    let changes: Vec<(&str, &str)> = (1..)
        .map_while(|n| {
            let of = |what: &str| query.get(&format!("Parameters.Parameter.{n}.{what}"));
            Some((of("ParameterName")?, of("ParameterValue").unwrap_or_default()))
        })
        .collect();
    if changes.is_empty() || changes.len() > MOST_CHANGES {
        return Err(refused(format!("A change has between 1 and {MOST_CHANGES} parameters.")));
    }
    for (parameter, value) in &changes {
        let (_, values) = KNOWN
            .iter()
            .find(|(known, _)| known == parameter)
            .ok_or_else(|| refused(format!("Could not find parameter with name: {parameter}")))?;
        if !values.contains(value) {
            return Err(refused(format!("Invalid parameter value: {value} for: {parameter}")));
        }
    }
    let mut state = shared.rds.state();
    let group = state.parameter_groups.get_mut(&(scope, name.clone())).ok_or_else(|| not_found(&name))?;
    group.values.extend(changes.into_iter().map(|(parameter, value)| (parameter.to_owned(), value.to_owned())));
    Ok(response::rds(operation, |xml| {
        xml.text(&format!("{}Name", scope.element()), name);
    }))
}

fn describe_parameters(shared: &Shared, operation: &str, query: &Query, scope: Scope) -> Answer {
    let name = name_of(query, scope)?;
    let state = shared.rds.state();
    let group = state.parameter_groups.get(&(scope, name.clone())).ok_or_else(|| not_found(&name))?;
    Ok(response::rds(operation, |xml| {
        let shown = KNOWN.iter().map(|(name, _)| {
            let value = group.values.get(*name);
            (name, value, if value.is_some() { "user" } else { "engine-default" })
        });
        let shown = shown.filter(|(.., source)| query.get("Source").is_none_or(|wanted| wanted == *source));
        xml.list("Parameters", "Parameter", shown, |xml, (name, value, source)| {
            xml.text("ParameterName", name).optional("ParameterValue", value).text("Source", source);
        });
    }))
}

fn describe_groups(shared: &Shared, operation: &str, query: &Query, scope: Scope) -> Answer {
    let element = scope.element();
    let wanted = query.get(&format!("{element}Name")).map(str::to_ascii_lowercase);
    let state = shared.rds.state();
    let found: Vec<_> = state
        .parameter_groups
        .values()
        .filter(|group| group.scope == scope && wanted.as_ref().is_none_or(|wanted| *wanted == group.name))
        .collect();
    if let Some(wanted) = wanted.filter(|_| found.is_empty()) {
        return Err(not_found(&wanted));
    }
    let (found, next) = page(shared, query, found)?;
    Ok(response::rds(operation, |xml| {
        xml.list(&format!("{element}s"), &element, found, view);
        xml.optional("Marker", next);
    }))
}

fn delete(shared: &Shared, operation: &str, query: &Query, scope: Scope) -> Answer {
    let name = name_of(query, scope)?;
    let mut state = shared.rds.state();
    if state.is_used(scope, &name) {
        let message = format!(
            "One or more database instances are still members of this parameter group {name}, so the group cannot be deleted"
        );
        return Err(ApiError::new(400, "InvalidDBParameterGroupState", message));
    }
    state.parameter_groups.remove(&(scope, name.clone())).ok_or_else(|| not_found(&name))?;
    Ok(response::rds(operation, |_| {}))
}

fn view(xml: &mut Xml, group: &ParameterGroup) {
    let element = group.scope.element();
    xml.text(&format!("{element}Name"), &group.name)
        .text("DBParameterGroupFamily", &group.family)
        .text("Description", &group.description)
        .text(&format!("{element}Arn"), &group.arn);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_called_as_rds_calls_them() {
        for (engine, version, family) in [
            (DatabaseEngine::Mysql, "8.0.39", "mysql8.0"),
            (DatabaseEngine::AuroraMysql, "8.0.mysql_aurora.3.07.1", "aurora-mysql8.0"),
            (DatabaseEngine::Mariadb, "10.11.9", "mariadb10.11"),
            (DatabaseEngine::Postgres, "15.8", "postgres15"),
        ] {
            assert_eq!(family_of(engine, version), family);
        }
    }
}
