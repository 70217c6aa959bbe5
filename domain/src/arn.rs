//! Recovery point ARNs of every service that AWS Backup protects, parsed to a typed value.
//!
//! Shapes: <https://docs.aws.amazon.com/aws-backup/latest/devguide/recovery-points.html>. An ARN of a form that is not
//! known is kept as [`RecoveryPointKind::Unknown`], so that the refusal can name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, ImageId, Region, SnapshotId};

/// What a recovery point ARN names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecoveryPointKind {
    /// An EBS snapshot.
    EbsSnapshot(SnapshotId),
    /// An EC2 recovery point: an AMI whose block devices name the snapshots.
    Ec2Image(ImageId),
    /// An RDS instance snapshot; the name without `snapshot:`.
    RdsSnapshot(String),
    /// An Aurora, Multi-AZ cluster, DocumentDB or Neptune snapshot; the name without `cluster-snapshot:`.
    RdsClusterSnapshot(String),
    /// A DynamoDB backup in DynamoDB's own form.
    DynamoDbBackup {
        /// The table's name.
        table: String,
        /// The backup's id within the table.
        backup: String,
    },
    /// A recovery point in AWS Backup's own form (EFS, S3, DynamoDB with advanced features, and others).
    Vaulted(String),
    /// A continuous (point in time) recovery point. Never deleted: that would stop PITR.
    Continuous(String),
    /// A form that is not known here.
    Unknown {
        /// The service part of the ARN.
        service: String,
        /// The resource part of the ARN.
        resource: String,
    },
}

/// The ARN of a recovery point, in any partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecoveryPointArn {
    text: String,
    partition: String,
    region: Region,
    account: Option<AccountId>,
    kind: RecoveryPointKind,
}

/// Why a string is not the ARN of a recovery point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a recovery point ARN: {why}")]
pub struct InvalidArn {
    text: String,
    why: &'static str,
}

impl RecoveryPointArn {
    /// `aws`, `aws-cn`, `aws-us-gov` or another.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The Region of the recovery point.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The account, where the ARN has one: EC2's snapshot and image ARNs do not.
    pub fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// What the ARN names.
    pub fn kind(&self) -> &RecoveryPointKind {
        &self.kind
    }

    /// The ARN as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether deleting this recovery point would stop point-in-time recovery.
    pub fn is_continuous(&self) -> bool {
        matches!(self.kind, RecoveryPointKind::Continuous(_))
    }

    /// A short name for the recovery point: a snapshot, image or backup id.
    pub fn short_id(&self) -> String {
        match &self.kind {
            RecoveryPointKind::EbsSnapshot(id) => id.to_string(),
            RecoveryPointKind::Ec2Image(id) => id.to_string(),
            RecoveryPointKind::RdsSnapshot(name)
            | RecoveryPointKind::RdsClusterSnapshot(name)
            | RecoveryPointKind::Vaulted(name)
            | RecoveryPointKind::Continuous(name) => name.clone(),
            RecoveryPointKind::DynamoDbBackup { backup, .. } => backup.clone(),
            RecoveryPointKind::Unknown { resource, .. } => resource.clone(),
        }
    }
}

impl FromStr for RecoveryPointArn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let invalid = |why| InvalidArn { text: text.to_owned(), why };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [scheme, partition, service, region, account, resource] = parts.as_slice() else {
            return Err(invalid("it needs six parts: arn:partition:service:region:account:resource"));
        };
        if *scheme != "arn" {
            return Err(invalid("it does not begin with \"arn:\""));
        }
        let partition_ok = *partition == "aws" || partition.starts_with("aws-");
        if !partition_ok || !partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return Err(invalid("its partition is not one of AWS's"));
        }
        if text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(invalid("it holds a space or control character"));
        }
        let region = region.parse().map_err(|_| invalid("it has no Region"))?;
        let account = match *account {
            "" => None,
            account => Some(account.parse().map_err(|_| invalid("its account is not twelve digits"))?),
        };
        if service.is_empty() || resource.is_empty() {
            return Err(invalid("its service or its resource is empty"));
        }
        let kind = kind_of(service, resource).ok_or_else(|| invalid("the id in it is malformed"))?;
        Ok(Self { text: text.to_owned(), partition: (*partition).to_owned(), region, account, kind })
    }
}

/// `None` when the form is known but the id within is malformed.
fn kind_of(service: &str, resource: &str) -> Option<RecoveryPointKind> {
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    let kind = match (service, resource.split_once([':', '/'])) {
        ("ec2", Some(("snapshot", id))) => RecoveryPointKind::EbsSnapshot(id.parse().ok()?),
        ("ec2", Some(("image", id))) => RecoveryPointKind::Ec2Image(id.parse().ok()?),
        ("rds", Some(("snapshot", name))) => RecoveryPointKind::RdsSnapshot(named(name)?),
        ("rds", Some(("cluster-snapshot", name))) => RecoveryPointKind::RdsClusterSnapshot(named(name)?),
        ("dynamodb", Some(("table", rest))) => {
            let (table, backup) = rest.split_once("/backup/")?;
            RecoveryPointKind::DynamoDbBackup { table: named(table)?, backup: named(backup)? }
        }
        ("backup", Some(("recovery-point", name))) => match name.split_once(':') {
            Some(("continuous", name)) => RecoveryPointKind::Continuous(named(name)?),
            _ => RecoveryPointKind::Vaulted(named(name)?),
        },
        _ => RecoveryPointKind::Unknown { service: service.to_owned(), resource: resource.to_owned() },
    };
    Some(kind)
}

impl fmt::Display for RecoveryPointArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for RecoveryPointArn {
    type Error = InvalidArn;

    fn try_from(text: String) -> Result<Self, InvalidArn> {
        text.parse()
    }
}

impl From<RecoveryPointArn> for String {
    fn from(arn: RecoveryPointArn) -> String {
        arn.text
    }
}

/// The account in any ARN, where there is one.
pub fn account_in(arn: &str) -> Option<AccountId> {
    arn.split(':').nth(4)?.parse().ok()
}

/// The last name in any ARN's resource part: `vol-…` of `…:volume/vol-…`, `orders` of `…:table/orders`.
pub fn resource_name(arn: &str) -> Option<&str> {
    let resource = arn.splitn(6, ':').nth(5)?;
    let name = resource.rsplit(['/', ':']).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> RecoveryPointKind {
        text.parse::<RecoveryPointArn>().unwrap().kind
    }

    #[test]
    fn every_known_form_is_parsed() {
        let snapshot = "snap-0123456789abcdef0";
        assert_eq!(
            kind("arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0"),
            RecoveryPointKind::EbsSnapshot(snapshot.parse().unwrap())
        );
        assert_eq!(
            kind("arn:aws-cn:ec2:cn-north-1::image/ami-0123456789abcdef0"),
            RecoveryPointKind::Ec2Image("ami-0123456789abcdef0".parse().unwrap())
        );
        assert_eq!(
            kind("arn:aws:rds:eu-west-1:123456789012:snapshot:awsbackup:job-1f"),
            RecoveryPointKind::RdsSnapshot("awsbackup:job-1f".into())
        );
        assert_eq!(
            kind("arn:aws-us-gov:rds:us-gov-west-1:123456789012:cluster-snapshot:awsbackup:copyjob-1f"),
            RecoveryPointKind::RdsClusterSnapshot("awsbackup:copyjob-1f".into())
        );
        assert_eq!(
            kind("arn:aws:dynamodb:us-east-1:123456789012:table/orders/backup/01543-ab"),
            RecoveryPointKind::DynamoDbBackup { table: "orders".into(), backup: "01543-ab".into() }
        );
        assert_eq!(
            kind("arn:aws:backup:us-east-1:123456789012:recovery-point:1ab2-34"),
            RecoveryPointKind::Vaulted("1ab2-34".into())
        );
        assert_eq!(
            kind("arn:aws:backup:us-east-1:123456789012:recovery-point:continuous:db-1ab2"),
            RecoveryPointKind::Continuous("db-1ab2".into())
        );
    }

    #[test]
    fn an_unknown_form_is_kept_with_its_name() {
        assert_eq!(
            kind("arn:aws:timestream:us-east-1:123456789012:database/x"),
            RecoveryPointKind::Unknown { service: "timestream".into(), resource: "database/x".into() }
        );
    }

    #[test]
    fn malformed_arns_say_why() {
        for (text, why) in [
            ("snap-0123456789abcdef0", "six parts"),
            ("arm:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0", "begin with"),
            ("arn:gcp:ec2:us-east-1::snapshot/snap-0123456789abcdef0", "partition"),
            ("arn:aws:ec2:::snapshot/snap-0123456789abcdef0", "Region"),
            ("arn:aws:ec2:us-east-1:12:snapshot/snap-0123456789abcdef0", "twelve digits"),
            ("arn:aws:ec2:us-east-1::snapshot/snap-XYZ", "malformed"),
            ("arn:aws:dynamodb:us-east-1:123456789012:table/orders", "malformed"),
            ("arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0\n", "control character"),
        ] {
            let error = text.parse::<RecoveryPointArn>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn names_and_accounts_are_read_from_any_arn() {
        let volume = "arn:aws:ec2:us-east-1:123456789012:volume/vol-0a";
        assert_eq!(resource_name(volume), Some("vol-0a"));
        assert_eq!(account_in(volume), "123456789012".parse().ok());
        assert_eq!(resource_name("arn:aws:rds:us-east-1:123456789012:db:orders"), Some("orders"));
        assert_eq!(account_in("arn:aws:ec2:us-east-1::snapshot/snap-1"), None);
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(
            text in "arn:aws(-cn|-us-gov)?:[a-z0-9]{2,9}:[a-z]{2}-[a-z]{4,9}-[1-9]:([0-9]{12})?:[a-zA-Z0-9:/_.-]{1,40}"
        ) {
            if let Ok(arn) = text.parse::<RecoveryPointArn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }

        #[test]
        fn no_input_panics(text in "\\PC*") {
            let _ = text.parse::<RecoveryPointArn>();
        }
    }
}
