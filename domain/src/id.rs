//! Identifiers: AWS's own and our export's. Each is a validated string that never changes its spelling. How an export
//! gets its id is in [`name`](crate::name).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string that is not a well-formed identifier of the named kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidId {
    /// What was given.
    pub value: String,
    /// What was expected, with an example.
    pub expected: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidId { value: value.to_owned(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn prefixed_hex(value: &str, prefix: &str) -> bool {
    value.strip_prefix(prefix).is_some_and(|rest| {
        (8..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

identifier!(
    /// An EBS volume, `vol-0123456789abcdef0`.
    VolumeId, "an EBS volume id such as vol-0123456789abcdef0", |v| prefixed_hex(v, "vol-")
);
identifier!(
    /// An EBS snapshot, `snap-0123456789abcdef0`.
    SnapshotId, "an EBS snapshot id such as snap-0123456789abcdef0", |v| prefixed_hex(v, "snap-")
);
identifier!(
    /// An Amazon machine image, `ami-0123456789abcdef0`.
    ImageId, "an AMI id such as ami-0123456789abcdef0", |v| prefixed_hex(v, "ami-")
);
identifier!(
    /// An EC2 instance, `i-0123456789abcdef0`.
    InstanceId, "an EC2 instance id such as i-0123456789abcdef0", |v| prefixed_hex(v, "i-")
);
identifier!(
    /// A twelve-digit AWS account id.
    AccountId, "a twelve-digit AWS account id", |v| v.len() == 12 && v.bytes().all(|b| b.is_ascii_digit())
);
identifier!(
    /// An AWS Region code, `eu-central-1`.
    Region, "an AWS Region code such as eu-central-1", |v| {
        (4..=32).contains(&v.len())
            && v.contains('-')
            && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);
identifier!(
    /// An availability zone (or Local Zone), `eu-central-1a`.
    AvailabilityZone, "an availability zone such as eu-central-1a", |v| {
        (5..=48).contains(&v.len())
            && v.contains('-')
            && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);
identifier!(
    /// A general purpose S3 bucket.
    BucketName, "an S3 bucket name (3 to 63 of a-z 0-9 . -)", |v| {
        (3..=63).contains(&v.len())
            && v.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && !v.starts_with(['-', '.'])
            && !v.ends_with(['-', '.'])
    }
);
identifier!(
    /// A backup vault. AWS's own vaults hold slashes: `aws/efs/automatic-backup-vault`.
    VaultName, "a backup vault name", |v| {
        (1..=100).contains(&v.len())
            && v.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/'))
    }
);
identifier!(
    /// One execution of the state machine, by ARN.
    ExecutionArn,
    "the ARN of a Step Functions execution (arn:aws:states:region:account:execution:state-machine:name)",
    |v| {
        let mut parts = v.splitn(8, ':');
        parts.next() == Some("arn")
            && parts.next().is_some_and(|p| p.starts_with("aws"))
            && parts.next() == Some("states")
            && parts.next().is_some()
            && parts.next().is_some()
            && parts.next() == Some("execution")
            && parts.next().is_some_and(|p| !p.is_empty())
            && parts.next().is_some_and(|p| !p.is_empty())
    }
);
identifier!(
    /// One export: `exp-` and 20 hex digits, derived from the recovery point's ARN and the generation.
    ExportId, "an export id such as exp-0123456789abcdef0123", |v| v.len() == 24 && prefixed_hex(v, "exp-")
);

impl ExecutionArn {
    /// The name part of the ARN.
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }
}

impl VolumeId {
    /// The NVMe serial number under which EBS shows the volume: the id without its dash.
    pub fn nvme_serial(&self) -> String {
        self.0.replacen('-', "", 1)
    }

    /// Copied snapshots name this volume, which does not exist.
    pub fn is_placeholder(&self) -> bool {
        self.0 == "vol-ffffffff"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_refuse_what_is_not_theirs() {
        assert!("vol-0123456789abcdef0".parse::<VolumeId>().is_ok());
        assert!("vol-0123456789ABCDEF0".parse::<VolumeId>().is_err());
        assert!("snap-0123456789abcdef0".parse::<VolumeId>().is_err());
        assert!("aws/efs/automatic-backup-vault".parse::<VaultName>().is_ok());
        assert!("vault with spaces".parse::<VaultName>().is_err());
        assert!("../etc".parse::<BucketName>().is_err());
        assert!("12345678901".parse::<AccountId>().is_err());
    }

    #[test]
    fn the_nvme_serial_has_no_dash() {
        let volume: VolumeId = "vol-0123456789abcdef0".parse().unwrap();
        assert_eq!(volume.nvme_serial(), "vol0123456789abcdef0");
    }

    #[test]
    fn an_execution_arn_of_any_partition_is_accepted() {
        let arn = "arn:aws-cn:states:cn-north-1:123456789012:execution:export:run-1";
        let execution: ExecutionArn = arn.parse().unwrap();
        assert_eq!(execution.name(), "run-1");
        assert!("arn:aws:states:us-east-1:123456789012:stateMachine:export".parse::<ExecutionArn>().is_err());
    }
}
