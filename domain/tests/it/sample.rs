//! What all plans of the tests are made from.

use std::collections::BTreeMap;

use domain::event::ExportRequest;
use domain::facts::Facts;
use domain::failure::Result;
use domain::id::ExecutionArn;
use domain::plan::Plan;
use domain::planning::plan;
use domain::settings::Settings;

/// The settings with these changes.
pub(crate) fn settings(changes: &[&[(&str, &str)]]) -> Settings {
    let mut variables: BTreeMap<&str, &str> = BTreeMap::from([
        ("EXPORT_BUCKET", "exports"),
        ("EXPORT_BUCKET_OWNER", "123456789012"),
        (
            "JOB_QUEUES",
            r#"{"us-east-1a": "arn:aws:batch:us-east-1:123456789012:job-queue/a",
                "us-east-1b": "arn:aws:batch:us-east-1:123456789012:job-queue/b",
                "us-east-1c": "arn:aws:batch:us-east-1:123456789012:job-queue/c"}"#,
        ),
        ("EXPORT_JOB_DEFINITION", "export:1"),
        ("VERIFY_JOB_DEFINITION", "verify:1"),
    ]);
    variables.extend(changes.iter().copied().flatten().copied());
    Settings::read(&|name| variables.get(name).map(|value| (*value).to_owned())).unwrap()
}

/// The request for a recovery point in the vault `Default`.
pub(crate) fn request(arn: &str) -> ExportRequest {
    ExportRequest { recovery_point: arn.parse().unwrap(), vault: "Default".parse().unwrap(), generation: 0 }
}

/// What AWS Backup says of a finished recovery point; nothing of any other service.
pub(crate) fn facts(resource_type: &str, resource_arn: &str) -> Facts {
    Facts {
        status: "COMPLETED".into(),
        status_message: None,
        vault_name: "Default".parse().unwrap(),
        vault_account: "123456789012".parse().unwrap(),
        resource_arn: resource_arn.into(),
        resource_type: resource_type.into(),
        created_at: "2026-11-02T03:04:05Z".parse().unwrap(),
        encrypted: true,
        size_bytes: Some(8 << 30),
        tags: BTreeMap::new(),
        image: None,
        snapshots: Vec::new(),
        database: None,
        table: None,
    }
}

pub(crate) fn execution(name: &str) -> ExecutionArn {
    format!("arn:aws:states:us-east-1:123456789012:execution:backup-export:{name}").parse().unwrap()
}

/// The plan of the execution `run-1`.
pub(crate) fn make(request: &ExportRequest, facts: &Facts, settings: &Settings) -> Result<Plan> {
    plan(request, facts, settings, &execution("run-1"), "2026-11-21T09:00:00Z".parse().unwrap())
}
