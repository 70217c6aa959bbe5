//! Starting an export by hand.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws::config::Patience;
use aws_sdk_sfn::error::DisplayErrorContext;
use aws_sdk_sfn::types::ExecutionStatus;
use clap::Args;
use domain::arn::RecoveryPointArn;
use domain::id::VaultName;

/// Start the export of one recovery point.
///
/// Starting twice is harmless: an export that runs or is finished is reported, not done again.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// ARN of the state machine (an output of the stack).
    #[arg(long, env = "BACKUP_EXPORT_STATE_MACHINE", value_name = "ARN")]
    state_machine: String,
    /// ARN of the recovery point.
    #[arg(long, value_name = "ARN")]
    recovery_point: RecoveryPointArn,
    /// The vault in which it lies.
    #[arg(long, value_name = "NAME")]
    vault: VaultName,
    /// Export anew, beside the first export: give a number that was not used before.
    #[arg(long, default_value_t = 0, value_name = "N")]
    generation: u32,
    /// Wait for the end, and fail if the export does.
    #[arg(long)]
    wait: bool,
}

/// How often the execution is looked at.
const POLL: Duration = Duration::from_secs(5);

impl Start {
    pub(crate) async fn run(self) -> Result<()> {
        let client = aws_sdk_sfn::Client::new(&aws::config::load(Patience::Person).await);
        let input = serde_json::json!({
            "recoveryPointArn": self.recovery_point, "backupVaultName": self.vault, "generation": self.generation,
        });
        let started =
            client.start_execution().state_machine_arn(&self.state_machine).input(input.to_string()).send().await;
        let execution = started
            .map_err(|error| {
                anyhow::anyhow!("start an execution of {}: {}", self.state_machine, DisplayErrorContext(error))
            })?
            .execution_arn;
        println!("{execution}");
        if self.wait { finished(&client, &execution).await } else { Ok(()) }
    }
}

async fn finished(client: &aws_sdk_sfn::Client, execution: &str) -> Result<()> {
    loop {
        let state = client
            .describe_execution()
            .execution_arn(execution)
            .send()
            .await
            .with_context(|| format!("look at {execution}"))?;
        match state.status {
            ExecutionStatus::Running => tokio::time::sleep(POLL).await,
            ExecutionStatus::Succeeded => {
                println!("{}", state.output.unwrap_or_default());
                return Ok(());
            }
            status => bail!(
                "{execution} ended as {status}: {}: {}",
                state.error.unwrap_or_default(),
                state.cause.unwrap_or_default()
            ),
        }
    }
}
