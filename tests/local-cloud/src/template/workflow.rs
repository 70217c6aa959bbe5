//! The state machine.

use std::collections::BTreeMap;
use std::path::Path;

use super::intrinsic::Scope;
use super::resource::Kind;
use crate::error::Result;
use crate::stack::{Definition, Stack, StateMachineSpec};

pub(super) fn add(scope: &Scope<'_>, directory: &Path, stack: &mut Stack) -> Result<()> {
    for resource in scope.catalog.of(scope, Kind::StateMachine)? {
        if stack.state_machine.is_some() {
            return Err(resource.wrong("Type", "a second state machine is not played here"));
        }
        let asset = resource.document["Metadata"]["aws:asset:path"].as_str();
        let definition = match asset.filter(|_| !resource.property("DefinitionS3Location").is_null()) {
            Some(path) => Definition::File(directory.join(path)),
            None => Definition::Text(resource.text(scope, "DefinitionString")?),
        };
        let resolved = resource.resolved(scope, "DefinitionSubstitutions")?;
        let mut substitutions = BTreeMap::new();
        for (name, value) in resolved.as_object().into_iter().flatten() {
            let place = format!("DefinitionSubstitutions.{name}");
            let text = value.as_str().ok_or_else(|| resource.wrong(&place, format!("{value} is not a text")))?;
            substitutions.insert(name.clone(), text.to_owned());
        }
        stack.state_machine =
            Some(StateMachineSpec { name: resource.name.clone(), definition, substitutions, timeout_seconds: None });
    }
    Ok(())
}
