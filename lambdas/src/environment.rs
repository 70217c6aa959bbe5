//! Which environment variables each binary reads, found by letting it read: what a deployment gives must be what is
//! asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use domain::settings::{InvalidSettings, Settings};

use crate::reaper::ReaperSettings;
use crate::reconciler::ReconcilerSettings;

/// All Lambdas, by the names of their binaries.
pub const BINARIES: [&str; 8] =
    ["check-restore", "cleanup", "conclude", "delete-recovery-point", "plan", "reaper", "reconciler", "start-restore"];

/// The variables of one binary, beside those that Lambda itself sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Without these it refuses to work.
    pub required: BTreeSet<String>,
    /// These have defaults.
    pub optional: BTreeSet<String>,
}

type Read = fn(&dyn Fn(&str) -> Option<String>) -> Option<InvalidSettings>;

/// The variables that `binary` reads; `None` when there is no such binary.
pub fn variables(binary: &str) -> Option<Variables> {
    let read: Read = match binary {
        "plan" => |lookup| Settings::read(lookup).err(),
        "reaper" => |lookup| ReaperSettings::read(lookup).err(),
        "reconciler" => |lookup| ReconcilerSettings::read(lookup).err(),
        _ => return BINARIES.contains(&binary).then(Variables::default),
    };
    let asked = RefCell::new(BTreeSet::new());
    let problems = read(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        None
    });
    let problems = problems.map(|error| error.problems).unwrap_or_default();
    let is_required = |name: &String| problems.contains(&format!("{name} is not set"));
    let (required, optional) = asked.into_inner().into_iter().partition(is_required);
    Some(Variables { required, optional })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn sources() -> Vec<(String, String)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut sources: Vec<_> = files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect();
        sources.sort();
        sources
    }

    #[test]
    fn every_binary_is_listed_and_those_that_read_variables_are_known() {
        let sources = sources();
        let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, BINARIES);
        for (name, source) in &sources {
            let reads = source.contains("runtime::variable") || source.contains("env::var");
            let known = variables(name).unwrap();
            assert_eq!(reads, known != Variables::default(), "{name}: {known:?}");
        }
        assert_eq!(variables("worker"), None);
    }

    #[test]
    fn what_is_read_is_what_the_documentation_lists() {
        let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md")).unwrap();
        let (_, settings) = docs.split_once("## Settings of the Lambdas").unwrap();
        for binary in BINARIES {
            let Variables { required, optional } = variables(binary).unwrap();
            for name in required.iter().chain(&optional) {
                assert!(settings.contains(&format!("`{name}`")), "{binary} reads {name}");
            }
        }
        let reconciler = variables("reconciler").unwrap();
        let needed =
            ["BACKUP_VAULT_NAME", "EXPORT_BUCKET", "EXPORT_BUCKET_OWNER", "RESOURCE_TYPES", "STATE_MACHINE_ARN"];
        assert_eq!(reconciler.required.iter().map(String::as_str).collect::<Vec<_>>(), needed);
        assert!(reconciler.optional.contains("RECONCILE_MAX_STARTS"));
        let plan = variables("plan").unwrap();
        assert!(plan.required.contains("JOB_QUEUES"));
        for name in
            ["MINIMUM_RECOVERY_POINTS", "DELETE_ONLY_TAGGED", "RESOURCE_TAGS", "COMPRESSION_LEVEL", "VOLUME_IOPS"]
        {
            assert!(plan.optional.contains(name), "{name}");
        }
    }
}
