//! Options of a cloud, and the names that follow from them.

mod database;

use std::path::PathBuf;
use std::time::Duration;

pub use self::database::{DatabaseOptions, OrderableClass};

/// How a cloud is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is kept; a temporary directory, removed at shutdown, when absent.
    pub directory: Option<PathBuf>,
    /// Port of the gateway; 0 for a free one.
    pub port: u16,
    /// The account.
    pub account_id: String,
    /// The region. The partition follows from it (`cn-…`: `aws-cn`, `us-gov-…`: `aws-us-gov`).
    pub region: String,
    /// Letters of the zones, one simulated host for each.
    pub zones: Vec<char>,
    /// Whether moto runs. Without it there are no state machines, no tables and parameters but those that a test gives,
    /// and nothing else that moto plays; such a cloud starts in milliseconds.
    pub moto: bool,
    /// The virtualenv with moto. When absent: the environment variable `LOCAL_CLOUD_VENV`, or `.venv` in the workspace.
    pub venv: Option<PathBuf>,
    /// Factor on the seconds of Wait states, retry intervals of the state machine and of asynchronous invocations.
    pub wait_scale: f64,
    /// How long a volume is `creating`.
    pub volume_creation: Duration,
    /// How long an attachment is `attaching` or `detaching`.
    pub attachment: Duration,
    /// Time between SIGTERM and SIGKILL of a job that is terminated or reclaimed.
    pub stop_grace: Duration,
    /// How long a job stays in RUNNABLE and STARTING before its process runs.
    pub job_start: Duration,
    /// How long a table is `CREATING` when it is restored.
    pub table_creation: Duration,
    /// How long a table is `DELETING`.
    pub table_deletion: Duration,
    /// How long after its start point-in-time recovery has no window yet.
    pub point_in_time_recovery: Duration,
    /// How long an export of a table is `IN_PROGRESS`.
    pub table_export: Duration,
    /// How long an export task of RDS is `STARTING` and `IN_PROGRESS`, at least.
    pub export_task: Duration,
    /// How long a restore job of AWS Backup is `PENDING` and `RUNNING` before the restored thing comes to be.
    pub restore_job: Duration,
    /// Whether S3 refuses what an export is not to send: bodies without a CRC64NVME in a header, aws-chunked bodies,
    /// parts with a SHA-256, uploads without a checksum of the full object.
    pub strict_uploads: bool,
    /// Whether attached volumes become loop devices.
    pub devices: Devices,
    /// How RDS behaves.
    pub databases: DatabaseOptions,
}

/// What an attached volume is on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// A loop device where that is possible (root, `losetup`), else the image file itself.
    #[default]
    Auto,
    /// The image file itself.
    Files,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            directory: None,
            port: 0,
            account_id: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            zones: vec!['a', 'b'],
            moto: true,
            venv: None,
            // A second of waiting becomes a fiftieth: a state machine of minutes runs in seconds.
            wait_scale: 0.02,
            volume_creation: Duration::from_millis(150),
            attachment: Duration::from_millis(100),
            stop_grace: Duration::from_secs(5),
            job_start: Duration::from_millis(50),
            table_creation: Duration::from_millis(200),
            table_deletion: Duration::from_millis(100),
            point_in_time_recovery: Duration::from_millis(100),
            table_export: Duration::from_millis(200),
            export_task: Duration::from_millis(300),
            restore_job: Duration::from_millis(200),
            strict_uploads: false,
            devices: Devices::Auto,
            databases: DatabaseOptions::default(),
        }
    }
}

impl Options {
    /// The names of this account and region.
    pub fn names(&self) -> Names {
        Names {
            partition: match &self.region {
                region if region.starts_with("cn-") => "aws-cn",
                region if region.starts_with("us-gov-") => "aws-us-gov",
                _ => "aws",
            }
            .to_owned(),
            region: self.region.clone(),
            account_id: self.account_id.clone(),
        }
    }

    /// The zones: the region with each letter.
    pub fn availability_zones(&self) -> Vec<String> {
        self.zones.iter().map(|letter| format!("{}{letter}", self.region)).collect()
    }
}

/// ARNs of one account and region. They derive from names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub partition: String,
    pub region: String,
    /// The account.
    pub account_id: String,
}

impl Names {
    /// `arn:P:SERVICE:R:A:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account_id } = self;
        format!("arn:{partition}:{service}:{region}:{account_id}:{resource}")
    }

    /// The ARN of a function.
    pub fn function(&self, name: &str) -> String {
        self.arn("lambda", &format!("function:{name}"))
    }

    /// The ARN of a state machine.
    pub fn state_machine(&self, name: &str) -> String {
        self.arn("states", &format!("stateMachine:{name}"))
    }

    /// The ARN of a job queue.
    pub fn job_queue(&self, name: &str) -> String {
        self.arn("batch", &format!("job-queue/{name}"))
    }

    /// The ARN of the first revision of a job definition.
    pub fn job_definition(&self, name: &str) -> String {
        self.arn("batch", &format!("job-definition/{name}:1"))
    }

    /// The ARN of a topic.
    pub fn topic(&self, name: &str) -> String {
        self.arn("sns", name)
    }

    /// The ARN of a rule of the default bus.
    pub fn rule(&self, name: &str) -> String {
        self.arn("events", &format!("rule/{name}"))
    }

    /// The ARN of a vault.
    pub fn vault(&self, name: &str) -> String {
        self.arn("backup", &format!("backup-vault:{name}"))
    }

    /// The ARN of a snapshot: without an account.
    pub fn snapshot(&self, id: &str) -> String {
        format!("arn:{}:ec2:{}::snapshot/{id}", self.partition, self.region)
    }

    /// The ARN of an image: without an account.
    pub fn image(&self, id: &str) -> String {
        format!("arn:{}:ec2:{}::image/{id}", self.partition, self.region)
    }

    /// The ARN of a volume.
    pub fn volume(&self, id: &str) -> String {
        self.arn("ec2", &format!("volume/{id}"))
    }

    /// The ARN of an instance.
    pub fn instance(&self, id: &str) -> String {
        self.arn("ec2", &format!("instance/{id}"))
    }
}
