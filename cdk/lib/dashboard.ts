import { Duration } from "aws-cdk-lib";
import {
  Dashboard,
  GraphWidget,
  SingleValueWidget,
  Stats,
  TextWidget,
  type IMetric,
  type Metric,
} from "aws-cdk-lib/aws-cloudwatch";
import type { Construct } from "constructs";
import { metric, type MetricName, type Watched } from "./metric.js";

/** How it goes, at a glance. */
export function dashboard(scope: Construct, { installation, workflow, functions, deadLetters }: Watched): void {
  const { stateMachine } = workflow;
  const own = (name: MetricName, statistic: string, period?: Duration): Metric =>
    metric(installation, name, statistic, period);
  const day = { period: Duration.days(1) };
  const graph = (title: string, left: IMetric[], right: IMetric[] = []): GraphWidget =>
    new GraphWidget({ title, left, right, width: 12, height: 6 });
  new Dashboard(scope, "Dashboard", {
    // Dashboards of all Regions share one list of names.
    dashboardName: `${installation.name}-${installation.stack.region}`,
    defaultInterval: Duration.days(28),
    widgets: [
      [
        new TextWidget({
          markdown: `# Exports of the vault ${installation.settings.vault.name}\nSums are for a day. What each alarm means: docs/operations.md`,
          width: 24,
          height: 2,
        }),
      ],
      [
        new SingleValueWidget({
          title: "Last 28 days",
          width: 24,
          height: 4,
          setPeriodToTimeRange: true,
          metrics: [
            own("Exports", Stats.SUM),
            own("FailedExports", Stats.SUM),
            own("ArchiveBytes", Stats.SUM),
            own("SourceBytes", Stats.SUM),
            own("EstimatedCostUsd", Stats.SUM),
          ],
        }),
      ],
      [
        graph("Exports", [own("Exports", Stats.SUM), own("FailedExports", Stats.SUM)]),
        graph("Bytes", [own("SourceBytes", Stats.SUM), own("ArchiveBytes", Stats.SUM)]),
      ],
      [
        graph("Duration of exports, seconds", [
          own("ExportSeconds", Stats.p(50)),
          own("ExportSeconds", Stats.p(95)),
          own("ExportSeconds", Stats.MAXIMUM),
        ]),
        graph("Cost, US dollars, estimated from list prices", [own("EstimatedCostUsd", Stats.SUM)]),
      ],
      [
        graph(
          "Executions",
          [stateMachine.metricStarted(day), stateMachine.metricSucceeded(day)],
          [stateMachine.metricFailed(day), stateMachine.metricTimedOut(day), stateMachine.metricAborted(day)],
        ),
        graph(
          "Now running",
          [own("Executions", Stats.MAXIMUM, Duration.hours(1))],
          [own("OldestExecutionSeconds", Stats.MAXIMUM, Duration.hours(1))],
        ),
      ],
      [
        graph("Recovery points without an export", [
          own("UnexportedRecoveryPoints", Stats.MAXIMUM),
          own("StartedExports", Stats.SUM),
        ]),
        graph("What could not be delivered or removed", [
          deadLetters.metricApproximateNumberOfMessagesVisible({ period: Duration.hours(1), statistic: Stats.MAXIMUM }),
          functions.get("reaper").metricErrors({ period: Duration.hours(1) }),
        ]),
      ],
    ],
  });
}
