//! The environment of the reconciler.

use domain::id::{AccountId, BucketName, VaultName};
use domain::limit;
use domain::settings::{Environment, InvalidSettings};

use crate::executions;

/// The environment of the reconciler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcilerSettings {
    /// `EXPORT_BUCKET`.
    pub bucket: BucketName,
    /// `EXPORT_BUCKET_OWNER`.
    pub bucket_owner: AccountId,
    /// `STATE_MACHINE_ARN`: what it starts.
    pub state_machine: String,
    /// `BACKUP_VAULT_NAME`.
    pub vault: VaultName,
    /// `RESOURCE_TYPES`: JSON list of AWS Backup's names. Never empty.
    pub resource_types: Vec<String>,
    /// `RECONCILE_MAX_STARTS`: as many exports are at work once a run is over, or more if events started them.
    pub max_starts: usize,
    /// `RECONCILE_DRY_RUN`: say what would be started, start nothing.
    pub dry_run: bool,
    /// `RECONCILE_LOOK_BACK_DAYS`: older recovery points are left alone; absent: none is.
    pub look_back_days: Option<u32>,
}

impl ReconcilerSettings {
    /// Reads and checks all of them.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut env = Environment::new(lookup);
        let bucket = env.required("EXPORT_BUCKET");
        let bucket_owner = env.required("EXPORT_BUCKET_OWNER");
        let state_machine = executions::state_machine(&mut env);
        let vault = env.required("BACKUP_VAULT_NAME");
        let resource_types = env.required_names("RESOURCE_TYPES");
        // Twenty exports at once fit the default quotas of EBS and Batch; the next run goes on.
        let max_starts = env.number("RECONCILE_MAX_STARTS", limit::MAX_STARTS).unwrap_or(20);
        let dry_run = env.choice("RECONCILE_DRY_RUN", &[("false", false), ("true", true)]);
        let look_back_days = env.number("RECONCILE_LOOK_BACK_DAYS", limit::LOOK_BACK_DAYS);
        let settings = (|| {
            Some(Self {
                bucket: bucket?,
                bucket_owner: bucket_owner?,
                state_machine: state_machine?,
                vault: vault?,
                resource_types: resource_types?,
                max_starts: usize::try_from(max_starts).ok()?,
                dry_run: dry_run?,
                look_back_days,
            })
        })();
        env.finish(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<ReconcilerSettings, InvalidSettings> {
        let mut variables = std::collections::BTreeMap::from([
            ("EXPORT_BUCKET", "exports"),
            ("EXPORT_BUCKET_OWNER", "123456789012"),
            ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:backup-export"),
            ("BACKUP_VAULT_NAME", "Default"),
            ("RESOURCE_TYPES", r#"["EBS"]"#),
        ]);
        variables.extend(changes.iter().copied());
        ReconcilerSettings::read(&|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn a_run_starts_a_few_and_looks_at_everything_unless_told_otherwise() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.max_starts, settings.dry_run, settings.look_back_days), (20, false, None));
        let settings = read(&[("RECONCILE_DRY_RUN", "true"), ("RECONCILE_LOOK_BACK_DAYS", "30")]).unwrap();
        assert_eq!((settings.dry_run, settings.look_back_days), (true, Some(30)));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = read(&[
            ("EXPORT_BUCKET", ""),
            ("EXPORT_BUCKET_OWNER", "me"),
            ("STATE_MACHINE_ARN", "backup-export"),
            ("BACKUP_VAULT_NAME", "a b"),
            ("RESOURCE_TYPES", "EBS"),
            ("RECONCILE_MAX_STARTS", "0"),
            ("RECONCILE_DRY_RUN", "yes"),
            ("RECONCILE_LOOK_BACK_DAYS", "-1"),
        ])
        .unwrap_err();
        assert_eq!(error.problems.len(), 8, "{error}");
        assert!(read(&[("RESOURCE_TYPES", "[]")]).is_err());
        assert!(read(&[("RESOURCE_TYPES", r#"[""]"#)]).is_err());
    }
}
