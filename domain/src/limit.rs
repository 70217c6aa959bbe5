//! Bounds of what an operator may set, each known here alone.
//!
//! The CDK app refuses most of them before anything is deployed: it reads `golden/limits.json`, which is made of these
//! constants. Defaults are no limits: they stand beside the setting.

use std::fmt;

use serde::Serialize;

/// Whole numbers from `least` to `most`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The smallest that is taken.
    pub least: u32,
    /// The largest that is taken.
    pub most: u32,
}

impl Limit {
    const fn new(least: u32, most: u32) -> Self {
        Self { least, most }
    }

    /// Whether `value` is taken.
    pub const fn contains(self, value: u32) -> bool {
        self.least <= value && value <= self.most
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "between {} and {}", self.least, self.most)
    }
}

/// Level of libdeflate, whose 12 is the best that the format can do.
pub const GZIP_LEVEL: Limit = Limit::new(1, 12);
/// Level of zstd, without the negative ones.
pub const ZSTD_LEVEL: Limit = Limit::new(1, 22);
/// Threads that read ahead of the archive.
pub const READERS: Limit = Limit::new(1, 1_024);

/// MiB/s of a gp3 volume. <https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html>
pub const THROUGHPUT_MIB: Limit = Limit::new(125, 2_000);
/// IOPS, whatever the volume's type.
pub const IOPS: Limit = Limit::new(100, 256_000);
/// IOPS of a gp3 volume.
pub const GP3_IOPS: Limit = Limit::new(3_000, 80_000);
/// IOPS of an io1 volume. <https://docs.aws.amazon.com/ebs/latest/userguide/provisioned-iops.html>
pub const IO1_IOPS: Limit = Limit::new(100, 64_000);
/// IOPS of an io2 volume.
pub const IO2_IOPS: Limit = Limit::new(100, 256_000);
/// MiB/s at which EC2 loads a snapshot into its volume.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html>
pub const INITIALIZATION_RATE_MIB: Limit = Limit::new(100, 300);

/// Minutes for a snapshot to become a volume.
pub const RESTORE_TIMEOUT_MINUTES: Limit = Limit::new(1, 1_440);
/// Hours for a snapshot to become a database.
pub const DATABASE_RESTORE_TIMEOUT_HOURS: Limit = Limit::new(1, 168);
/// Hours of one attempt at one volume or database.
pub const EXPORT_TIMEOUT_HOURS: Limit = Limit::new(1, 168);
/// Hours of an export that AWS makes, with the restore before it and the waiting for its turn.
pub const NATIVE_EXPORT_TIMEOUT_HOURS: Limit = Limit::new(1, 168);
/// Seconds between two looks at what AWS is doing.
pub const POLL_SECONDS: Limit = Limit::new(1, 300);
/// Seconds after its end in which calls of an execution may still take effect.
pub const SETTLE_SECONDS: Limit = Limit::new(0, 3_600);

/// Recovery points of a resource that stay in the vault, whatever was exported.
pub const MINIMUM_RECOVERY_POINTS: Limit = Limit::new(0, 10_000);
/// Exports that one run of the reconciler starts.
pub const MAX_STARTS: Limit = Limit::new(1, 1_000);
/// Days that the reconciler looks back.
pub const LOOK_BACK_DAYS: Limit = Limit::new(1, 36_500);

/// Characters of a tag's key. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
pub const TAG_KEY_CHARACTERS: Limit = Limit::new(1, 128);
/// Characters of a tag's value, which may be empty.
pub const TAG_VALUE_CHARACTERS: Limit = Limit::new(0, 256);
/// Tags of the operator's own: a resource takes fifty, of which ours are three and its name.
pub const RESOURCE_TAGS: Limit = Limit::new(0, 46);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::golden;

    /// By the names that the CDK app has for them. What it does not set (readers, seconds) or bounds more tightly (how
    /// many tags, empty ones) is not here.
    #[test]
    fn those_that_the_cdk_app_checks_too_are_in_the_file_that_it_reads() {
        let shared = json!({
            "minimumRecoveryPoints": MINIMUM_RECOVERY_POINTS,
            "compressionLevel": {"gzip": GZIP_LEVEL, "zstd": ZSTD_LEVEL},
            "throughputMib": THROUGHPUT_MIB,
            "iops": IOPS,
            "iopsOfType": {"gp3": GP3_IOPS, "io1": IO1_IOPS, "io2": IO2_IOPS},
            "initializationRateMib": INITIALIZATION_RATE_MIB,
            "restoreTimeoutMinutes": RESTORE_TIMEOUT_MINUTES,
            "exportTimeoutHours": EXPORT_TIMEOUT_HOURS,
            "databaseRestoreTimeoutHours": DATABASE_RESTORE_TIMEOUT_HOURS,
            "nativeExportTimeoutHours": NATIVE_EXPORT_TIMEOUT_HOURS,
            "maxStarts": MAX_STARTS,
            "lookBackDays": LOOK_BACK_DAYS,
            "tagKeyCharacters": TAG_KEY_CHARACTERS,
            "tagValueCharacters": {"most": TAG_VALUE_CHARACTERS.most},
        });
        golden::assert("limits.json", &shared);
    }

    #[test]
    fn both_ends_are_taken() {
        let limit = Limit::new(3, 5);
        assert!([3, 4, 5].into_iter().all(|value| limit.contains(value)));
        assert!([0, 2, 6, u32::MAX].into_iter().all(|value| !limit.contains(value)));
        assert_eq!(limit.to_string(), "between 3 and 5");
    }
}
