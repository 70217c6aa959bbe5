//! CloudFormation: reads what `cdk synth` wrote and makes a [`Stack`] of it, so that what runs here is what would be
//! deployed.
//!
//! It refuses what it cannot be sure of: a type of resource that is neither played nor known to be unneeded, an
//! intrinsic function without a value, a rule whose target it may not call. What CDK leaves nameless is called by its
//! construct's id.

mod event;
mod function;
mod intrinsic;
mod job;
mod problem;
mod programs;
mod resolve;
mod resource;
mod workflow;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::intrinsic::Scope;
pub use self::programs::Programs;
use self::resource::{Catalog, Kind};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::stack::{BucketSpec, Stack};

#[derive(Debug, Clone)]
pub struct Template {
    document: Value,
    /// Where it lies: paths of assets start here.
    directory: PathBuf,
}

impl Template {
    /// Reads a template file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        let document = serde_json::from_str(&text)
            .map_err(|error| Error::Template { resource: path.display().to_string(), message: error.to_string() })?;
        Ok(Self { document, directory: path.parent().unwrap_or(Path::new(".")).to_owned() })
    }

    /// What it creates in the account, region and zones of a cloud with these options.
    pub fn stack(&self, options: &Options, programs: &Programs) -> Result<Stack> {
        let names = options.names();
        let zones = options.availability_zones();
        let catalog = Catalog::read(&self.document)?;
        let scope = Scope { document: &self.document, names: &names, zones: &zones, catalog: &catalog };
        catalog.refuse_unknown(&scope)?;

        let mut stack = Stack::default();
        for resource in catalog.of(&scope, Kind::Bucket)? {
            stack.buckets.push(BucketSpec { name: resource.name.clone(), owner: None });
        }
        for resource in catalog.of(&scope, Kind::Topic)? {
            stack.topics.push(resource.name.clone());
        }
        function::add(&scope, programs, &mut stack)?;
        job::add(&scope, programs, &mut stack)?;
        workflow::add(&scope, &self.directory, &mut stack)?;
        event::add(&scope, &mut stack)?;
        Ok(stack)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stack::{Definition, Target, TargetInput};

    const FIXTURE: &str = include_str!("../../tests/fixture/template.json");

    fn stack_of(document: Value) -> Result<Stack> {
        let programs = Programs { functions: "/programs".into(), entrypoint: vec!["/programs/worker".into()] };
        Template { document, directory: "/out".into() }.stack(&Options::default(), &programs)
    }

    fn fixture() -> Value {
        serde_json::from_str(FIXTURE).unwrap()
    }

    /// The fixture with one thing changed, which must be refused with all of these words.
    #[track_caller]
    fn refused(pointer: &str, value: Value, words: &[&str]) {
        let mut document = fixture();
        *document.pointer_mut(pointer).unwrap() = value;
        let said = stack_of(document).unwrap_err().to_string();
        for word in words {
            assert!(said.contains(word), "{said:?} does not say {word:?}");
        }
    }

    #[test]
    fn a_template_becomes_a_stack() {
        let stack = stack_of(fixture()).unwrap();
        assert_eq!(stack.buckets[0].name, "app-storage-bucket");
        assert_eq!(stack.topics, ["Failures"]);

        let plan = &stack.functions[0];
        assert_eq!((plan.name.as_str(), plan.command[0].to_str()), ("plan", Some("/programs/plan")));
        assert_eq!((plan.timeout_seconds, plan.async_retries), (60, 2));
        let queue = |index: usize| format!("arn:aws:batch:us-east-1:123456789012:job-queue/Queue{index}");
        for (name, value) in [
            ("EXPORT_BUCKET", "app-storage-bucket".to_owned()),
            ("EXPORT_BUCKET_OWNER", "123456789012".to_owned()),
            ("JOB_QUEUES", format!(r#"{{"us-east-1a":"{}","us-east-1b":"{}"}}"#, queue(0), queue(1))),
            ("EXPORT_JOB_DEFINITION", "arn:aws:batch:us-east-1:123456789012:job-definition/export:1".to_owned()),
            ("TOPIC", "arn:aws:sns:us-east-1:123456789012:Failures of app".to_owned()),
            ("MODE", "careful".to_owned()),
            ("LITERAL", "${NotAToken} in us-east-1".to_owned()),
            ("SECOND", "two".to_owned()),
        ] {
            assert_eq!(plan.environment.get(name), Some(&value), "{name}");
        }
        assert!(!plan.environment.contains_key("NEVER"), "AWS::NoValue is no value");
        let reaper = &stack.functions[1];
        assert_eq!((reaper.async_retries, reaper.dead_letters.as_deref()), (1, Some("DeadLetters")));

        let job = &stack.job_definitions[0];
        assert_eq!((job.name.as_str(), job.timeout_seconds), ("export", Some(3600)));
        assert_eq!(job.environment["TMPDIR"], "/scratch");
        assert_eq!(job.scratch, [PathBuf::from("/scratch")]);
        assert_eq!(
            job.retry_strategy,
            Some(
                json!({"attempts": 3, "evaluateOnExit": [{"action": "RETRY", "onStatusReason": "Host EC2*"}, {"action": "EXIT", "onReason": "*"}]})
            )
        );
        let zones: Vec<_> = stack.queues.iter().map(|queue| queue.availability_zone.as_str()).collect();
        assert_eq!(zones, ["us-east-1a", "us-east-1b"]);

        let machine = stack.state_machine.unwrap();
        assert_eq!(machine.name, "app");
        assert!(matches!(&machine.definition, Definition::Text(text) if text.contains("${PlanFunctionArn}")));
        assert_eq!(machine.substitutions["PlanFunctionArn"], "arn:aws:lambda:us-east-1:123456789012:function:plan");

        let names: Vec<_> = stack.rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names, ["notify-failure", "backup-job"]);
        let [start] = stack.rules[1].targets.as_slice() else { panic!("{:?}", stack.rules[1]) };
        assert_eq!((&start.target, start.retries), (&Target::StateMachine("app".into()), 7));
        assert_eq!(start.dead_letters.as_deref(), Some("DeadLetters"));
        let tell = &stack.rules[0].targets[0];
        assert_eq!(tell.target, Target::Topic("Failures".into()));
        assert!(matches!(&tell.input, TargetInput::Transformer { template, .. } if template == "\"<status>\""));
        let schedule = &stack.schedules[0];
        assert_eq!(schedule.name, "hourly");
        assert_eq!(schedule.targets[0].target, Target::Function("reaper".into()));
        assert_eq!(schedule.targets[0].input, TargetInput::Constant("{}".into()));
    }

    #[test]
    fn what_cannot_be_resolved_names_the_resource_and_the_place() {
        let variable = "/Resources/PlanFunction/Properties/Environment/Variables/EXPORT_BUCKET";
        for (value, word) in [
            (json!({"Ref": "Nobody"}), "Nobody"),
            (json!({"Fn::GetAtt": ["Bucket", "Colour"]}), "Colour"),
            (json!({"Fn::ImportValue": "other"}), "Fn::ImportValue"),
            (json!({"Fn::Select": [2, {"Fn::GetAZs": ""}]}), "2"),
            (json!({"Fn::Sub": "${Bucket"}), "}"),
            (json!({"Fn::If": ["Undefined", "a", "b"]}), "Undefined"),
            (json!({"Ref": "BootstrapVersion"}), "BootstrapVersion"),
            (json!(["a", "b"]), "text"),
        ] {
            refused(
                variable,
                value,
                &["PlanFunction (app/Functions/plan)", "Environment.Variables.EXPORT_BUCKET", word],
            );
        }
    }

    #[test]
    fn what_is_not_played_is_refused() {
        refused("/Resources/Role/Type", json!("AWS::DynamoDB::Table"), &["Role", "AWS::DynamoDB::Table"]);
        refused("/Resources/Role/Type", json!("Custom::Thing"), &["Custom::Thing"]);
    }

    #[test]
    fn what_aws_would_refuse_is_refused() {
        let job = "/Resources/ExportJob/Properties/RetryStrategy";
        let rules = json!({"Attempts": 3, "EvaluateOnExit": vec![json!({"Action": "EXIT", "OnReason": "*"}); 6]});
        refused(job, rules, &["ExportJob", "EvaluateOnExit", "five"]);
        refused(job, json!({"Attempts": 11}), &["Attempts", "10"]);
        let variables = "/Resources/PlanFunction/Properties/Environment/Variables/MODE";
        refused(variables, json!("x".repeat(4096)), &["PlanFunction", "4096"]);
        let name = "/Resources/StateMachine/Properties/StateMachineName";
        refused(name, json!({"Ref": "AWS::StackName"}), &["StateMachine", "StateMachineName"]);
        let arn = "/Resources/HourlyPermission/Properties/SourceArn";
        refused(
            arn,
            json!("arn:aws:events:us-east-1:123456789012:rule/other"),
            &["HourlyRule", "reaper", "AWS::Lambda::Permission"],
        );
        let role = "/Resources/BackupRule/Properties/Targets/0/RoleArn";
        refused(role, json!({"Ref": "AWS::NoValue"}), &["BackupRule", "RoleArn"]);
        refused(
            "/Resources/BackupRule/Properties/Targets/0/Arn",
            json!("arn:aws:sqs:us-east-1:123456789012:q"),
            &["BackupRule", "sqs"],
        );
    }

    #[test]
    fn a_queue_lies_where_its_hosts_do() {
        let zone = "/Resources/SubnetB/Properties/AvailabilityZone";
        refused(zone, json!("us-east-1a"), &["Queue1", "us-east-1b", "us-east-1a"]);
        let queues = "/Resources/PlanFunction/Properties/Environment/Variables/JOB_QUEUES";
        refused(queues, json!("{}"), &["Queue0", "JOB_QUEUES"]);
    }

    #[test]
    fn resources_without_their_condition_are_not_made() {
        let mut document = fixture();
        document["Resources"]["BackupRule"]["Condition"] = json!("InChina");
        let stack = stack_of(document).unwrap();
        assert_eq!(stack.rules.len(), 1);
    }
}
