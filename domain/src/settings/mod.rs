//! What the operator decides: the environment of the plan Lambda, read once, with all its problems reported together.
//!
//! Booleans are `true` and `false` and nothing else: a `"False"` that turned deletion on would destroy backups.

mod database;
mod environment;

use std::collections::BTreeMap;

pub use self::database::{DatabaseMethod, DatabaseSettings, TableNative, TableSettings, parameter_path};
pub use self::environment::{Environment, InvalidSettings};
use crate::id::{AccountId, AvailabilityZone, BucketName};
use crate::plan::{Retention, VerifyMode, VolumeOptions, WorkerOptions};
use crate::{limit, tag};

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
    /// `MINIMUM_RECOVERY_POINTS`, 0 unless given, and `DELETE_ONLY_TAGGED`.
    pub retention: Retention,
    /// `RESOURCE_TAGS`: JSON, put on restored volumes beside our own tags.
    pub resource_tags: BTreeMap<String, String>,
    /// `CODEC`, `COMPRESSION_LEVEL`, `READERS`.
    pub worker: WorkerOptions,
    /// `VOLUME_…`.
    pub volume: VolumeOptions,
    /// `DATABASE_…`, `SNAPSHOT_EXPORT_…`.
    pub database: DatabaseSettings,
    /// `DYNAMODB_…`, `RESTORE_JOB_ROLE_ARN`.
    pub table: TableSettings,
    /// `RESTORE_TIMEOUT_MINUTES`: of volumes.
    pub restore_timeout_minutes: u32,
    /// `NATIVE_EXPORT_TIMEOUT_HOURS`: how long AWS may take for an export of its own, with the restore before it and
    /// the waiting for a slot.
    pub native_export_timeout_hours: u32,
    /// `EXPORT_TIMEOUT_HOURS`: the longest that one attempt at one volume may take, whatever its size.
    pub export_timeout_hours: u32,
    /// `POLL_SECONDS`.
    pub poll_seconds: u32,
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
                "DELETE_RECOVERY_POINT is true and VERIFY is none: a recovery point is deleted only after its export \
                 was verified; set VERIFY to readback or checksum"
                    .into(),
            );
        }
        let retention = retention(&mut env);
        let resource_tags = resource_tags(&mut env);
        let worker = worker(&mut env);
        let volume = volume(&mut env);
        let database = database::databases(&mut env);
        let table = database::tables(&mut env);
        // A snapshot becomes a volume in seconds; the hour is for a service that has a bad day.
        let restore = env.number("RESTORE_TIMEOUT_MINUTES", limit::RESTORE_TIMEOUT_MINUTES).unwrap_or(60);
        let native_export = env.number("NATIVE_EXPORT_TIMEOUT_HOURS", limit::NATIVE_EXPORT_TIMEOUT_HOURS).unwrap_or(72);
        let export = env.number("EXPORT_TIMEOUT_HOURS", limit::EXPORT_TIMEOUT_HOURS).unwrap_or(168);
        let poll = env.number("POLL_SECONDS", limit::POLL_SECONDS).unwrap_or(15);
        let settings = (|| {
            Some(Self {
                bucket: bucket?,
                bucket_owner: bucket_owner?,
                job_queues: job_queues?,
                export_job_definition: export_job_definition?,
                verify_job_definition: verify_job_definition?,
                verify: verify?,
                delete_recovery_point: delete?,
                retention: retention?,
                resource_tags: resource_tags?,
                worker: worker?,
                volume: volume?,
                database: database?,
                table: table?,
                restore_timeout_minutes: restore,
                native_export_timeout_hours: native_export,
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

fn retention(env: &mut Environment<'_>) -> Option<Retention> {
    let minimum_recovery_points = env.number("MINIMUM_RECOVERY_POINTS", limit::MINIMUM_RECOVERY_POINTS).unwrap_or(0);
    let only_tagged: Option<String> = env.optional("DELETE_ONLY_TAGGED");
    if let Some(key) = &only_tagged
        && let Err(why) = tag::check_key(key)
    {
        env.problem(format!("DELETE_ONLY_TAGGED is {key:?}: {why}"));
        return None;
    }
    Some(Retention { minimum_recovery_points, only_tagged })
}

fn resource_tags(env: &mut Environment<'_>) -> Option<BTreeMap<String, String>> {
    let Some(text) = env.optional::<String>("RESOURCE_TAGS") else {
        return Some(BTreeMap::new());
    };
    let tags: BTreeMap<String, String> = match serde_json::from_str(&text) {
        Ok(tags) => tags,
        Err(error) => {
            env.problem(format!("RESOURCE_TAGS is not a JSON object of strings: {error}"));
            return None;
        }
    };
    let mut problems: Vec<String> = tags
        .iter()
        .filter_map(|(key, value)| tag::check(key, value).err().map(|why| format!("{key:?}: {why}")))
        .collect();
    if !u32::try_from(tags.len()).is_ok_and(|count| limit::RESOURCE_TAGS.contains(count)) {
        let most = limit::RESOURCE_TAGS.most;
        problems.push(format!("{} tags, but a resource takes {most} beside our own", tags.len()));
    }
    if problems.is_empty() {
        return Some(tags);
    }
    env.problem(format!("RESOURCE_TAGS holds {}", problems.join(", ")));
    None
}

fn worker(env: &mut Environment<'_>) -> Option<WorkerOptions> {
    // Blocks of a fresh volume take tens of milliseconds each at first touch, so many reads must be in flight.
    let readers = env.number("READERS", limit::READERS).unwrap_or(64);
    let codecs = [("gzip", ("gzip", limit::GZIP_LEVEL, 6)), ("zstd", ("zstd", limit::ZSTD_LEVEL, 3))];
    let (codec, levels, default) = env.choice("CODEC", &codecs)?;
    Some(WorkerOptions {
        codec: codec.into(),
        level: env.number("COMPRESSION_LEVEL", levels).unwrap_or(default),
        readers,
    })
}

fn volume(env: &mut Environment<'_>) -> Option<VolumeOptions> {
    let types =
        [("gp3", Some(limit::GP3_IOPS)), ("gp2", None), ("io1", Some(limit::IO1_IOPS)), ("io2", Some(limit::IO2_IOPS))];
    let volume_type = env.choice("VOLUME_TYPE", &types.map(|of_type| (of_type.0, of_type)));
    let throughput = env.number("VOLUME_THROUGHPUT_MIB", limit::THROUGHPUT_MIB);
    let iops = env.number("VOLUME_IOPS", limit::IOPS);
    if throughput.is_some() && volume_type.is_some_and(|(name, _)| name != "gp3") {
        env.problem("VOLUME_THROUGHPUT_MIB is for VOLUME_TYPE gp3 alone".into());
    }
    match (volume_type, iops) {
        (Some((name, Some(limit))), Some(iops)) if !limit.contains(iops) => {
            env.problem(format!("VOLUME_IOPS must be {limit} for {name}"));
        }
        (Some((name, None)), Some(_)) => {
            env.problem(format!("VOLUME_IOPS is not for VOLUME_TYPE {name}"));
        }
        (Some(("io1" | "io2", _)), None) => {
            env.problem("VOLUME_TYPE io1 and io2 need VOLUME_IOPS".into());
        }
        _ => {}
    }
    Some(VolumeOptions {
        volume_type: volume_type?.0.into(),
        throughput_mib: throughput,
        iops,
        initialization_rate_mib: env.number("VOLUME_INITIALIZATION_RATE_MIB", limit::INITIALIZATION_RATE_MIB),
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
    fn what_is_kept_is_a_number_and_a_tag_that_people_can_set() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.retention, Retention::default());
        let settings = read(&[("MINIMUM_RECOVERY_POINTS", "3"), ("DELETE_ONLY_TAGGED", "exportable")]).unwrap();
        assert_eq!(settings.retention.minimum_recovery_points, 3);
        assert_eq!(settings.retention.only_tagged.as_deref(), Some("exportable"));
        assert_eq!(read(&[("DELETE_ONLY_TAGGED", "")]).unwrap().retention.only_tagged, None);
        for (name, wrong) in [
            ("MINIMUM_RECOVERY_POINTS", "-1"),
            ("MINIMUM_RECOVERY_POINTS", "some"),
            ("DELETE_ONLY_TAGGED", "aws:backup:source-resource"),
            ("DELETE_ONLY_TAGGED", "backup-export:export-id"),
        ] {
            let why = problem(&[(name, wrong)]);
            assert!(why.contains(name), "{wrong}: {why}");
        }
    }

    #[test]
    fn tags_of_others_are_not_taken_for_ours() {
        let settings = read(&[("RESOURCE_TAGS", r#"{"owner": "payments", "cost center": ""}"#)]).unwrap();
        assert_eq!(settings.resource_tags.len(), 2);
        assert!(read(&[("RESOURCE_TAGS", "{}")]).unwrap().resource_tags.is_empty());
        let many = (0..47).map(|n| (format!("key-{n}"), String::new())).collect::<BTreeMap<_, _>>();
        let long = serde_json::json!({"k".repeat(129): "", "v": "v".repeat(257)}).to_string();
        for (wrong, word) in [
            ("owner=payments", "JSON"),
            (r#"{"owner": 1}"#, "JSON"),
            (r#"{"": "x"}"#, "128"),
            (r#"{"aws:owner": "x"}"#, "aws:"),
            (r#"{"AWS:owner": "x"}"#, "aws:"),
            (r#"{"backup-export:execution": "x"}"#, "backup-export:"),
            (&long, "256"),
            (&serde_json::to_string(&many).unwrap(), "47 tags"),
        ] {
            let why = problem(&[("RESOURCE_TAGS", wrong)]);
            assert!(why.contains("RESOURCE_TAGS") && why.contains(word), "{wrong}: {why}");
        }
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
    fn databases_and_tables_are_the_backup_itself_unless_somebody_says_otherwise() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.database.method, DatabaseMethod::Auto);
        assert_eq!(settings.database.parameter_path, "/backup-export/");
        assert!(!settings.database.instance_classes.is_empty());
        assert_eq!(settings.table.native, TableNative::Backup);
        let classes = read(&[("DATABASE_INSTANCE_CLASSES", r#"["db.m7g.large"]"#)]).unwrap().database.instance_classes;
        assert_eq!(classes, ["db.m7g.large"]);
        for (name, wrong) in [
            ("DATABASE_METHOD", "csv"),
            ("DATABASE_INSTANCE_CLASSES", "db.m7g.large"),
            ("DATABASE_INSTANCE_CLASSES", "[]"),
            ("DATABASE_SECURITY_GROUPS", r#"[""]"#),
            ("DATABASE_PARAMETER_PATH", "backup-export"),
            ("DATABASE_PARAMETER_PATH", "/"),
            ("DATABASE_RESTORE_TIMEOUT_HOURS", "0"),
            ("DYNAMODB_NATIVE", "live"),
            ("DYNAMODB_FORMAT", "csv"),
        ] {
            let why = problem(&[(name, wrong)]);
            assert!(why.contains(name), "{wrong}: {why}");
        }
    }

    #[test]
    fn numbers_are_taken_up_to_both_ends_of_their_limits() {
        let zstd: &[(&str, &str)] = &[("CODEC", "zstd")];
        let io1: &[(&str, &str)] = &[("VOLUME_TYPE", "io1")];
        let io2: &[(&str, &str)] = &[("VOLUME_TYPE", "io2")];
        for (name, limit, beside) in [
            ("MINIMUM_RECOVERY_POINTS", limit::MINIMUM_RECOVERY_POINTS, &[] as &[(&str, &str)]),
            ("READERS", limit::READERS, &[]),
            ("COMPRESSION_LEVEL", limit::GZIP_LEVEL, &[]),
            ("COMPRESSION_LEVEL", limit::ZSTD_LEVEL, zstd),
            ("VOLUME_THROUGHPUT_MIB", limit::THROUGHPUT_MIB, &[]),
            ("VOLUME_IOPS", limit::GP3_IOPS, &[]),
            ("VOLUME_IOPS", limit::IO1_IOPS, io1),
            ("VOLUME_IOPS", limit::IO2_IOPS, io2),
            ("VOLUME_INITIALIZATION_RATE_MIB", limit::INITIALIZATION_RATE_MIB, &[]),
            ("RESTORE_TIMEOUT_MINUTES", limit::RESTORE_TIMEOUT_MINUTES, &[]),
            ("DATABASE_RESTORE_TIMEOUT_HOURS", limit::DATABASE_RESTORE_TIMEOUT_HOURS, &[]),
            ("EXPORT_TIMEOUT_HOURS", limit::EXPORT_TIMEOUT_HOURS, &[]),
            ("NATIVE_EXPORT_TIMEOUT_HOURS", limit::NATIVE_EXPORT_TIMEOUT_HOURS, &[]),
            ("POLL_SECONDS", limit::POLL_SECONDS, &[]),
        ] {
            let with = |value: i64| read(&[beside, &[(name, &value.to_string())]].concat());
            let (least, most) = (i64::from(limit.least), i64::from(limit.most));
            for taken in [least, most] {
                assert!(with(taken).is_ok(), "{name} {taken}: {:?}", with(taken));
            }
            for refused in [least - 1, most + 1] {
                assert!(with(refused).unwrap_err().to_string().contains(name), "{name} {refused}");
            }
        }
    }

    #[test]
    fn levels_and_volume_types_go_together() {
        assert_eq!(read(&[("CODEC", "gzip")]).unwrap().worker.level, 6);
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
