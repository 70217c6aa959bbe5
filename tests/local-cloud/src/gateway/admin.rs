//! The admin endpoint, below `/_local-cloud/`: what the library offers to tests, for people and scripts.
//!
//! `GET|POST|DELETE faults`, `GET|DELETE requests`, `POST events`, `POST schedules/NAME`, `GET executions`, `GET jobs`,
//! `GET volumes`, `GET databases`, `GET messages`, `GET dead-letters`, `POST spot-reclaim/JOB`.

use bytes::Bytes;
use http::{Method, Response};
use s3s::Body;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::event;
use crate::fault::FaultRule;
use crate::wire::json_answer;

pub(super) fn answer(cloud: &Cloud, method: &Method, path: &str, body: &Bytes) -> Response<Body> {
    let result = match (method.as_str(), path) {
        ("GET", "faults") => Ok(json!({"rules": cloud.context.faults.rules(), "hits": cloud.context.faults.hits()})),
        ("POST", "faults") => serde_json::from_slice::<FaultRule>(body)
            .map(|rule| {
                cloud.context.faults.add(rule);
                json!({})
            })
            .map_err(|error| error.to_string()),
        ("DELETE", "faults") => {
            cloud.context.faults.clear();
            Ok(json!({}))
        }
        ("GET", "requests") => Ok(json!(cloud.context.requests.all())),
        ("DELETE", "requests") => {
            cloud.context.requests.clear();
            Ok(json!({}))
        }
        ("GET", "executions") => Ok(json!(cloud.states.started())),
        ("GET", "jobs") => Ok(json!(cloud.batch.views())),
        ("GET", "volumes") => Ok(json!(cloud.ec2.views())),
        ("GET", "databases") => Ok(json!(cloud.rds.views())),
        ("GET", "messages") => Ok(json!(cloud.topics.messages())),
        ("GET", "dead-letters") => Ok(json!(cloud.dead_letters.all())),
        ("POST", "events") => match serde_json::from_slice::<Value>(body) {
            Ok(event) => Ok(json!({"targets": event::deliver(&cloud.events, event)})),
            Err(error) => Err(error.to_string()),
        },
        ("POST", _) if path.starts_with("schedules/") => {
            event::fire(&cloud.events, path.trim_start_matches("schedules/"))
                .map(|()| json!({}))
                .map_err(|error| error.to_string())
        }
        ("POST", _) if path.starts_with("spot-reclaim/") => {
            let id = path.trim_start_matches("spot-reclaim/");
            cloud.batch.reclaim(id).map(|()| json!({})).map_err(|error| error.to_string())
        }
        _ => Err(format!("there is no {method} {path}")),
    };
    match result {
        Ok(value) => json_answer(200, &value),
        Err(message) => json_answer(400, &json!({"message": message})),
    }
}
