//! Lambda functions and how often their asynchronous invocations are tried.

use std::collections::BTreeMap;

use super::intrinsic::Scope;
use super::programs::Programs;
use super::resource::{Kind, Resource};
use crate::error::Result;
use crate::lambda::function_name;
use crate::stack::{FunctionSpec, Stack};

/// What Lambda takes when nothing is said, in seconds.
const DEFAULT_TIMEOUT_SECONDS: u64 = 3;

/// All variables of a function together, names and values.
const MAX_ENVIRONMENT_BYTES: usize = 4 << 10;

pub(super) fn add(scope: &Scope<'_>, programs: &Programs, stack: &mut Stack) -> Result<()> {
    for resource in scope.catalog.of(scope, Kind::Function)? {
        stack.functions.push(FunctionSpec {
            name: resource.name.clone(),
            // A function is called as its construct even where it is given another name.
            command: vec![programs.functions.join(resource.path.rsplit('/').next().unwrap_or_default())],
            environment: environment(scope, resource)?,
            timeout_seconds: resource.resolved(scope, "Timeout")?.as_u64().unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            async_retries: 2,
            dead_letters: None,
        });
    }
    for resource in scope.catalog.of(scope, Kind::EventInvokeConfig)? {
        let named = resource.text(scope, "FunctionName")?;
        let name = function_name(&named);
        let function = stack.functions.iter_mut().find(|function| function.name == name);
        let function =
            function.ok_or_else(|| resource.wrong("FunctionName", format!("there is no function {name}")))?;
        let retries = resource.resolved(scope, "MaximumRetryAttempts")?.as_u64();
        function.async_retries = retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(2);
        let destination = resource.resolved(scope, "DestinationConfig")?;
        function.dead_letters = destination["OnFailure"]["Destination"].as_str().map(queue_name);
    }
    Ok(())
}

/// The name in the ARN of a queue.
pub(super) fn queue_name(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

fn environment(scope: &Scope<'_>, resource: &Resource<'_>) -> Result<BTreeMap<String, String>> {
    let resolved = resource.resolved(scope, "Environment")?;
    let mut environment = BTreeMap::new();
    for (name, value) in resolved["Variables"].as_object().into_iter().flatten() {
        let place = format!("Environment.Variables.{name}");
        let text = value.as_str().ok_or_else(|| resource.wrong(&place, format!("{value} is not a text")))?;
        environment.insert(name.clone(), text.to_owned());
    }
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_ENVIRONMENT_BYTES {
        let message = format!("{bytes} bytes; Lambda takes {MAX_ENVIRONMENT_BYTES}");
        return Err(resource.wrong("Environment.Variables", message));
    }
    Ok(environment)
}
