//! The table of a DynamoDB recovery point.

use super::piece::Piece;
use super::refusal::refuse;
use crate::arn::{RecoveryPointArn, RecoveryPointKind, resource_name};
use crate::facts::Facts;
use crate::failure::{Kind, Result};
use crate::name::Names;
use crate::settings::{Settings, TableNative};
use crate::source::{Source, TableOrigin, TableSource};

pub(super) fn piece(arn: &RecoveryPointArn, facts: &Facts, settings: &Settings, names: &Names) -> Result<Piece> {
    let options = &settings.table;
    let in_vault = matches!(arn.kind(), RecoveryPointKind::Vaulted(_));
    let origin = match options.native {
        TableNative::Pitr => TableOrigin::LiveTable { at: facts.created_at },
        TableNative::Backup => {
            check_backup(arn, facts)?;
            if in_vault && options.restore_role_arn.is_none() {
                return refuse(
                    Kind::InvalidSettings,
                    format!(
                        "{arn} can be restored by AWS Backup alone, which needs a role: set RESTORE_JOB_ROLE_ARN, \
                         which `cdk deploy` does when resourceTypes names DynamoDB"
                    ),
                );
            }
            TableOrigin::Backup {
                backup_arn: arn.to_string(),
                restore_role_arn: options.restore_role_arn.clone().filter(|_| in_vault),
                temporary_table: names.temporary_table(),
                temporary_table_arn: names.temporary_table_arn(arn, &facts.vault_account),
            }
        }
    };
    let key = resource_name(&facts.resource_arn).map_or_else(|| arn.short_id(), str::to_owned);
    let source = TableSource {
        table_arn: facts.resource_arn.clone(),
        origin,
        format: options.format,
        size_bytes: facts.table.as_ref().and_then(|table| table.size_bytes).or(facts.size_bytes),
    };
    Ok(Piece { key, in_folder: false, source: Source::Table(source) })
}

fn check_backup(arn: &RecoveryPointArn, facts: &Facts) -> Result<()> {
    match &facts.table {
        None => refuse(
            Kind::RecoveryPointNotUsable,
            format!("the backup of {arn} does not exist any more: AWS Backup still lists it, but DynamoDB does not"),
        ),
        Some(table) => match table.status.as_deref() {
            None | Some("AVAILABLE") => Ok(()),
            Some(status) => refuse(
                Kind::RecoveryPointNotUsable,
                format!("the backup of {arn} is {status}, not AVAILABLE: start the export again when it is"),
            ),
        },
    }
}
