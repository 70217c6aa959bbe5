//! What is deployed and what the programs expect are one: variables, names, rules.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::stack::{self, FAILURES_TOPIC, REAPER_SCHEDULE, RECONCILER_SCHEDULE, SUCCESSES_TOPIC};
use lambdas::environment::{BINARIES, Variables, variables};
use local_cloud::{FunctionSpec, Options, Stack, Target, TargetSpec};

fn deployed() -> Result<Stack> {
    stack::stack(&Options::default(), &BTreeMap::new())
}

/// Every way in which a function's variables and what its program reads differ.
fn drift(function: &FunctionSpec) -> Result<Vec<String>> {
    let FunctionSpec { name, environment: given, .. } = function;
    let Variables { required, optional } = variables(name).with_context(|| format!("no binary is called {name}"))?;
    let idle = given.keys().filter(|variable| !required.contains(*variable) && !optional.contains(*variable));
    // An empty variable counts as absent.
    let missing = required.iter().filter(|variable| given.get(*variable).is_none_or(|value| value.trim().is_empty()));
    let idle = idle.map(|variable| format!("{name}: {variable} is set, and nobody reads it"));
    Ok(idle.chain(missing.map(|variable| format!("{name}: {variable} is needed, and not set"))).collect())
}

#[test]
fn each_function_is_given_what_it_reads_and_nothing_else() -> Result<()> {
    let functions = deployed()?.functions;
    let names: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    ensure!(names == BINARIES.into(), "functions {names:?}, binaries {BINARIES:?}");
    let mut found = Vec::new();
    for function in &functions {
        found.extend(drift(function)?);
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

#[test]
fn drift_is_found_both_ways() -> Result<()> {
    for function in deployed()?.functions.into_iter().filter(|function| !function.environment.is_empty()) {
        let mut more = function.clone();
        more.environment.insert("VERFIY".to_owned(), "readback".to_owned());
        ensure!(drift(&more)?.iter().any(|found| found.contains("VERFIY")), "{}", function.name);
        let mut less = function.clone();
        less.environment.insert("EXPORT_BUCKET".to_owned(), " ".to_owned());
        ensure!(drift(&less)?.iter().any(|found| found.contains("EXPORT_BUCKET")), "{}", function.name);
    }
    Ok(())
}

#[test]
fn every_token_of_the_definition_is_filled_in_and_every_value_is_used() -> Result<()> {
    let machine = deployed()?.state_machine.context("the template has no state machine")?;
    let file = std::fs::read_to_string(stack::workspace().join("statemachine/export.asl.json"))?;
    let tokens: BTreeSet<&str> = file.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
    let given: BTreeSet<&str> = machine.substitutions.keys().map(String::as_str).collect();
    ensure!(tokens == given, "tokens {tokens:?}, values {given:?}");
    let local_cloud::Definition::Text(deployed) = &machine.definition else { bail!("the definition is in a file") };
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    ensure!(parse(deployed)? == parse(&file)?, "the template holds another definition than the file: run `make synth`");
    Ok(())
}

#[test]
fn every_event_that_is_needed_goes_where_it_is_needed() -> Result<()> {
    let stack = deployed()?;
    let rule = |name: &str| {
        let found = stack.rules.iter().find(|rule| rule.name == name);
        found.map(|rule| rule.targets.as_slice()).with_context(|| format!("no rule {name}"))
    };
    let schedule = |name: &str| {
        let found = stack.schedules.iter().find(|schedule| schedule.name == name);
        found.map(|schedule| schedule.targets.as_slice()).with_context(|| format!("no schedule {name}"))
    };
    let start = Target::StateMachine(stack::STATE_MACHINE.to_owned());
    let function = |name: &str| Target::Function(name.to_owned());
    let topic = |name: &str| Target::Topic(name.to_owned());
    for (name, targets, expected) in [
        ("backup-job", rule("backup-job")?, start.clone()),
        ("recovery-point", rule("recovery-point")?, start.clone()),
        ("copy-job", rule("copy-job")?, start.clone()),
        ("service-event", rule("service-event")?, start),
        ("execution-ended", rule("execution-ended")?, function("reaper")),
        ("notify-failure", rule("notify-failure")?, topic(FAILURES_TOPIC)),
        ("notify-success", rule("notify-success")?, topic(SUCCESSES_TOPIC)),
        (REAPER_SCHEDULE, schedule(REAPER_SCHEDULE)?, function("reaper")),
        (RECONCILER_SCHEDULE, schedule(RECONCILER_SCHEDULE)?, function("reconciler")),
    ] {
        let [TargetSpec { target, dead_letters, .. }] = targets else { bail!("{name} has {} targets", targets.len()) };
        ensure!(*target == expected, "{name} goes to {target:?}");
        ensure!(dead_letters.is_some(), "{name}: what cannot be delivered is lost");
    }
    Ok(())
}
