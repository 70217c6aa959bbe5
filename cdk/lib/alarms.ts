import { Duration } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, Stats, TreatMissingData, type IMetric } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { ITopic } from "aws-cdk-lib/aws-sns";
import type { Construct } from "constructs";
import { metric, type Watched } from "./metric.js";

interface Threshold {
  readonly threshold: number;
  readonly comparisonOperator: ComparisonOperator;
  readonly evaluationPeriods?: number;
  readonly treatMissingData?: TreatMissingData;
}

/** An alarm for everything that somebody must look at; each says where it is explained, and tells `topic`. */
export function alarms(
  scope: Construct,
  { installation, workflow, functions, deadLetters }: Watched,
  topic: ITopic,
): void {
  const hours = installation.settings.monitoring.alarmAfterHours;
  const { stateMachine } = workflow;
  const action = new SnsAction(topic);
  const alarm = (id: string, description: string, watched: IMetric, when: Threshold): void => {
    new Alarm(scope, id, {
      alarmDescription: `${description}. What to do: docs/operations.md#${id.toLowerCase()}`,
      metric: watched,
      evaluationPeriods: when.evaluationPeriods ?? 1,
      threshold: when.threshold,
      comparisonOperator: when.comparisonOperator,
      treatMissingData: when.treatMissingData ?? TreatMissingData.NOT_BREACHING,
    }).addAlarmAction(action);
  };
  const hour = { period: Duration.hours(1) };
  const any = { threshold: 1, comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD };
  alarm("ExportFailed", "An export failed", stateMachine.metricFailed(hour), any);
  alarm(
    "ExportTimedOut",
    "An execution ran into the state machine's own time limit",
    stateMachine.metricTimedOut(hour),
    any,
  );
  alarm("ExportAborted", "Somebody stopped an execution", stateMachine.metricAborted(hour), any);
  alarm(
    "DeadLetters",
    "An event could not be delivered for a day",
    deadLetters.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(5), statistic: Stats.MAXIMUM }),
    any,
  );
  alarm(
    "ExportTooLong",
    `An export has been running for more than ${hours} hours`,
    metric(installation, "OldestExecutionSeconds", Stats.MAXIMUM, Duration.hours(2)),
    {
      threshold: Duration.hours(hours).toSeconds(),
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    },
  );
  alarm(
    "ReaperFailed",
    "Something that an execution created could not be removed yet",
    functions.get("reaper").metricErrors({ period: Duration.hours(1), statistic: Stats.SUM }),
    {
      // Lambda tries it again twice; what is left after three hours in a row will not go by itself.
      threshold: 1,
      evaluationPeriods: 3,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    },
  );
  alarm(
    "ReaperSilent",
    "The reaper has not run for three hours: nothing would notice what is left behind",
    functions.get("reaper").metricInvocations({ period: Duration.hours(3), statistic: Stats.SUM }),
    {
      threshold: 1,
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: TreatMissingData.BREACHING,
    },
  );
  if (installation.settings.reconcile.mode !== "off") {
    alarm(
      "ReconcilerFailed",
      "The daily comparison of vault and exports failed",
      functions.get("reconciler").metricErrors({ period: Duration.days(1), statistic: Stats.SUM }),
      any,
    );
  }
}
