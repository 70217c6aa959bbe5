//! What the operator decides: the environment of the plan Lambda, read once, with all its problems reported together.
//!
//! Booleans are `true` and `false` and nothing else: a `"False"` that turned deletion on would destroy backups.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::id::{AccountId, AvailabilityZone, BucketName};
use crate::plan::{VerifyMode, VolumeOptions, WorkerOptions};

/// Everything by which a plan is made, apart from the recovery point itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `EXPORT_BUCKET`.
    pub bucket: BucketName,
    /// `EXPORT_BUCKET_OWNER`.
    pub bucket_owner: AccountId,
    /// `JOB_QUEUES`: JSON, zone to queue ARN. Never empty.
    pub job_queues: BTreeMap<AvailabilityZone, String>,
    /// `EXPORT_JOB_DEFINITION`.
    pub export_job_definition: String,
    /// `VERIFY_JOB_DEFINITION`.
    pub verify_job_definition: String,
    /// `VERIFY`, `readback` unless given.
    pub verify: VerifyMode,
    /// `DELETE_RECOVERY_POINT`, `false` unless given.
    pub delete_recovery_point: bool,
    /// `CODEC`, `COMPRESSION_LEVEL`, `READERS`.
    pub worker: WorkerOptions,
    /// `VOLUME_…`.
    pub volume: VolumeOptions,
    /// `RESTORE_TIMEOUT_MINUTES`.
    pub restore_timeout_minutes: u32,
    /// `EXPORT_TIMEOUT_HOURS`: the longest that one attempt at one volume may take, whatever its size.
    pub export_timeout_hours: u32,
    /// `POLL_SECONDS`.
    pub poll_seconds: u32,
}

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

    /// A number between `least` and `most`.
    pub fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        let value: u32 = self.optional(name)?;
        if (least..=most).contains(&value) {
            return Some(value);
        }
        self.problem(format!("{name} is {value}: it must be between {least} and {most}"));
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

impl Settings {
    /// Reads and checks all of them.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut env = Environment::new(lookup);
        let bucket = env.required("EXPORT_BUCKET");
        let bucket_owner = env.required("EXPORT_BUCKET_OWNER");
        let job_queues = job_queues(&mut env);
        let export_job_definition = env.required("EXPORT_JOB_DEFINITION");
        let verify_job_definition = env.required("VERIFY_JOB_DEFINITION");
        let verify = env.choice(
            "VERIFY",
            &[VerifyMode::Readback, VerifyMode::Checksum, VerifyMode::None].map(|mode| (mode.name(), mode)),
        );
        let delete = env.choice("DELETE_RECOVERY_POINT", &[("false", false), ("true", true)]);
        if verify == Some(VerifyMode::None) && delete == Some(true) {
            env.problem(
                "DELETE_RECOVERY_POINT is true and VERIFY is none: a recovery point is deleted only after its export was \
                 verified; set VERIFY to readback or checksum"
                    .into(),
            );
        }
        let worker = worker(&mut env);
        let volume = volume(&mut env);
        // A snapshot becomes a volume in seconds; the hour is for a service that has a bad day.
        let restore = env.number("RESTORE_TIMEOUT_MINUTES", 1, 1_440).unwrap_or(60);
        let export = env.number("EXPORT_TIMEOUT_HOURS", 1, 168).unwrap_or(168);
        let poll = env.number("POLL_SECONDS", 1, 300).unwrap_or(15);
        let settings = (|| {
            Some(Self {
                bucket: bucket?,
                bucket_owner: bucket_owner?,
                job_queues: job_queues?,
                export_job_definition: export_job_definition?,
                verify_job_definition: verify_job_definition?,
                verify: verify?,
                delete_recovery_point: delete?,
                worker: worker?,
                volume: volume?,
                restore_timeout_minutes: restore,
                export_timeout_hours: export,
                poll_seconds: poll,
            })
        })();
        env.finish(settings)
    }
}

fn job_queues(env: &mut Environment<'_>) -> Option<BTreeMap<AvailabilityZone, String>> {
    let text: String = env.required("JOB_QUEUES")?;
    match serde_json::from_str::<BTreeMap<AvailabilityZone, String>>(&text) {
        Ok(queues) if queues.is_empty() || queues.values().any(String::is_empty) => {
            env.problem("JOB_QUEUES names no queue, or an empty one".into());
            None
        }
        Ok(queues) => Some(queues),
        Err(error) => {
            env.problem(format!("JOB_QUEUES is not a JSON object of zones and queue ARNs: {error}"));
            None
        }
    }
}

fn worker(env: &mut Environment<'_>) -> Option<WorkerOptions> {
    // Blocks of a fresh volume take tens of milliseconds each at first touch, so many reads must be in flight.
    let readers = env.number("READERS", 1, 1_024).unwrap_or(64);
    let (codec, most, default) = env.choice("CODEC", &[("gzip", ("gzip", 12, 6)), ("zstd", ("zstd", 22, 3))])?;
    Some(WorkerOptions {
        codec: codec.into(),
        level: env.number("COMPRESSION_LEVEL", 1, most).unwrap_or(default),
        readers,
    })
}

fn volume(env: &mut Environment<'_>) -> Option<VolumeOptions> {
    let types = ["gp3", "gp2", "io1", "io2"].map(|name| (name, name));
    let volume_type = env.choice("VOLUME_TYPE", &types);
    let throughput = env.number("VOLUME_THROUGHPUT_MIB", 125, 2_000);
    let iops = env.number("VOLUME_IOPS", 100, 256_000);
    if throughput.is_some() && volume_type.is_some_and(|t| t != "gp3") {
        env.problem("VOLUME_THROUGHPUT_MIB is for VOLUME_TYPE gp3 alone".into());
    }
    match volume_type {
        Some("gp3") if iops.is_some_and(|iops| !(3_000..=80_000).contains(&iops)) => {
            env.problem("VOLUME_IOPS must be between 3000 and 80000 for gp3".into());
        }
        Some("gp2") if iops.is_some() => {
            env.problem("VOLUME_IOPS is not for VOLUME_TYPE gp2".into());
        }
        Some("io1" | "io2") if iops.is_none() => {
            env.problem("VOLUME_TYPE io1 and io2 need VOLUME_IOPS".into());
        }
        _ => {}
    }
    Some(VolumeOptions {
        volume_type: volume_type?.into(),
        throughput_mib: throughput,
        iops,
        initialization_rate_mib: env.number("VOLUME_INITIALIZATION_RATE_MIB", 100, 300),
        kms_key_id: env.optional("VOLUME_KMS_KEY_ID"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
        let mut variables: BTreeMap<&str, &str> = BTreeMap::from([
            ("EXPORT_BUCKET", "exports"),
            ("EXPORT_BUCKET_OWNER", "123456789012"),
            ("JOB_QUEUES", r#"{"us-east-1a": "arn:a", "us-east-1b": "arn:b"}"#),
            ("EXPORT_JOB_DEFINITION", "export:1"),
            ("VERIFY_JOB_DEFINITION", "verify:1"),
        ]);
        variables.extend(changes.iter().copied());
        Settings::read(&|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn problem(changes: &[(&str, &str)]) -> String {
        read(changes).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_safe() {
        let settings = read(&[]).unwrap();
        assert!(!settings.delete_recovery_point);
        assert_eq!(settings.verify, VerifyMode::Readback);
        assert_eq!(settings.volume.volume_type, "gp3");
        assert_eq!(settings.worker.readers, 64);
    }

    #[test]
    fn nothing_but_true_turns_deletion_on() {
        assert!(read(&[("DELETE_RECOVERY_POINT", "true")]).unwrap().delete_recovery_point);
        for off in ["false", "", " "] {
            assert!(!read(&[("DELETE_RECOVERY_POINT", off)]).unwrap().delete_recovery_point);
        }
        for wrong in ["False", "True", "TRUE", "no", "0", "1", "yes", "\"false\"", "null"] {
            let why = problem(&[("DELETE_RECOVERY_POINT", wrong)]);
            assert!(why.contains("DELETE_RECOVERY_POINT"), "{wrong}: {why}");
        }
    }

    #[test]
    fn deletion_without_verification_is_refused() {
        let why = problem(&[("DELETE_RECOVERY_POINT", "true"), ("VERIFY", "none")]);
        assert!(why.contains("set VERIFY"), "{why}");
        assert!(read(&[("VERIFY", "none")]).is_ok());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = read(&[
            ("EXPORT_BUCKET", ""),
            ("EXPORT_BUCKET_OWNER", "me"),
            ("JOB_QUEUES", "{}"),
            ("VERIFY", "maybe"),
            ("CODEC", "lzma"),
            ("READERS", "0"),
            ("VOLUME_TYPE", "gp2"),
            ("VOLUME_IOPS", "3000"),
            ("POLL_SECONDS", "soon"),
        ])
        .unwrap_err();
        for name in [
            "EXPORT_BUCKET is not set",
            "EXPORT_BUCKET_OWNER",
            "JOB_QUEUES",
            "VERIFY",
            "CODEC",
            "READERS",
            "VOLUME_IOPS",
            "POLL_SECONDS",
        ] {
            assert!(error.problems.iter().any(|problem| problem.contains(name)), "{name}: {error}");
        }
        assert_eq!(error.problems.len(), 8, "{error}");
    }

    #[test]
    fn levels_and_volume_types_go_together() {
        assert_eq!(read(&[("CODEC", "zstd")]).unwrap().worker.level, 3);
        assert!(problem(&[("COMPRESSION_LEVEL", "19")]).contains("between 1 and 12"));
        assert!(read(&[("CODEC", "zstd"), ("COMPRESSION_LEVEL", "19")]).is_ok());
        assert!(problem(&[("VOLUME_TYPE", "io2")]).contains("need VOLUME_IOPS"));
        assert!(problem(&[("VOLUME_IOPS", "100")]).contains("3000"));
        assert!(
            problem(&[("VOLUME_TYPE", "io2"), ("VOLUME_IOPS", "100"), ("VOLUME_THROUGHPUT_MIB", "125")])
                .contains("gp3 alone")
        );
    }
}
