//! State machines, with the tokens of their definitions filled in.

use serde_json::{Value, json};

use super::service::States;
use crate::error::{Error, Result};
use crate::stack::{Definition, StateMachineSpec};

/// Fills in the tokens of a definition. A token without a value is refused.
fn substitute(spec: &StateMachineSpec, text: &str) -> Result<String> {
    let failed = |message: String| Error::Stack { name: spec.name.clone(), message };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((token, tail)) = after.split_once('}') else { return Err(failed("a `${` has no `}`".to_owned())) };
        let value = spec.substitutions.get(token);
        let value = value.ok_or_else(|| failed(format!("the definition's token {token} has no value")))?;
        out.push_str(before);
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    let Some(seconds) = spec.timeout_seconds else { return Ok(out) };
    let mut definition: Value = serde_json::from_str(&out).map_err(|error| failed(error.to_string()))?;
    definition["TimeoutSeconds"] = json!(seconds);
    Ok(definition.to_string())
}

/// Creates or updates a state machine.
pub(crate) async fn deploy(states: &States, spec: &StateMachineSpec) -> Result<()> {
    let text = match &spec.definition {
        Definition::File(path) => std::fs::read_to_string(path).map_err(Error::file("read", path))?,
        Definition::Text(text) => text.clone(),
    };
    let definition = substitute(spec, &text)?;
    let arn = states.context.names.state_machine(&spec.name);
    let role = format!("arn:{}:iam::{}:role/states", states.context.names.partition, states.context.names.account_id);
    let exists = states.ask("DescribeStateMachine", &json!({"stateMachineArn": arn})).await.is_ok();
    let (operation, input) = if exists {
        ("UpdateStateMachine", json!({"stateMachineArn": arn, "definition": definition, "roleArn": role}))
    } else {
        (
            "CreateStateMachine",
            json!({"name": spec.name, "definition": definition, "roleArn": role, "type": "STANDARD"}),
        )
    };
    states.ask(operation, &input).await.map(drop)
}
