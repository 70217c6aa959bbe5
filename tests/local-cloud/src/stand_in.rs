//! What a cloud without moto has of moto's services: tables that can be counted, and parameters that can be read.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::wire::{Answer, ApiError, Call, json_answer};

/// The tables and parameters that a test gave.
#[derive(Debug, Default)]
pub(crate) struct StandIn {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of items of each table.
    tables: BTreeMap<String, u64>,
    parameters: BTreeMap<String, String>,
}

impl StandIn {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table of so many items.
    pub(crate) fn set_table(&self, name: &str, items: u64) {
        self.state().tables.insert(name.to_owned(), items);
    }

    /// Removes a table; `false` when it is not there.
    pub(crate) fn remove_table(&self, name: &str) -> bool {
        self.state().tables.remove(name).is_some()
    }

    /// Makes a parameter.
    pub(crate) fn set_parameter(&self, name: &str, value: &str) {
        self.state().parameters.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn answer(&self, service: &str, call: &Call) -> Answer {
        match (service, call.operation.as_str()) {
            ("dynamodb", "Scan") => self.count(&call.json()?),
            ("ssm", "GetParameter") => self.parameter(&call.json()?),
            (_, operation) => {
                let message = format!("{service} {operation} is moto's, which does not run");
                Err(ApiError::new(501, "NotImplemented", message))
            }
        }
    }

    /// `Scan` that only counts. All items are in the first segment, as they may be.
    fn count(&self, body: &Value) -> Answer {
        if body["Select"] != "COUNT" {
            return Err(ApiError::new(400, "ValidationException", "Only the number of items can be asked for"));
        }
        let items = body["TableName"].as_str().and_then(|name| self.state().tables.get(name).copied());
        let items = items.ok_or_else(|| {
            ApiError::new(400, "ResourceNotFoundException", "Requested resource not found: Table not found")
        })?;
        let count = if body["Segment"].as_u64().unwrap_or(0) == 0 { items } else { 0 };
        Ok(json_answer(200, &json!({"Count": count, "ScannedCount": count})))
    }

    /// `GetParameter` of a SecureString, which is of use only decrypted.
    fn parameter(&self, body: &Value) -> Answer {
        if body["WithDecryption"] != true {
            return Err(ApiError::new(400, "ValidationException", "The parameter is a SecureString"));
        }
        let name = body["Name"].as_str().unwrap_or_default();
        let value = self.state().parameters.get(name).cloned();
        let value =
            value.ok_or_else(|| ApiError::new(400, "ParameterNotFound", format!("Parameter {name} not found")))?;
        Ok(json_answer(200, &json!({"Parameter": {"Name": name, "Type": "SecureString", "Value": value}})))
    }
}
