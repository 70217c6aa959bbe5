//! Derived names. Whatever an export makes has a name that follows from the export and the execution alone, so that
//! whoever cleans up finds it without being told, and no two executions ever use the same.
//!
//! ```text
//! exp-<20 hex>                                               the export: of the recovery point's ARN and the generation
//! exp-<20 hex>-<6 hex><8 hex>-                               the execution: of its installation, and of itself
//! exp-<20 hex>-<14 hex>-db | -cluster | -parquet | -table    what is made for a database or a table
//! exp-<20 hex>-<14 hex>-<unit key>-export | -verify          a Batch job
//! ```
//! An installation takes what begins so for its own, and the grants of its roles name these patterns. Keys of objects
//! are in [`key`](crate::key), tags in [`tag`](crate::tag).

use crate::arn::RecoveryPointArn;
use crate::digest::hex_prefix;
use crate::id::{AccountId, ExecutionArn, ExportId};
use crate::limit::TAG_VALUE_CHARACTERS;

/// What all names begin with.
pub const PREFIX: &str = "exp-";

/// How an export id continues, in hex digits.
const EXPORT_DIGITS: usize = 20;
/// How the short name of an execution begins: the digits of its installation.
const INSTALLATION_DIGITS: usize = 6;
/// How it continues: the digits that tell the executions of one export apart.
const EXECUTION_DIGITS: usize = 8;

/// Most characters of a unit's key in the name of a job: a table's name may have 255, a job's 128.
const MAX_KEY_CHARS: usize = 64;

/// What the names of temporary tables end with.
const TABLE: &str = "table";

/// The id of an export of `recovery_point`. Generation 0 is what events and ordinary starts use; a person who
/// wants the same recovery point exported anew gives a higher one.
pub fn export_id(recovery_point: &RecoveryPointArn, generation: u32) -> ExportId {
    let seed = match generation {
        0 => recovery_point.to_string(),
        n => format!("{recovery_point}#{n}"),
    };
    let id = format!("{PREFIX}{}", hex_prefix(seed.as_bytes(), EXPORT_DIGITS / 2));
    id.parse().expect("the prefix and 20 hex digits are an export id")
}

/// Fourteen hex digits for an execution: those of its [`installation`], and eight that tell the executions of one
/// export apart.
pub fn short_execution(execution: &ExecutionArn) -> String {
    let arn = execution.as_str();
    format!("{}{}", installation(arn), hex_prefix(arn.as_bytes(), EXECUTION_DIGITS / 2))
}

/// Six hex digits by which the names of one installation's resources are told from another's in the same account. `arn`
/// is that of its state machine, or of one of its executions.
pub fn installation(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(8, ':').collect();
    let part = |number: usize| parts.get(number).copied().unwrap_or_default();
    hex_prefix(format!("{}:{}:{}", part(3), part(4), part(6)).as_bytes(), INSTALLATION_DIGITS / 2)
}

/// Whose a name is that begins as [`Names::prefix`] does: the export, and the [`installation`].
pub fn owner(name: &str) -> Option<(ExportId, &str)> {
    let (export, rest) = name.split_at_checked(PREFIX.len() + EXPORT_DIGITS)?;
    let execution = rest.strip_prefix('-')?.split('-').next()?;
    let is_whole = execution.len() == INSTALLATION_DIGITS + EXECUTION_DIGITS;
    let installation = execution.get(..INSTALLATION_DIGITS).filter(|_| is_whole)?;
    Some((export.parse().ok()?, installation))
}

/// Whether a table of ours is a temporary one by its name. Nothing else of ours is a table.
pub fn is_temporary_table(name: &str) -> bool {
    name.ends_with(&format!("-{TABLE}"))
}

/// What the names of all passwords under a path of SSM begin with.
pub fn password_prefix(path: &str) -> String {
    format!("{path}{PREFIX}")
}

/// The token that makes a creating call idempotent: a retry within the execution reuses it, another execution, unit or
/// zone has another. 54 ASCII characters: EC2 takes up to 64, AWS Backup and DynamoDB name no limit.
pub fn client_token(export_id: &ExportId, execution: &ExecutionArn, unit_key: &str, zone: &str) -> String {
    let seed = format!("{export_id}\n{execution}\n{unit_key}\n{zone}");
    format!("backup-export-{}", hex_prefix(seed.as_bytes(), 20))
}

/// The value of the tag `Name` on what is made for a unit. A tag takes 256 characters, of which a table's name alone
/// may have 255.
pub fn title(export_id: &ExportId, unit_key: &str) -> String {
    let most = usize::try_from(TAG_VALUE_CHARACTERS.most).unwrap_or(usize::MAX);
    format!("{export_id} {unit_key}").chars().take(most).collect()
}

/// The execution that the reconciler starts for an export in a period of time. Step Functions takes 80 characters, and
/// a name once in ninety days.
pub fn reconciling_execution(export_id: &ExportId, period: u64) -> String {
    format!("reconcile-{export_id}-{period}")
}

/// The names of what one execution makes for one export.
///
/// All begin with [`Names::prefix`], 40 characters of `a-z 0-9 -` without two dashes in a row, as RDS asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names of `execution`'s work on an export.
    pub fn new(export_id: &ExportId, execution: &ExecutionArn) -> Self {
        Self { prefix: format!("{export_id}-{}-", short_execution(execution)) }
    }

    /// What all of them begin with. Batch finds jobs by it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The Batch job that exports a unit. Up to 111 characters; Batch takes 128 of letters, digits, `-` and `_`.
    pub fn export_job(&self, unit_key: &str) -> String {
        self.job(unit_key, "export")
    }

    /// The Batch job that verifies it.
    pub fn verify_job(&self, unit_key: &str) -> String {
        self.job(unit_key, "verify")
    }

    fn job(&self, unit_key: &str, purpose: &str) -> String {
        let is_taken = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let key: String = unit_key.chars().map(|c| if is_taken(c) { c } else { '_' }).take(MAX_KEY_CHARS).collect();
        format!("{}{key}-{purpose}", self.prefix)
    }

    /// The database instance. RDS takes 63 characters, of which the first is a letter.
    pub fn instance(&self) -> String {
        self.of("db")
    }

    /// The database cluster. RDS takes 63 characters.
    pub fn cluster(&self) -> String {
        self.of("cluster")
    }

    /// The parameter group, of the cluster where there is one. RDS takes 255 characters.
    pub fn parameter_group(&self) -> String {
        self.of("db")
    }

    /// The SSM parameter that holds the database's password, under a path that ends in a slash. Systems Manager takes
    /// 1,011 characters, with the account and Region before them.
    pub fn password_parameter(&self, path: &str) -> String {
        format!("{path}{}", self.of("db"))
    }

    /// The export task of RDS. RDS documents no limit; it is as short as an instance's name.
    pub fn export_task(&self) -> String {
        self.of("parquet")
    }

    /// The table that a DynamoDB backup is restored to. DynamoDB takes 255 characters.
    pub fn temporary_table(&self) -> String {
        self.of(TABLE)
    }

    /// ARN of the [temporary table](Self::temporary_table): it is made where the backup lies.
    pub fn temporary_table_arn(&self, backup: &RecoveryPointArn, account: &AccountId) -> String {
        let (partition, region, table) = (backup.partition(), backup.region(), self.temporary_table());
        format!("arn:{partition}:dynamodb:{region}:{account}:table/{table}")
    }

    fn of(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn snapshot() -> RecoveryPointArn {
        "arn:aws:ec2:us-east-1::snapshot/snap-0123456789abcdef0".parse().unwrap()
    }

    fn execution() -> ExecutionArn {
        "arn:aws-cn:states:cn-north-1:123456789012:execution:export:run-1".parse().unwrap()
    }

    fn names() -> Names {
        Names::new(&export_id(&snapshot(), 0), &execution())
    }

    #[test]
    fn the_export_id_depends_on_arn_and_generation_alone() {
        let id = |generation| export_id(&snapshot(), generation);
        assert_eq!(id(0), id(0));
        assert_ne!(id(0), id(1));
        assert_eq!(id(0).to_string().parse(), Ok(id(0)));
    }

    #[test]
    fn an_execution_begins_with_its_installation() {
        let short = short_execution(&execution());
        assert_eq!(short.len(), 14);
        let of =
            |machine: &str| installation(&format!("arn:aws-cn:states:cn-north-1:123456789012:stateMachine:{machine}"));
        assert!(short.starts_with(&of("export")) && !short.starts_with(&of("export-2")));
    }

    #[test]
    fn every_name_is_known_by_its_owner_and_short_enough_for_its_service() {
        let names = names();
        let table = names.temporary_table();
        for (name, limit) in [
            (names.instance(), 63),
            (names.cluster(), 63),
            (names.parameter_group(), 255),
            (names.export_task(), 63),
            (table.clone(), 255),
            (names.export_job(&"vol-0123456789abcdef0".repeat(12)), 128),
            (names.verify_job("a.table"), 128),
        ] {
            assert!(name.len() <= limit && !name.contains("--") && !name.contains('.'), "{name}");
            let installation = installation(execution().as_str());
            assert_eq!(owner(&name), Some((export_id(&snapshot(), 0), installation.as_str())), "{name}");
            assert_eq!(is_temporary_table(&name), name == table);
        }
        let parameter = names.password_parameter("/backup-export/");
        assert!(parameter.starts_with(&password_prefix("/backup-export/")));
        assert_eq!(parameter.strip_prefix("/backup-export/"), Some(names.instance().as_str()));
        let arn = names.temporary_table_arn(&snapshot(), &"123456789012".parse().unwrap());
        assert_eq!(arn, format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}"));
        assert!(client_token(&export_id(&snapshot(), 0), &execution(), &"key".repeat(99), "us-east-1a").len() <= 64);
        assert!(reconciling_execution(&export_id(&snapshot(), 0), u64::MAX).len() <= 80);
    }

    #[test]
    fn the_longest_name_of_a_table_still_makes_a_tag() {
        let id = export_id(&snapshot(), 0);
        for table in ["orders".to_owned(), "t".repeat(255)] {
            let title = title(&id, &table);
            assert_eq!(crate::tag::check("Name", &title), Ok(()), "{title}");
            assert!(title.starts_with(id.as_str()));
        }
    }

    proptest! {
        #[test]
        fn no_name_of_somebody_else_has_an_owner(name in "\\PC*|exp-[0-9a-f]{0,24}(-[0-9a-f]{0,13})?") {
            prop_assert_eq!(owner(&name), None);
        }
    }
}
