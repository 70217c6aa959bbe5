//! What the tests share: a cloud with a function, a state machine and queues, and programs run against it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use local_cloud::{
    BucketSpec, Definition, FunctionSpec, JobDefinitionSpec, LocalCloud, Options, QueueSpec, RuleSpec, ScheduleSpec,
    Stack, StateMachineSpec, Target,
};
use serde_json::{Value, json};

pub(crate) const LONG: Duration = Duration::from_mins(3);

fn venv() -> PathBuf {
    std::env::var_os("LOCAL_CLOUD_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture").join(name)
}

pub(crate) async fn cloud() -> LocalCloud {
    let options = Options { stop_grace: Duration::from_secs(1), ..Options::default() };
    let cloud = LocalCloud::start(options).await.unwrap();
    cloud.deploy(&stack(&cloud)).await.unwrap();
    cloud
}

fn function(name: &str, timeout_seconds: u64) -> FunctionSpec {
    FunctionSpec {
        name: name.to_owned(),
        command: vec![venv().join("bin/python"), fixture("function.py")],
        environment: BTreeMap::default(),
        timeout_seconds,
        async_retries: 2,
        dead_letters: Some("dead".to_owned()),
    }
}

pub(crate) fn stack(cloud: &LocalCloud) -> Stack {
    let names = cloud.names();
    Stack {
        buckets: vec![
            BucketSpec { name: "bucket".to_owned(), owner: None },
            BucketSpec { name: "foreign".to_owned(), owner: Some("999999999999".to_owned()) },
        ],
        vaults: vec!["vault".to_owned()],
        functions: vec![function("echo", 30), function("slow", 1), function("listener", 30)],
        job_definitions: vec![JobDefinitionSpec {
            name: "worker".to_owned(),
            entrypoint: vec!["/bin/sh".into(), "-c".into()],
            command: Vec::new(),
            environment: BTreeMap::default(),
            retry_strategy: Some(json!({"attempts": 3, "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onExitCode": "75", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}]})),
            timeout_seconds: None,
            scratch: vec!["/scratch".into()],
        }],
        queues: vec![QueueSpec { name: "queue-a".to_owned(), availability_zone: "us-east-1a".to_owned() }],
        state_machine: Some(StateMachineSpec {
            name: "flow".to_owned(),
            definition: Definition::File(fixture("flow.asl.json")),
            substitutions: [
                ("Partition".to_owned(), names.partition.clone()),
                ("FunctionArn".to_owned(), names.function("echo")),
                ("QueueArn".to_owned(), names.job_queue("queue-a")),
                ("JobDefinitionArn".to_owned(), names.job_definition("worker")),
            ]
            .into(),
            timeout_seconds: None,
        }),
        topics: vec!["people".to_owned()],
        rules: vec![
            RuleSpec {
                name: "backups".to_owned(),
                pattern: json!({"source": ["aws.backup"], "detail": {"state": ["COMPLETED"]}}),
                targets: vec![Target::StateMachine("flow".to_owned()).into()],
            },
            RuleSpec {
                name: "ends".to_owned(),
                pattern: json!({"source": ["aws.states"], "detail": {"status": ["ABORTED", "TIMED_OUT", "FAILED"]}}),
                targets: vec![Target::Function("listener".to_owned()).into()],
            },
        ],
        schedules: vec![ScheduleSpec {
            name: "hourly".to_owned(),
            targets: vec![Target::Function("listener".to_owned()).into()],
        }],
    }
}

pub(crate) fn input(prefix: &str, commands: &[(&str, &str)]) -> Value {
    let list: Vec<Value> = commands.iter().map(|(name, command)| json!({"name": name, "command": [command]})).collect();
    json!({"seconds": 5, "prefix": prefix, "list": list})
}

/// Runs a program of the virtualenv against the cloud; gives its exit code and what it printed.
pub(crate) async fn run(cloud: &LocalCloud, program: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(venv().join("bin").join(program));
    command.args(arguments).envs(cloud.environment()).env("AWS_PAGER", "").env("AWS_MAX_ATTEMPTS", "1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), text)
}

/// boto3 in a process of its own.
pub(crate) struct Boto {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Boto {
    pub(crate) fn start(cloud: &LocalCloud) -> Self {
        let mut command = Command::new(venv().join("bin/python"));
        command.arg(fixture("boto.py")).envs(cloud.environment()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// Calls an operation (in Python's spelling); gives its answer, or the code of its error.
    pub(crate) fn call(&mut self, service: &str, operation: &str, parameters: &Value) -> Result<Value, String> {
        writeln!(self.input, "{}", json!([service, operation, parameters])).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{operation}: {error}: {line}"));
        match answer["error"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(answer["value"].clone()),
        }
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs the AWS CLI; it must succeed.
pub(crate) async fn aws(cloud: &LocalCloud, arguments: &str) -> Value {
    let words: Vec<&str> = arguments.split(' ').collect();
    let (code, text) = run(cloud, "aws", &words).await;
    assert_eq!(code, 0, "aws {arguments}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Runs the AWS CLI; it must fail, and this is what it said.
pub(crate) async fn aws_fails(cloud: &LocalCloud, arguments: &str) -> String {
    let words: Vec<&str> = arguments.split(' ').collect();
    let (code, text) = run(cloud, "aws", &words).await;
    assert_ne!(code, 0, "aws {arguments}: {text}");
    text
}
