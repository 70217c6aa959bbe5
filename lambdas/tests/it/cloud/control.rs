//! Step Functions and AWS Backup.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, State, error};

/// Recovery points on a page of a listing.
const PAGE: usize = 2;

impl State {
    pub(super) fn states(&mut self, action: &str, body: &Value) -> Answer {
        if action == "StartExecution" {
            return self.start(body);
        }
        let arn = body["executionArn"].as_str().unwrap();
        match self.executions.get(arn) {
            Some(status) => (
                200,
                json!({
                    "stopDate": self.stopped_at, "executionArn": arn,
                    "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export",
                    "status": status, "startDate": 1
                })
                .to_string(),
            ),
            None => (400, error("states", "ExecutionDoesNotExist")),
        }
    }

    /// A name is taken for good; a call that is tried again by the client is not told apart here.
    fn start(&mut self, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap().to_owned();
        if !self.taken_names.insert(name.clone()) {
            return (400, error("states", "ExecutionAlreadyExists"));
        }
        let machine = body["stateMachineArn"].as_str().unwrap();
        let arn = format!("{}:{name}", machine.replace(":stateMachine:", ":execution:"));
        self.started.push((name, serde_json::from_str(body["input"].as_str().unwrap()).unwrap()));
        (200, json!({"executionArn": arn, "startDate": 1}).to_string())
    }

    pub(super) fn backup(&mut self, action: &str, query: &BTreeMap<String, String>) -> Answer {
        if action == "LIST" {
            return self.page(query);
        }
        let Some(status) = self.recovery_point.clone() else {
            return (400, error("backup", "ResourceNotFoundException"));
        };
        if action == "DELETE" {
            self.recovery_point.clone_from(&self.after_deletion);
            return (200, String::new());
        }
        let point = json!({
            "BackupVaultName": self.vault,
            "BackupVaultArn": "arn:aws:backup:us-east-1:123456789012:backup-vault:Default",
            "ResourceArn": self.resource_arn, "ResourceType": "EBS",
            "Status": status, "CreationDate": 1_793_588_645, "IsEncrypted": true, "BackupSizeInBytes": 8_589_934_592_u64
        });
        (200, point.to_string())
    }

    fn page(&self, query: &BTreeMap<String, String>) -> Answer {
        let start: usize = query.get("nextToken").map_or(0, |token| token.parse().unwrap());
        let since: Option<jiff::Timestamp> = query.get("createdAfter").map(|time| time.parse().unwrap());
        let chosen: Vec<&Value> = self
            .listed
            .iter()
            .filter(|point| query.get("resourceArn").is_none_or(|arn| point["ResourceArn"] == arn.as_str()))
            .filter(|point| since.is_none_or(|since| point["CreationDate"].as_i64() > Some(since.as_second())))
            .collect();
        let page: Vec<&Value> = chosen.iter().copied().skip(start).take(PAGE).collect();
        let next = (chosen.len() > start + PAGE).then(|| (start + PAGE).to_string());
        (200, json!({"RecoveryPoints": page, "NextToken": next}).to_string())
    }
}
