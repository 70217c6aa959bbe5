//! The deployment as data: what `cdk deploy` creates, for the local cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use local_cloud::{
    BucketSpec, FunctionSpec, JobDefinitionSpec, Names, QueueSpec, RuleSpec, ScheduleSpec, Stack, StateMachineSpec,
    Target,
};
use serde_json::{Value, json};

/// The bucket that exports go to.
pub const BUCKET: &str = "backup-exports";
/// A bucket of another account.
pub const FOREIGN_BUCKET: &str = "somebody-elses-bucket";
/// The account that owns [`FOREIGN_BUCKET`].
pub const FOREIGN_ACCOUNT: &str = "999999999999";
/// The vault whose recovery points are exported.
pub const VAULT: &str = "Default";
/// Another vault.
pub const OTHER_VAULT: &str = "aws/efs/automatic-backup-vault";
/// The state machine.
pub const STATE_MACHINE: &str = "backup-export";
/// The schedule that calls the reaper.
pub const REAPER_SCHEDULE: &str = "reaper-hourly";

/// The Lambda functions, by the names of their binaries.
pub const FUNCTIONS: [&str; 7] =
    ["plan", "start-restore", "check-restore", "delete-recovery-point", "cleanup", "conclude", "reaper"];

/// The stack. `environment` is laid over the functions' default settings.
pub fn stack(names: &Names, zones: &[&str], environment: &BTreeMap<String, String>) -> Result<Stack> {
    let queues: Vec<QueueSpec> = zones
        .iter()
        .map(|zone| QueueSpec { name: format!("export-{zone}"), availability_zone: (*zone).to_owned() })
        .collect();
    let queue_arns: BTreeMap<&str, String> =
        queues.iter().map(|queue| (queue.availability_zone.as_str(), names.job_queue(&queue.name))).collect();

    let mut settings: BTreeMap<String, String> = [
        ("EXPORT_BUCKET", BUCKET.to_owned()),
        ("EXPORT_BUCKET_OWNER", names.account_id.clone()),
        ("JOB_QUEUES", serde_json::to_string(&queue_arns)?),
        ("EXPORT_JOB_DEFINITION", names.job_definition("export")),
        ("VERIFY_JOB_DEFINITION", names.job_definition("verify")),
        ("STATE_MACHINE_ARN", names.state_machine(STATE_MACHINE)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    settings.extend(environment.clone());

    let functions = FUNCTIONS
        .iter()
        .map(|name| {
            Ok(FunctionSpec {
                name: (*name).to_owned(),
                command: vec![binary(name)?],
                environment: settings.clone(),
                timeout_seconds: 60,
                async_retries: 2,
            })
        })
        .collect::<Result<_>>()?;

    Ok(Stack {
        buckets: vec![
            BucketSpec { name: BUCKET.into(), owner: None },
            BucketSpec { name: FOREIGN_BUCKET.into(), owner: Some(FOREIGN_ACCOUNT.into()) },
        ],
        vaults: vec![VAULT.into(), OTHER_VAULT.into()],
        functions,
        job_definitions: vec![job_definition("export")?, job_definition("verify")?],
        queues,
        state_machine: Some(StateMachineSpec {
            name: STATE_MACHINE.into(),
            definition: workspace().join("statemachine/export.asl.json"),
            substitutions: substitutions(names),
            timeout_seconds: None,
        }),
        rules: rules(),
        schedules: vec![ScheduleSpec {
            name: REAPER_SCHEDULE.into(),
            targets: vec![Target::Function("reaper".into())],
        }],
    })
}

fn substitutions(names: &Names) -> BTreeMap<String, String> {
    [
        ("PlanFunctionArn", "plan"),
        ("StartRestoreFunctionArn", "start-restore"),
        ("CheckRestoreFunctionArn", "check-restore"),
        ("DeleteRecoveryPointFunctionArn", "delete-recovery-point"),
        ("CleanupFunctionArn", "cleanup"),
        ("ConcludeFunctionArn", "conclude"),
    ]
    .map(|(token, function)| (token.to_owned(), names.function(function)))
    .into_iter()
    .chain([("Partition".to_owned(), names.partition.clone())])
    .collect()
}

/// Batch retries what another try may mend: a host that Spot took, a worker that was killed, S3 or EC2 out of order (75).
fn job_definition(name: &str) -> Result<JobDefinitionSpec> {
    Ok(JobDefinitionSpec {
        name: name.to_owned(),
        entrypoint: vec![binary("batch-worker")?],
        command: Vec::new(),
        environment: BTreeMap::new(),
        retry_strategy: Some(json!({
            "attempts": 3,
            "evaluateOnExit": [
                { "onStatusReason": "Host EC2*", "action": "RETRY" },
                { "onExitCode": "75", "action": "RETRY" },
                { "onExitCode": "137", "action": "RETRY" },
                { "onExitCode": "143", "action": "RETRY" },
                { "onReason": "*", "action": "EXIT" },
                { "onExitCode": "*", "action": "EXIT" },
            ]
        })),
        timeout_seconds: Some(24 * 3600),
    })
}

fn rules() -> Vec<RuleSpec> {
    let export = || vec![Target::StateMachine(STATE_MACHINE.into())];
    let rule = |name: &str, pattern: Value, targets| RuleSpec { name: name.to_owned(), pattern, targets };
    vec![
        rule(
            "backup-job",
            json!({"source": ["aws.backup"], "detail-type": ["Backup Job State Change"],
                   "detail": {"state": ["COMPLETED"], "backupVaultName": [VAULT]}}),
            export(),
        ),
        rule(
            "recovery-point",
            json!({"source": ["aws.backup"], "detail-type": ["Recovery Point State Change"],
                   "detail": {"status": ["COMPLETED", "AVAILABLE"], "backupVaultName": [VAULT]}}),
            export(),
        ),
        rule(
            "copy-job",
            json!({"source": ["aws.backup"], "detail-type": ["Copy Job State Change"],
                   "detail": {"state": ["COMPLETED"], "destinationBackupVaultArn": [{"suffix": format!(":backup-vault:{VAULT}")}]}}),
            export(),
        ),
        rule(
            "service-event",
            json!({"source": ["aws.backup"], "detail-type": ["AWS Service Event via CloudTrail"],
                   "detail": {"eventName": ["BackupJobCompleted"], "serviceEventDetails": {"backupVaultName": [VAULT]}}}),
            export(),
        ),
        rule(
            "execution-ended",
            json!({"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"],
                   "detail": {"status": ["FAILED", "TIMED_OUT", "ABORTED"]}}),
            vec![Target::Function("reaper".into())],
        ),
    ]
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package lies two folders below the root")
}

/// A binary of the workspace, built beside this program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("find the directory of the built binaries")?;
    let directory = program
        .ancestors()
        .find(|path| path.ends_with("debug") || path.ends_with("release"))
        .context("find the directory of the built binaries")?;
    let path = directory.join(name);
    ensure!(path.is_file(), "{} is not built: run `make build`", path.display());
    Ok(path)
}
