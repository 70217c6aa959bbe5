//! The admin endpoint, below `/_local-cloud/`: what the library offers to tests, for people and scripts.
//!
//! `GET|POST|DELETE faults`, `GET|DELETE requests`, `POST events`, `POST schedules/NAME`, `GET executions`, `GET jobs`,
//! `GET volumes`, `GET databases`, `GET messages`, `GET dead-letters`, `POST spot-reclaim/JOB`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response};
use s3s::Body;
use serde_json::{Value, json};

use super::Shared;
use crate::event;
use crate::fault::FaultRule;
use crate::wire::json_answer;

pub(super) fn answer(shared: &Arc<Shared>, method: &Method, path: &str, body: &Bytes) -> Response<Body> {
    let result = match (method.as_str(), path) {
        ("GET", "faults") => Ok(json!({"rules": shared.faults.rules(), "hits": shared.faults.hits()})),
        ("POST", "faults") => serde_json::from_slice::<FaultRule>(body)
            .map(|rule| {
                shared.faults.add(rule);
                json!({})
            })
            .map_err(|error| error.to_string()),
        ("DELETE", "faults") => {
            shared.faults.clear();
            Ok(json!({}))
        }
        ("GET", "requests") => Ok(json!(shared.requests.all())),
        ("DELETE", "requests") => {
            shared.requests.clear();
            Ok(json!({}))
        }
        ("GET", "executions") => Ok(json!(shared.states.started())),
        ("GET", "jobs") => Ok(json!(shared.batch.views())),
        ("GET", "volumes") => Ok(json!(shared.ec2.views())),
        ("GET", "databases") => Ok(json!(shared.rds.views())),
        ("GET", "messages") => Ok(json!(shared.topics.messages())),
        ("GET", "dead-letters") => Ok(json!(shared.dead_letters.all())),
        ("POST", "events") => match serde_json::from_slice::<Value>(body) {
            Ok(event) => Ok(json!({"targets": event::deliver(shared, event)})),
            Err(error) => Err(error.to_string()),
        },
        ("POST", _) if path.starts_with("schedules/") => event::fire(shared, path.trim_start_matches("schedules/"))
            .map(|()| json!({}))
            .map_err(|error| error.to_string()),
        ("POST", _) if path.starts_with("spot-reclaim/") => {
            let id = path.trim_start_matches("spot-reclaim/");
            shared.batch.reclaim(shared, id).map(|()| json!({})).map_err(|error| error.to_string())
        }
        _ => Err(format!("there is no {method} {path}")),
    };
    match result {
        Ok(value) => json_answer(200, &value),
        Err(message) => json_answer(400, &json!({"message": message})),
    }
}
