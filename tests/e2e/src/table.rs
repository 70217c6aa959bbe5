//! What end-to-end tests of DynamoDB begin with: a table with items, its backup, and the live table changed since.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use domain::manifest::NativeObject;
use local_cloud::RecoveryPointOptions;
use serde_json::{Value, json};
use support::run;

use crate::scene::PATIENCE;
use crate::stack::{BUCKET, VAULT};
use crate::{Settings, System};

/// Who restores: DynamoDB itself, or AWS Backup what it keeps in its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `arn:aws:dynamodb:…:backup/…`.
    Dynamodb,
    /// `arn:aws:backup:…:recovery-point:…`.
    Vault,
}

/// The system, and a recovery point of a table.
#[derive(Debug)]
pub struct TableScene {
    /// The deployed system.
    pub system: System,
    /// The recovery point.
    pub arn: String,
}

/// The table that is backed up.
pub const TABLE: &str = "orders";
/// Its items at the time of the backup.
pub const ITEMS: usize = 60;

/// What is put in, as the command line takes it: binary as it is.
const BINARY: &str = "raw bytes";
/// The same as DynamoDB gives it back.
const BASE64: &str = "cmF3IGJ5dGVz";

fn item(number: usize, binary: &str) -> Value {
    json!({
        "id": {"S": format!("order-{number}")}, "total": {"N": (number * 3).to_string()}, "note": {"S": "é\n\"🦆\""},
        "raw": {"B": binary}, "tags": {"SS": ["a", "b"]}, "none": {"NULL": true},
        "nested": {"M": {"list": {"L": [{"BOOL": false}, {"N": "1.5"}]}}}
    })
}

/// Makes [`TABLE`] with [`ITEMS`] items, with point-in-time recovery.
async fn make_table(system: &System) -> Result<()> {
    system
        .aws(&[
            "dynamodb",
            "create-table",
            "--table-name",
            TABLE,
            "--attribute-definitions",
            "AttributeName=id,AttributeType=S",
            "--key-schema",
            "AttributeName=id,KeyType=HASH",
            "--billing-mode",
            "PAY_PER_REQUEST",
        ])
        .await?;
    for first in (0..ITEMS).step_by(25) {
        let puts: Vec<Value> = (first..ITEMS.min(first + 25))
            .map(|number| json!({"PutRequest": {"Item": item(number, BINARY)}}))
            .collect();
        let request = json!({ TABLE: puts }).to_string();
        system.aws(&["dynamodb", "batch-write-item", "--request-items", &request]).await?;
    }
    let recovery = ["dynamodb", "update-continuous-backups", "--table-name", TABLE];
    let on = ["--point-in-time-recovery-specification", "PointInTimeRecoveryEnabled=true"];
    system.aws(&[recovery.as_slice(), &on].concat()).await?;
    // The window opens a little later, and a backup's time is told in whole seconds.
    let look = ["dynamodb", "describe-continuous-backups", "--table-name", TABLE];
    let begun = Instant::now();
    loop {
        let found = system.aws(&look).await?;
        let window = &found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
        let earliest = match &window["EarliestRestorableDateTime"] {
            Value::Number(seconds) => seconds.as_f64(),
            Value::String(time) => time.parse::<jiff::Timestamp>().ok().map(|time| time.as_duration().as_secs_f64()),
            _ => None,
        };
        let now = jiff::Timestamp::now().as_duration().as_secs_f64().floor();
        if earliest.is_some_and(|earliest| earliest <= now) {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "point-in-time recovery does not begin: {found}");
    }
}

/// The same, and a backup of it.
pub(crate) async fn make(system: &System, options: RecoveryPointOptions) -> Result<String> {
    make_table(system).await?;
    Ok(system.cloud.add_dynamodb_recovery_point(VAULT, TABLE, options).await?)
}

impl TableScene {
    /// A system with these settings, a table, and a backup of it, after which the table changes.
    pub async fn start(form: Form, settings: Settings, options: RecoveryPointOptions) -> Result<Self> {
        let system = System::start(settings).await?;
        make_table(&system).await?;
        let arn = match form {
            Form::Dynamodb => system.cloud.add_dynamodb_recovery_point(VAULT, TABLE, options).await?,
            Form::Vault => system.cloud.add_vaulted_dynamodb_recovery_point(VAULT, TABLE, options).await?,
        };
        let key = json!({"id": {"S": "order-0"}}).to_string();
        system.aws(&["dynamodb", "delete-item", "--table-name", TABLE, "--key", &key]).await?;
        Ok(Self { system, arn })
    }

    /// Asserts that the exported items are those of the backup, by DynamoDB's own format alone.
    pub fn assert_exported(&self) -> Result<()> {
        let native = self.system.manifest()?.native.context("nothing that AWS wrote")?;
        ensure!(native.items == ITEMS as u64, "{native:?}");
        let listing = self.system.cloud.object(BUCKET, &native.listing.key)?;
        let listed: Vec<NativeObject> = listing
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        ensure!(listed.len() as u64 == native.objects, "{} listed of {}", listed.len(), native.objects);
        let mut found = BTreeSet::new();
        for object in listed.iter().filter(|object| object.key.ends_with(".json.gz")) {
            let content = self.system.cloud.object(BUCKET, &object.key)?;
            for line in gunzip(&content)?.lines() {
                let line: Value = serde_json::from_str(line)?;
                found.insert(normal(&line["Item"]));
            }
        }
        let expected: BTreeSet<String> = (0..ITEMS).map(|number| normal(&item(number, BASE64))).collect();
        ensure!(found == expected, "other items: {:?}", found.symmetric_difference(&expected).next());
        Ok(())
    }

    /// Asserts that a failed export left nothing, and that recovery point and live table are still there.
    pub async fn assert_nothing_left(self) -> Result<()> {
        self.assert_one_table().await?;
        self.system.assert_nothing_left(&self.arn).await
    }

    /// Asserts that a finished export left its objects and the live table.
    pub async fn assert_only_the_export_left(self) -> Result<()> {
        self.assert_one_table().await?;
        self.system.assert_only_the_export_left().await
    }

    async fn assert_one_table(&self) -> Result<()> {
        let tables = self.system.cloud.tables().await?;
        ensure!(tables.len() == 1 && tables[0].name == TABLE, "{tables:?}");
        Ok(())
    }
}

/// The item as text; a set has no order.
fn normal(item: &Value) -> String {
    let mut item = item.clone();
    if let Some(set) = item.pointer_mut("/tags/SS").and_then(Value::as_array_mut) {
        set.sort_by_key(Value::to_string);
    }
    item.to_string()
}

fn gunzip(content: &[u8]) -> Result<String> {
    let directory = tempfile::tempdir()?;
    let file: PathBuf = directory.path().join("items.json.gz");
    std::fs::write(&file, content)?;
    run(Command::new("gzip").arg("-dc").arg(&file))
}
