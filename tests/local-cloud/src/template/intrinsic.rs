//! Intrinsic functions and pseudo parameters.

use serde_json::{Map, Value};

use super::problem::Problem;
use super::resource::Catalog;
use crate::options::Names;

/// What a template is resolved by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) document: &'a Value,
    pub(super) names: &'a Names,
    pub(super) zones: &'a [String],
    pub(super) catalog: &'a Catalog<'a>,
}

/// `None` is `AWS::NoValue`: the property, or the item, is not there.
type Resolved = Result<Option<Value>, Problem>;

impl Scope<'_> {
    /// A value with everything in it resolved.
    pub(super) fn value(&self, value: &Value, place: &str) -> Resolved {
        match value {
            Value::Object(fields) => {
                if let Some((name, argument)) = intrinsic(fields) {
                    return self.call(name, argument, &format!("{place}.{name}"));
                }
                let mut resolved = Map::new();
                for (name, field) in fields {
                    if let Some(field) = self.value(field, &format!("{place}.{name}"))? {
                        resolved.insert(name.clone(), field);
                    }
                }
                Ok(Some(Value::Object(resolved)))
            }
            Value::Array(items) => {
                let mut resolved = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.value(item, &format!("{place}[{index}]"))?);
                }
                Ok(Some(Value::Array(resolved)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Some(value.clone())),
        }
    }

    /// A value that must be there.
    fn given(&self, value: &Value, place: &str) -> Result<Value, Problem> {
        self.value(value, place)?.ok_or_else(|| Problem::new(place, "it has no value"))
    }

    /// A value that must be text, or a number or boolean that CloudFormation takes for text.
    pub(super) fn text(&self, value: &Value, place: &str) -> Result<String, Problem> {
        text_of(&self.given(value, place)?, place)
    }

    fn list(&self, value: &Value, place: &str) -> Result<Vec<Value>, Problem> {
        match self.given(value, place)? {
            Value::Array(items) => Ok(items),
            other => Err(Problem::new(place, format!("{other} is not a list"))),
        }
    }

    fn call(&self, name: &str, argument: &Value, place: &str) -> Resolved {
        let resolved = match name {
            "Ref" => return self.reference(&text_of(argument, place)?, place),
            "Fn::GetAtt" => {
                let (id, attribute) = match argument {
                    Value::Array(parts) if parts.len() == 2 => {
                        (text_of(&parts[0], place)?, self.text(&parts[1], place)?)
                    }
                    other => {
                        let text = text_of(other, place)?;
                        let parts = text
                            .split_once('.')
                            .ok_or_else(|| Problem::new(place, format!("{text} names no attribute")))?;
                        (parts.0.to_owned(), parts.1.to_owned())
                    }
                };
                Value::String(self.attribute(&id, &attribute, place)?)
            }
            "Fn::Join" => {
                let [separator, items] = arguments(argument, place)?;
                let items = self.list(items, place)?;
                let texts: Vec<String> = items.iter().map(|item| text_of(item, place)).collect::<Result<_, _>>()?;
                Value::String(texts.join(&self.text(separator, place)?))
            }
            "Fn::Split" => {
                let [separator, text] = arguments(argument, place)?;
                let (separator, text) = (self.text(separator, place)?, self.text(text, place)?);
                text.split(&separator).map(Value::from).collect()
            }
            "Fn::Select" => {
                let [index, items] = arguments(argument, place)?;
                let (index, mut items) = (self.text(index, place)?, self.list(items, place)?);
                match index.parse::<usize>() {
                    Ok(at) if at < items.len() => items.swap_remove(at),
                    _ => return Err(Problem::new(place, format!("there is no item {index} among {}", items.len()))),
                }
            }
            "Fn::Sub" => Value::String(self.substitute(argument, place)?),
            "Fn::GetAZs" => match self.text(argument, place)? {
                region if region.is_empty() || region == self.names.region => self.zones.iter().cloned().collect(),
                region => return Err(Problem::new(place, format!("{region} is not the region of this cloud"))),
            },
            "Fn::If" => {
                let [condition, yes, no] = arguments(argument, place)?;
                let holds = self.named_condition(&text_of(condition, place)?, place)?;
                return self.value(if holds { yes } else { no }, place);
            }
            "Fn::FindInMap" => {
                let [map, first, second] = arguments(argument, place)?;
                let mut found = &self.document["Mappings"];
                for key in [map, first, second] {
                    let key = self.text(key, place)?;
                    found = found
                        .get(&key)
                        .ok_or_else(|| Problem::new(place, format!("there is no {key} in the mapping")))?;
                }
                found.clone()
            }
            other => return Err(Problem::new(place, format!("{other} is not resolved here"))),
        };
        Ok(Some(resolved))
    }

    fn reference(&self, name: &str, place: &str) -> Resolved {
        let names = self.names;
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => names.account_id.clone(),
            "AWS::Partition" => names.partition.clone(),
            "AWS::Region" => names.region.clone(),
            "AWS::StackName" => self.catalog.stack_name().to_owned(),
            "AWS::URLSuffix" if names.partition == "aws-cn" => "amazonaws.com.cn".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ => {
                if let Some(parameter) = self.document.get("Parameters").and_then(|all| all.get(name)) {
                    return default_of(name, parameter, place).map(Some);
                }
                match self.catalog.find(name) {
                    Some(resource) => resource.reference(names),
                    None => return Err(Problem::new(place, format!("there is no {name}"))),
                }
            }
        };
        Ok(Some(Value::String(text)))
    }

    fn attribute(&self, id: &str, attribute: &str, place: &str) -> Result<String, Problem> {
        let resource = self.catalog.find(id).ok_or_else(|| Problem::new(place, format!("there is no {id}")))?;
        resource.attribute(attribute, self.names).ok_or_else(|| {
            Problem::new(place, format!("the attribute {attribute} of {id}, an {}, is not known here", resource.kind))
        })
    }

    /// `Fn::Sub`: a text, or a list of a text and values for its names.
    fn substitute(&self, argument: &Value, place: &str) -> Result<String, Problem> {
        let (text, values) = match argument {
            Value::Array(parts) => match parts.as_slice() {
                [text, values] => (text_of(text, place)?, Some(values)),
                _ => return Err(Problem::new(place, "it takes a text and values")),
            },
            other => (text_of(other, place)?, None),
        };
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').ok_or_else(|| Problem::new(place, "a `${` is without its `}`"))?;
            out.push_str(before);
            rest = tail;
            if let Some(literal) = name.strip_prefix('!') {
                out.extend(["${", literal, "}"]);
            } else if let Some(value) = values.and_then(|values| values.get(name)) {
                out.push_str(&self.text(value, place)?);
            } else if let Some((id, attribute)) = name.split_once('.') {
                out.push_str(&self.attribute(id, attribute, place)?);
            } else {
                let value = self.reference(name, place)?;
                out.push_str(&text_of(&value.unwrap_or_default(), place)?);
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Whether a condition of the template holds.
    pub(super) fn named_condition(&self, name: &str, place: &str) -> Result<bool, Problem> {
        let condition = self.document.get("Conditions").and_then(|all| all.get(name));
        let condition = condition.ok_or_else(|| Problem::new(place, format!("there is no condition {name}")))?;
        self.condition(condition, &format!("Conditions.{name}"))
    }

    fn condition(&self, condition: &Value, place: &str) -> Result<bool, Problem> {
        let called = condition.as_object().and_then(|fields| fields.iter().next().filter(|_| fields.len() == 1));
        let Some((name, argument)) = called else {
            return Err(Problem::new(place, format!("{condition} is not a condition")));
        };
        let all = |argument: &Value| -> Result<Vec<bool>, Problem> {
            let items = argument.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().map(|item| self.condition(item, place)).collect()
        };
        match name.as_str() {
            "Condition" => self.named_condition(&text_of(argument, place)?, place),
            "Fn::Equals" => {
                let [left, right] = arguments(argument, place)?;
                Ok(self.value(left, place)? == self.value(right, place)?)
            }
            "Fn::And" => Ok(all(argument)?.into_iter().all(|holds| holds)),
            "Fn::Or" => Ok(all(argument)?.into_iter().any(|holds| holds)),
            "Fn::Not" => Ok(!all(argument)?.into_iter().all(|holds| holds)),
            other => Err(Problem::new(place, format!("{other} is not a condition"))),
        }
    }
}

/// The default of a parameter. The value of one that stands in Parameter Store is nowhere here.
fn default_of(name: &str, parameter: &Value, place: &str) -> Result<Value, Problem> {
    let kind = parameter["Type"].as_str().unwrap_or_default();
    let default = parameter.get("Default").filter(|_| !kind.starts_with("AWS::SSM"));
    match (default, kind) {
        (Some(Value::String(text)), kind) if kind.starts_with("List<") || kind == "CommaDelimitedList" => {
            Ok(text.split(',').map(str::trim).map(Value::from).collect())
        }
        (Some(value), _) => Ok(value.clone()),
        (None, _) => Err(Problem::new(place, format!("the parameter {name} has no value here"))),
    }
}

/// The function that an object calls, if it is a call.
fn intrinsic(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = fields.iter().next().filter(|_| fields.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

fn arguments<'a, const N: usize>(argument: &'a Value, place: &str) -> Result<[&'a Value; N], Problem> {
    let items: Vec<&Value> = argument.as_array().map(|items| items.iter().collect()).unwrap_or_default();
    items.try_into().map_err(|_| Problem::new(place, format!("it takes a list of {N}")))
}

fn text_of(value: &Value, place: &str) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Problem::new(place, format!("{value} is not a text"))),
    }
}
