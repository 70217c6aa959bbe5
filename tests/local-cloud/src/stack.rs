//! What a deployment consists of: the resources that CDK would create, as data.
//!
//! ARNs derive from names alone ([`crate::Names`]), so a stack can mention them before anything exists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that one deployment creates.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stack {
    /// Buckets and their owners.
    pub buckets: Vec<BucketSpec>,
    /// Backup vaults, by name.
    pub vaults: Vec<String>,
    /// Lambda functions.
    pub functions: Vec<FunctionSpec>,
    /// Batch job definitions.
    pub job_definitions: Vec<JobDefinitionSpec>,
    /// Batch job queues, one for each zone.
    pub queues: Vec<QueueSpec>,
    /// The state machine, if there is one.
    pub state_machine: Option<StateMachineSpec>,
    /// SNS topics, by name.
    pub topics: Vec<String>,
    /// Event rules.
    pub rules: Vec<RuleSpec>,
    /// Schedules, fired by hand.
    pub schedules: Vec<ScheduleSpec>,
}

/// A bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketSpec {
    /// The bucket's name.
    pub name: String,
    /// The account that owns it; the cloud's own account when absent.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A Lambda function: a binary that speaks the Runtime API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionSpec {
    /// The function's name.
    pub name: String,
    /// The program and its first arguments.
    pub command: Vec<PathBuf>,
    /// Environment of the function, beside what Lambda itself sets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Seconds after which an invocation is killed.
    #[serde(default = "default_function_timeout")]
    pub timeout_seconds: u64,
    /// How often an asynchronous invocation is retried.
    #[serde(default = "default_async_retries")]
    pub async_retries: u32,
    /// The queue that gets an asynchronous invocation that failed every time.
    #[serde(default)]
    pub dead_letters: Option<String>,
}

fn default_function_timeout() -> u64 {
    60
}

fn default_async_retries() -> u32 {
    2
}

/// A Batch job definition: a process in the place of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobDefinitionSpec {
    /// The definition's name; its revision is 1.
    pub name: String,
    /// The program and its first arguments: the image's entry point.
    pub entrypoint: Vec<PathBuf>,
    /// The default command, replaced by the one of the job.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment of the container.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Batch's `retryStrategy`, in the API's own JSON form (`attempts`, `evaluateOnExit`).
    #[serde(default)]
    pub retry_strategy: Option<Value>,
    /// `attemptDurationSeconds`.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Where the container has an empty volume of its own. An attempt gets a directory for each, and finds it in the
    /// variables that name the path.
    #[serde(default)]
    pub scratch: Vec<PathBuf>,
}

/// A Batch job queue with a compute environment in one zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    /// The queue's name.
    pub name: String,
    /// The zone of its hosts.
    pub availability_zone: String,
}

/// A state machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateMachineSpec {
    /// The machine's name.
    pub name: String,
    /// Its states, in ASL.
    pub definition: Definition,
    /// What is put in for each `${Name}` of the definition. A token without a value is an error.
    #[serde(default)]
    pub substitutions: BTreeMap<String, String>,
    /// Replaces the root `TimeoutSeconds`. It is real time: [`crate::Options::wait_scale`] does not touch timeouts.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
}

/// The definition of a state machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    /// A file of ASL.
    File(PathBuf),
    /// The ASL itself.
    Text(String),
}

/// An event rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// The rule's name.
    pub name: String,
    /// The event pattern, in EventBridge's own JSON.
    pub pattern: Value,
    /// Where matching events go.
    pub targets: Vec<TargetSpec>,
}

/// A schedule. Time does not pass by itself here: [`crate::LocalCloud::fire_schedule`] fires it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The schedule's name.
    pub name: String,
    /// Where its event goes.
    pub targets: Vec<TargetSpec>,
}

/// What a rule or schedule sends, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// Who gets it.
    pub target: Target,
    /// What it gets.
    #[serde(default)]
    pub input: TargetInput,
    /// How often a delivery that failed is tried again. Nothing here is away for long, so the first few count.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// The queue that gets what could not be delivered.
    #[serde(default)]
    pub dead_letters: Option<String>,
}

/// EventBridge's own.
pub(crate) fn default_retries() -> u32 {
    185
}

impl From<Target> for TargetSpec {
    fn from(target: Target) -> Self {
        Self { target, input: TargetInput::default(), retries: default_retries(), dead_letters: None }
    }
}

/// The target of a rule or schedule.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A state machine, by name: an execution starts with the event as its input.
    StateMachine(String),
    /// A function, by name: invoked asynchronously with the event.
    Function(String),
    /// A topic, by name: the event is published as a message.
    Topic(String),
}

/// What a target gets of an event.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TargetInput {
    /// The whole event.
    #[default]
    Event,
    /// The same text each time.
    Constant(String),
    /// A part of the event.
    Path(String),
    /// A template, filled in with parts of the event.
    Transformer {
        /// Where in the event the value of each variable is.
        paths: BTreeMap<String, String>,
        /// The text with `<variables>`.
        template: String,
    },
}
