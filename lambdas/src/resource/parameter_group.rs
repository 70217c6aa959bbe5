//! Parameter groups: what a restored server must be told before it starts, because a copy that changes itself is no
//! copy.

use std::collections::BTreeMap;

use aws::{CallError, done};
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{ApplyMethod, Parameter, Tag};
use domain::failure::{Error, Kind};
use domain::source::{DatabaseSource, ParameterGroup};

use super::rds::refusal::refused;
use super::removal::Removal;

const EXISTS: &[&str] = &["DBParameterGroupAlreadyExists", "DBParameterGroupAlreadyExistsFault"];
const NOT_FOUND: &[&str] = &["DBParameterGroupNotFound", "DBParameterGroupNotFoundFault"];
const BUSY: &[&str] = &["InvalidDBParameterGroupState"];
const DESCRIPTION: &str = "Of a database that is restored for its export; deleted with it";

/// Whose parameters a group has. The two kinds have operations and names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKind {
    /// An instance's.
    Instance,
    /// A cluster's.
    Cluster,
}

impl GroupKind {
    /// Of the group that a database is restored with.
    pub(crate) fn of(source: &DatabaseSource) -> Self {
        if source.cluster_id.is_some() { Self::Cluster } else { Self::Instance }
    }
}

/// Makes a group, or finds it made, and sees that it says what it is to say: RDS takes a while to bring a new group to
/// where servers are started.
pub(crate) async fn make(
    rds: &Client,
    source: &DatabaseSource,
    group: &ParameterGroup,
    tags: Vec<Tag>,
) -> Result<(), Error> {
    let kind = GroupKind::of(source);
    let name = group.name.as_str();
    match create(rds, kind, group, tags).await {
        Ok(()) => {}
        Err(failure) if failure.is(EXISTS) => {}
        Err(failure) => return Err(refused(failure, source, format!("make the parameter group {name}"))),
    }
    if is_set(rds, kind, name).await? {
        return Ok(());
    }
    if let Err(failure) = modify(rds, kind, name).await {
        // One that was just made may be unknown for a moment, or not ready to be changed.
        let action = format!("set parameters in the parameter group {name}");
        return Err(if failure.is(NOT_FOUND) || failure.is(BUSY) {
            failure.as_kind(Kind::Unavailable, action)
        } else {
            refused(failure, source, action)
        });
    }
    if is_set(rds, kind, name).await? {
        return Ok(());
    }
    Err(Error::new(Kind::Unavailable, format!("the parameter group {name} does not show its parameters yet")))
}

/// Whether RDS shows that a group says what it is to say.
async fn is_set(rds: &Client, kind: GroupKind, name: &str) -> Result<bool, Error> {
    let shown = match describe(rds, kind, name).await {
        Ok(shown) => shown,
        Err(failure) if failure.is(NOT_FOUND) => return Ok(false),
        Err(failure) => return Err(failure.during(format!("describe the parameter group {name}"))),
    };
    Ok(ParameterGroup::PARAMETERS
        .iter()
        .all(|(parameter, value)| shown.get(*parameter).is_some_and(|known| known.eq_ignore_ascii_case(value))))
}

/// Deletes a group. RDS takes it for used for a while after its server is gone.
pub(crate) async fn delete(rds: &Client, kind: GroupKind, name: &str) -> Result<Removal, Error> {
    let result = match kind {
        GroupKind::Instance => done(rds.delete_db_parameter_group().db_parameter_group_name(name).send().await),
        GroupKind::Cluster => {
            done(rds.delete_db_cluster_parameter_group().db_cluster_parameter_group_name(name).send().await)
        }
    };
    match result {
        Ok(()) => Ok(Removal::Begun),
        Err(failure) if failure.is(NOT_FOUND) => Ok(Removal::Gone),
        Err(failure) if failure.is(BUSY) => Ok(Removal::Busy),
        Err(failure) => Err(failure.during(format!("delete the parameter group {name}"))),
    }
}

/// Tells the names of all groups of a kind in the account and Region.
pub(crate) async fn each_name(rds: &Client, kind: GroupKind, mut tell: impl FnMut(&str)) -> Result<(), Error> {
    match kind {
        GroupKind::Instance => {
            let mut groups = rds.describe_db_parameter_groups().into_paginator().items().send();
            while let Some(group) = groups.next().await {
                let group = group.map_err(|error| CallError::of(&error).during("list the parameter groups"))?;
                tell(group.db_parameter_group_name().unwrap_or_default());
            }
        }
        GroupKind::Cluster => {
            let mut groups = rds.describe_db_cluster_parameter_groups().into_paginator().items().send();
            while let Some(group) = groups.next().await {
                let group = group.map_err(|error| CallError::of(&error).during("list the cluster parameter groups"))?;
                tell(group.db_cluster_parameter_group_name().unwrap_or_default());
            }
        }
    }
    Ok(())
}

async fn create(rds: &Client, kind: GroupKind, group: &ParameterGroup, tags: Vec<Tag>) -> Result<(), CallError> {
    match kind {
        GroupKind::Instance => {
            let call = rds.create_db_parameter_group().db_parameter_group_name(&group.name);
            let call = call.db_parameter_group_family(&group.family).description(DESCRIPTION);
            done(call.set_tags(Some(tags)).send().await)
        }
        GroupKind::Cluster => {
            let call = rds.create_db_cluster_parameter_group().db_cluster_parameter_group_name(&group.name);
            let call = call.db_parameter_group_family(&group.family).description(DESCRIPTION);
            done(call.set_tags(Some(tags)).send().await)
        }
    }
}

async fn modify(rds: &Client, kind: GroupKind, name: &str) -> Result<(), CallError> {
    let parameter = |(name, value): (&str, &str)| {
        Parameter::builder()
            .parameter_name(name)
            .parameter_value(value)
            .apply_method(ApplyMethod::PendingReboot)
            .build()
    };
    let parameters = ParameterGroup::PARAMETERS.into_iter().map(parameter).collect();
    match kind {
        GroupKind::Instance => {
            let call = rds.modify_db_parameter_group().db_parameter_group_name(name);
            done(call.set_parameters(Some(parameters)).send().await)
        }
        GroupKind::Cluster => {
            let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
            done(call.set_parameters(Some(parameters)).send().await)
        }
    }
}

/// The values of the parameters that have one. All are asked for: one that is set to what the family says may not count
/// as set by a user.
async fn describe(rds: &Client, kind: GroupKind, name: &str) -> Result<BTreeMap<String, String>, CallError> {
    let mut found = BTreeMap::new();
    let mut note = |parameter: Parameter| {
        if let (Some(name), Some(value)) = (parameter.parameter_name, parameter.parameter_value) {
            found.insert(name, value);
        }
    };
    match kind {
        GroupKind::Instance => {
            let call = rds.describe_db_parameters().db_parameter_group_name(name);
            let mut parameters = call.into_paginator().items().send();
            while let Some(parameter) = parameters.next().await {
                note(parameter.map_err(|error| CallError::of(&error))?);
            }
        }
        GroupKind::Cluster => {
            let call = rds.describe_db_cluster_parameters().db_cluster_parameter_group_name(name);
            let mut parameters = call.into_paginator().items().send();
            while let Some(parameter) = parameters.next().await {
                note(parameter.map_err(|error| CallError::of(&error))?);
            }
        }
    }
    Ok(found)
}
