//! The environment of the reaper.

use domain::id::{AccountId, BucketName};
use domain::limit;
use domain::settings::{Environment, InvalidSettings};
use jiff::SignedDuration;

use crate::executions;

/// The environment of the reaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaperSettings {
    /// `EXPORT_BUCKET`.
    pub bucket: BucketName,
    /// `EXPORT_BUCKET_OWNER`.
    pub bucket_owner: AccountId,
    /// `STATE_MACHINE_ARN`: executions of others are none of its business.
    pub state_machine: String,
    /// `RESOURCE_TYPES`: JSON list of AWS Backup's names; services of others are not asked. All, unless given.
    pub resource_types: Vec<String>,
    /// `DATABASE_PARAMETER_PATH`.
    pub parameter_path: String,
    /// `SETTLE_SECONDS`: how long after its end an execution's calls may still take effect.
    pub settle: SignedDuration,
}

/// Twice as long as a Lambda may take, whose call was under way when its execution was stopped.
const SETTLE_SECONDS: u32 = 120;

impl ReaperSettings {
    /// Reads and checks all of them.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut env = Environment::new(lookup);
        let bucket = env.required("EXPORT_BUCKET");
        let owner = env.required("EXPORT_BUCKET_OWNER");
        let state_machine = executions::state_machine(&mut env);
        let resource_types = env.names("RESOURCE_TYPES");
        let resource_types = resource_types.unwrap_or_else(|| ["RDS", "Aurora", "DynamoDB"].map(str::to_owned).into());
        let parameter_path = domain::settings::parameter_path(&mut env);
        let settle = env.number("SETTLE_SECONDS", limit::SETTLE_SECONDS).unwrap_or(SETTLE_SECONDS);
        let settings = (|| {
            Some(Self {
                bucket: bucket?,
                bucket_owner: owner?,
                state_machine: state_machine?,
                resource_types,
                parameter_path,
                settle: SignedDuration::from_secs(settle.into()),
            })
        })();
        env.finish(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_together() {
        let error = ReaperSettings::read(&|name| (name == "STATE_MACHINE_ARN").then(|| "x".into())).unwrap_err();
        assert_eq!(error.problems.len(), 3, "{error}");
    }
}
