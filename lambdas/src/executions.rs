//! Whether an execution still works, and which state machine it belongs to.

use aws::CallError;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus;
use domain::failure::Error;
use domain::id::ExecutionArn;
use domain::settings::Environment;
use jiff::{SignedDuration, Timestamp};

/// How long Step Functions may take to know an execution that it has begun, with a wide margin. `DescribeExecution` is
/// eventually consistent.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// What has become of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It works.
    Running,
    /// It does not; when it stopped, where Step Functions still knows.
    Ended(Option<Timestamp>),
}

/// Whether `execution`, which was at work at `seen_at`, still runs. Its history is kept for ninety days: one that is
/// not known any more ended long ago. One that is not known *yet* must not be taken for dead.
pub async fn life(
    client: &Client,
    execution: &ExecutionArn,
    seen_at: Timestamp,
    now: Timestamp,
) -> Result<Life, Error> {
    let result = client.describe_execution().execution_arn(execution.as_str()).send().await;
    match result.map_err(|error| CallError::of(&error)) {
        Ok(output) if matches!(output.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive) => {
            Ok(Life::Running)
        }
        Ok(output) => {
            let at = output.stop_date.and_then(|date| Timestamp::from_second(date.secs()).ok());
            Ok(Life::Ended(at))
        }
        Err(failure) if failure.is(&["ExecutionDoesNotExist"]) => {
            Ok(if now.duration_since(seen_at) < SETTLED { Life::Running } else { Life::Ended(None) })
        }
        Err(failure) => Err(failure.during(format!("describe the execution {execution}"))),
    }
}

/// Whether it works, as [`life`] knows it.
pub async fn is_running(
    client: &Client,
    execution: &ExecutionArn,
    seen_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(life(client, execution, seen_at, now).await? == Life::Running)
}

/// `STATE_MACHINE_ARN`, which must be the ARN of one.
pub fn state_machine(env: &mut Environment<'_>) -> Option<String> {
    let arn: String = env.required("STATE_MACHINE_ARN")?;
    if arn.contains(":stateMachine:") {
        return Some(arn);
    }
    env.problem(format!("STATE_MACHINE_ARN is {arn:?}: it is not the ARN of a state machine"));
    None
}

/// Whether `execution` is one of `state_machine`: another installation in the same account cleans up after itself.
pub fn belongs_to(execution: &ExecutionArn, state_machine: &str) -> bool {
    let name = |arn: &str| {
        let parts: Vec<String> = arn.splitn(8, ':').map(str::to_owned).collect();
        (parts.len() >= 7).then(|| (parts[3].clone(), parts[4].clone(), parts[6].clone()))
    };
    name(execution.as_str()).is_some_and(|execution| name(state_machine) == Some(execution))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_belong_to_the_state_machine_of_their_name() {
        let ours: ExecutionArn = "arn:aws:states:us-east-1:123456789012:execution:export:run-1".parse().unwrap();
        assert!(belongs_to(&ours, "arn:aws:states:us-east-1:123456789012:stateMachine:export"));
        for other in [
            "arn:aws:states:us-east-1:123456789012:stateMachine:export-2",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:export",
            "export",
            "",
        ] {
            assert!(!belongs_to(&ours, other), "{other}");
        }
    }
}
