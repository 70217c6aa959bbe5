//! Resources whose conditions hold, and their properties with everything in them resolved.

use serde_json::Value;

use super::intrinsic::Scope;
use super::problem::Problem;
use super::resource::{Catalog, Kind, NAME_PROPERTIES, Resource, UNNEEDED};
use crate::error::{Error, Result};

/// Puts a resource's name to what went wrong in it.
fn in_resource(resource: &Resource<'_>) -> impl Fn(Problem) -> Error {
    |problem| problem.of(resource.id, resource.path)
}

impl<'a> Catalog<'a> {
    /// Refuses a type that is neither played nor known to be unneeded: what depends on it would not run as deployed.
    pub(super) fn refuse_unknown(&self, scope: &Scope<'_>) -> Result<()> {
        let known = |kind: &str| UNNEEDED.contains(&kind) || Kind::ALL.iter().any(|each| each.name() == kind);
        for resource in self.made(scope)? {
            if !known(resource.kind) {
                let message = format!("{} is neither played here nor listed as unneeded", resource.kind);
                return Err(in_resource(resource)(Problem::new("Type", message)));
            }
        }
        Ok(())
    }

    /// The resources of a kind that are made, by the path of their constructs.
    pub(super) fn of(&self, scope: &Scope<'_>, kind: Kind) -> Result<Vec<&Resource<'a>>> {
        let found: Vec<_> = self.made(scope)?.into_iter().filter(|resource| resource.kind == kind.name()).collect();
        for (index, resource) in found.iter().enumerate() {
            let named = NAME_PROPERTIES.iter().any(|(named, _)| *named == resource.kind);
            if named && found[..index].iter().any(|other| other.name == resource.name) {
                let message = format!("another {} is called {} too", resource.kind, resource.name);
                return Err(in_resource(resource)(Problem::new("Metadata", message)));
            }
        }
        Ok(found)
    }

    /// The resources whose condition holds.
    fn made(&self, scope: &Scope<'_>) -> Result<Vec<&Resource<'a>>> {
        let mut made = Vec::new();
        for resource in self.order.iter().filter_map(|id| self.find(id)) {
            let condition = resource.document.get("Condition").and_then(Value::as_str);
            let holds = condition.map_or(Ok(true), |name| scope.named_condition(name, "Condition"));
            if holds.map_err(in_resource(resource))? {
                made.push(resource);
            }
        }
        Ok(made)
    }
}

impl Resource<'_> {
    /// A property, resolved; null when it is not there.
    pub(super) fn resolved(&self, scope: &Scope<'_>, name: &str) -> Result<Value> {
        let value = scope.value(self.property(name), name).map_err(in_resource(self))?;
        Ok(value.unwrap_or_default())
    }

    /// A property that must be text.
    pub(super) fn text(&self, scope: &Scope<'_>, name: &str) -> Result<String> {
        scope.text(self.property(name), name).map_err(in_resource(self))
    }
}
