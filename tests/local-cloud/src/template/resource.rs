//! The resources of a template: which there are, what they are called, and what `Ref` and `Fn::GetAtt` say of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problem::Problem;
use crate::error::{Error, Result};
use crate::options::Names;

/// Types that need nothing here: permissions, keys, logs, the network below the jobs, what people look at.
pub(super) const UNNEEDED: [&str; 43] = [
    "AWS::Athena::NamedQuery",
    "AWS::Athena::WorkGroup",
    "AWS::CDK::Metadata",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::EIP",
    "AWS::EC2::FlowLog",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NatGateway",
    "AWS::EC2::NetworkAcl",
    "AWS::EC2::NetworkAclEntry",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECR::Repository",
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::IAM::ServiceLinkedRole",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::Logs::LogStream",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Logs::ResourcePolicy",
    "AWS::RDS::DBSubnetGroup",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
];

/// Types that are played, or read for what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bucket,
    ComputeEnvironment,
    EventInvokeConfig,
    Function,
    JobDefinition,
    JobQueue,
    Permission,
    Rule,
    StateMachine,
    Topic,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Bucket,
        Self::ComputeEnvironment,
        Self::EventInvokeConfig,
        Self::Function,
        Self::JobDefinition,
        Self::JobQueue,
        Self::Permission,
        Self::Rule,
        Self::StateMachine,
        Self::Topic,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bucket => "AWS::S3::Bucket",
            Self::ComputeEnvironment => "AWS::Batch::ComputeEnvironment",
            Self::EventInvokeConfig => "AWS::Lambda::EventInvokeConfig",
            Self::Function => "AWS::Lambda::Function",
            Self::JobDefinition => "AWS::Batch::JobDefinition",
            Self::JobQueue => "AWS::Batch::JobQueue",
            Self::Permission => "AWS::Lambda::Permission",
            Self::Rule => "AWS::Events::Rule",
            Self::StateMachine => "AWS::StepFunctions::StateMachine",
            Self::Topic => "AWS::SNS::Topic",
        }
    }
}

/// The properties by which resources are given a name.
pub(super) const NAME_PROPERTIES: [(&str, &str); 9] = [
    ("AWS::Batch::ComputeEnvironment", "ComputeEnvironmentName"),
    ("AWS::Batch::JobDefinition", "JobDefinitionName"),
    ("AWS::Batch::JobQueue", "JobQueueName"),
    ("AWS::Events::Rule", "Name"),
    ("AWS::Lambda::Function", "FunctionName"),
    ("AWS::S3::Bucket", "BucketName"),
    ("AWS::SNS::Topic", "TopicName"),
    ("AWS::SQS::Queue", "QueueName"),
    ("AWS::StepFunctions::StateMachine", "StateMachineName"),
];

#[derive(Debug, Clone)]
pub(super) struct Resource<'a> {
    /// Its logical id.
    pub(super) id: &'a str,
    /// Its type.
    pub(super) kind: &'a str,
    /// The path of its construct.
    pub(super) path: &'a str,
    /// What it is called once it is deployed.
    pub(super) name: String,
    pub(super) document: &'a Value,
}

/// All resources.
#[derive(Debug)]
pub(super) struct Catalog<'a> {
    resources: BTreeMap<&'a str, Resource<'a>>,
    /// Logical ids in the order of the template.
    pub(super) order: Vec<&'a str>,
}

impl<'a> Catalog<'a> {
    pub(super) fn read(document: &'a Value) -> Result<Self> {
        let all = document.get("Resources").and_then(Value::as_object).ok_or_else(|| Error::Template {
            resource: "the template".to_owned(),
            message: "it has no resources".to_owned(),
        })?;
        let mut resources = BTreeMap::new();
        for (id, document) in all {
            let kind = document["Type"].as_str().unwrap_or_default();
            let path = document["Metadata"]["aws:cdk:path"].as_str().unwrap_or(id);
            let path = path.strip_suffix("/Resource").unwrap_or(path);
            let mut resource = Resource { id, kind, path, name: String::new(), document };
            resource.name = name_of(&resource)?;
            resources.insert(id.as_str(), resource);
        }
        // The order of a template means nothing; the one of constructs is at least the same every time.
        let mut order: Vec<&str> = resources.keys().copied().collect();
        order.sort_by_key(|id| resources[id].path);
        Ok(Self { resources, order })
    }

    pub(super) fn find(&self, id: &str) -> Option<&Resource<'a>> {
        self.resources.get(id)
    }

    /// The stack's name: what every construct's path begins with.
    pub(super) fn stack_name(&self) -> &str {
        let first = self.resources.values().find_map(|resource| Some(resource.path.split_once('/')?.0));
        first.unwrap_or("stack")
    }
}

/// The name that a resource is given, or else its construct's id. A bucket's name is nobody else's, so it has the whole
/// path.
fn name_of(resource: &Resource<'_>) -> Result<String> {
    let Resource { kind, path, .. } = resource;
    let property = NAME_PROPERTIES.iter().find(|(named, _)| named == kind).map_or("", |(_, property)| property);
    match resource.property(property) {
        Value::String(name) => Ok(name.clone()),
        Value::Null if *kind == Kind::Bucket.name() => Ok(path.replace('/', "-").to_ascii_lowercase()),
        Value::Null => Ok(path.rsplit('/').next().unwrap_or(path).to_owned()),
        other => Err(resource.wrong(property, format!("{other} is not a text, and names are not resolved here"))),
    }
}

impl Resource<'_> {
    /// What `Ref` gives.
    pub(super) fn reference(&self, names: &Names) -> String {
        let name = &self.name;
        match self.kind {
            "AWS::Batch::JobDefinition"
            | "AWS::Batch::JobQueue"
            | "AWS::Batch::ComputeEnvironment"
            | "AWS::StepFunctions::StateMachine"
            | "AWS::SNS::Topic" => self.arn(names).unwrap_or_default(),
            "AWS::SQS::Queue" => format!("https://sqs.{}.amazonaws.com/{}/{name}", names.region, names.account_id),
            _ => name.clone(),
        }
    }

    fn arn(&self, names: &Names) -> Option<String> {
        let name = &self.name;
        let arn = match self.kind {
            "AWS::Batch::ComputeEnvironment" => names.arn("batch", &format!("compute-environment/{name}")),
            "AWS::Batch::JobDefinition" => names.job_definition(name),
            "AWS::Batch::JobQueue" => names.job_queue(name),
            "AWS::Events::Rule" => names.rule(name),
            "AWS::IAM::Role" => format!("arn:{}:iam::{}:role/{name}", names.partition, names.account_id),
            "AWS::KMS::Key" => names.arn("kms", &format!("key/{name}")),
            "AWS::Lambda::Function" => names.function(name),
            "AWS::Logs::LogGroup" => names.arn("logs", &format!("log-group:{name}:*")),
            "AWS::S3::Bucket" => format!("arn:{}:s3:::{name}", names.partition),
            "AWS::SNS::Topic" => names.topic(name),
            "AWS::SQS::Queue" => names.arn("sqs", name),
            "AWS::StepFunctions::StateMachine" => names.state_machine(name),
            _ => return None,
        };
        Some(arn)
    }

    /// What `Fn::GetAtt` gives, for the attributes that are known here.
    pub(super) fn attribute(&self, attribute: &str, names: &Names) -> Option<String> {
        let arn = match self.kind {
            "AWS::Batch::ComputeEnvironment" => "ComputeEnvironmentArn",
            "AWS::Batch::JobDefinition" => "JobDefinitionArn",
            "AWS::Batch::JobQueue" => "JobQueueArn",
            "AWS::SNS::Topic" => "TopicArn",
            _ => "Arn",
        };
        let name = match self.kind {
            "AWS::KMS::Key" => "KeyId",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::SQS::Queue" => "QueueName",
            _ => "Name",
        };
        match attribute {
            "GroupId" if self.kind == "AWS::EC2::SecurityGroup" => {
                Some(format!("sg-{}", self.name.to_ascii_lowercase()))
            }
            _ if attribute == arn => self.arn(names),
            _ if attribute == name && self.arn(names).is_some() => Some(self.name.clone()),
            _ => None,
        }
    }

    /// A property, not resolved; null when it is not there.
    pub(super) fn property(&self, name: &str) -> &Value {
        &self.document["Properties"][name]
    }

    /// An error in a property.
    pub(super) fn wrong(&self, place: &str, message: impl Into<String>) -> Error {
        Problem::new(place, message).of(self.id, self.path)
    }
}
