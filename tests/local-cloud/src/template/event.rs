//! Rules and schedules, their targets, and whether they may call them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::function::queue_name;
use super::intrinsic::Scope;
use super::resource::{Kind, Resource};
use crate::error::Result;
use crate::lambda::function_name;
use crate::stack::{RuleSpec, ScheduleSpec, Stack, Target, TargetInput, TargetSpec, default_retries};

pub(super) fn add(scope: &Scope<'_>, stack: &mut Stack) -> Result<()> {
    for resource in scope.catalog.of(scope, Kind::Rule)? {
        if resource.property("State").as_str() == Some("DISABLED") {
            continue;
        }
        if !resource.property("EventBusName").is_null() {
            return Err(resource.wrong("EventBusName", "only the default bus is played here"));
        }
        let name = resource.name.clone();
        let mut targets = Vec::new();
        let resolved = resource.resolved(scope, "Targets")?;
        for (index, target) in resolved.as_array().into_iter().flatten().enumerate() {
            targets.push(target_spec(scope, stack, resource, target, &format!("Targets[{index}]"))?);
        }
        let pattern = resource.resolved(scope, "EventPattern")?;
        match resource.resolved(scope, "ScheduleExpression")? {
            Value::Null if pattern.is_null() => {
                return Err(resource.wrong("EventPattern", "the rule has neither a pattern nor a schedule"));
            }
            Value::Null => stack.rules.push(RuleSpec { name, pattern, targets }),
            Value::String(expression) if expression.starts_with("rate(") || expression.starts_with("cron(") => {
                stack.schedules.push(ScheduleSpec { name, targets });
            }
            other => return Err(resource.wrong("ScheduleExpression", format!("{other} is neither a rate nor a cron"))),
        }
    }
    Ok(())
}

fn target_spec(
    scope: &Scope<'_>,
    stack: &Stack,
    rule: &Resource<'_>,
    target: &Value,
    place: &str,
) -> Result<TargetSpec> {
    let arn = target["Arn"].as_str().unwrap_or_default();
    let retries = target["RetryPolicy"]["MaximumRetryAttempts"].as_u64().and_then(|number| u32::try_from(number).ok());
    Ok(TargetSpec {
        target: match called(stack, arn) {
            Some(Target::Function(name)) if !may_invoke(scope, rule, &name)? => {
                let message = format!("no AWS::Lambda::Permission lets it invoke the function {name}");
                return Err(rule.wrong(place, message));
            }
            Some(Target::StateMachine(name)) if target["RoleArn"].is_null() => {
                return Err(rule.wrong(place, format!("it has no RoleArn by which to start {name}")));
            }
            Some(found) => found,
            None => return Err(rule.wrong(place, format!("there is no target {arn} that is played here"))),
        },
        input: input(target),
        retries: retries.unwrap_or_else(default_retries),
        dead_letters: target["DeadLetterConfig"]["Arn"].as_str().map(queue_name),
    })
}

/// Who has this ARN.
fn called(stack: &Stack, arn: &str) -> Option<Target> {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, _, resource] = fields.as_slice() else { return None };
    let target = match *service {
        "lambda" => Target::Function(function_name(resource).to_owned()),
        "states" => Target::StateMachine(resource.strip_prefix("stateMachine:")?.to_owned()),
        "sns" => Target::Topic((*resource).to_owned()),
        _ => return None,
    };
    let is_there = match &target {
        Target::Function(name) => stack.functions.iter().any(|function| function.name == *name),
        Target::StateMachine(name) => stack.state_machine.as_ref().is_some_and(|machine| machine.name == *name),
        Target::Topic(name) => stack.topics.contains(name),
    };
    is_there.then_some(target)
}

fn input(target: &Value) -> TargetInput {
    if let Some(text) = target["Input"].as_str() {
        return TargetInput::Constant(text.to_owned());
    }
    if let Some(path) = target["InputPath"].as_str() {
        return TargetInput::Path(path.to_owned());
    }
    let transformer = &target["InputTransformer"];
    let Some(template) = transformer["InputTemplate"].as_str() else { return TargetInput::Event };
    let paths = transformer["InputPathsMap"].as_object().into_iter().flatten();
    let paths: BTreeMap<String, String> =
        paths.filter_map(|(name, path)| Some((name.clone(), path.as_str()?.to_owned()))).collect();
    TargetInput::Transformer { paths, template: template.to_owned() }
}

/// Whether the function lets this rule invoke it. Without it, EventBridge fails in silence.
fn may_invoke(scope: &Scope<'_>, rule: &Resource<'_>, function: &str) -> Result<bool> {
    let arn = scope.names.rule(&rule.name);
    for permission in scope.catalog.of(scope, Kind::Permission)? {
        let lets = permission.text(scope, "Principal")? == "events.amazonaws.com"
            && permission.text(scope, "Action")? == "lambda:InvokeFunction"
            && function_name(&permission.text(scope, "FunctionName")?) == function
            && permission.text(scope, "SourceArn")? == arn;
        if lets {
            return Ok(true);
        }
    }
    Ok(false)
}
