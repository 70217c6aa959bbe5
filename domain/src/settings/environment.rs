//! Reading variables: how a value is parsed, and how everything that is wrong is told together.

use std::fmt;
use std::str::FromStr;

use crate::failure::{Error, Kind};
use crate::limit::Limit;

/// Everything that is wrong with an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings {
    /// One sentence for each problem, naming the variable.
    pub problems: Vec<String>,
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read settings: {}", self.problems.join("; "))
    }
}

impl From<InvalidSettings> for Error {
    fn from(error: InvalidSettings) -> Self {
        Self::new(Kind::InvalidSettings, error.to_string())
    }
}

/// Reads variables and collects what is wrong with them. An empty variable counts as absent.
pub struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl<'a> Environment<'a> {
    /// Reads through `lookup`, so that tests need no process environment.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value of `name`, parsed; `None` when it is absent or wrong.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = (self.lookup)(name).filter(|text| !text.trim().is_empty())?;
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("{name} is {text:?}: {error}"));
                None
            }
        }
    }

    /// The same, but its absence is a problem.
    pub fn required<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let before = self.problems.len();
        let value = self.optional(name);
        if value.is_none() && self.problems.len() == before {
            self.problem(format!("{name} is not set"));
        }
        value
    }

    /// A number within `limit`.
    pub fn number(&mut self, name: &str, limit: Limit) -> Option<u32> {
        let value: u32 = self.optional(name)?;
        if limit.contains(value) {
            return Some(value);
        }
        self.problem(format!("{name} is {value}: it must be {limit}"));
        None
    }

    /// One of `choices`, or the first of them when absent.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let Some(text) = self.optional::<String>(name) else {
            return choices.first().map(|(_, value)| *value);
        };
        let found = choices.iter().find(|(choice, _)| *choice == text);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            self.problem(format!("{name} is {text:?}: it must be one of {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A JSON list of names, none of them empty; `None` when it is absent or wrong.
    pub fn names(&mut self, name: &str) -> Option<Vec<String>> {
        let text: String = self.optional(name)?;
        match serde_json::from_str::<Vec<String>>(&text) {
            Ok(list) if !list.is_empty() && list.iter().all(|item| !item.is_empty()) => Some(list),
            Ok(_) => {
                self.problem(format!("{name} is {text:?}: it must name at least one, and nothing empty"));
                None
            }
            Err(error) => {
                self.problem(format!("{name} is not a JSON list of strings: {error}"));
                None
            }
        }
    }

    /// The same, but its absence is a problem.
    pub fn required_names(&mut self, name: &str) -> Option<Vec<String>> {
        self.required::<String>(name).and_then(|_| self.names(name))
    }

    /// Adds a problem.
    pub fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// `value` if it is there and there was no problem, otherwise all problems.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, InvalidSettings> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(InvalidSettings { problems: self.problems }),
        }
    }
}
