import { Duration } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { Functions } from "./functions.js";
import type { Installation } from "./installation.js";
import type { Workflow } from "./workflow.js";

/** The namespace of the metrics that the Lambdas write. */
export const METRICS = "BackupExport";

/** Whose metrics alarms and the dashboard watch. */
export interface Watched {
  readonly installation: Installation;
  readonly workflow: Workflow;
  readonly functions: Functions;
  readonly deadLetters: IQueue;
}

/** A metric that a Lambda writes into its log. */
export function metric(installation: Installation, metricName: string, statistic: string, period = Duration.days(1)): Metric {
  return new Metric({ namespace: METRICS, metricName, statistic, period, dimensionsMap: { Installation: installation.name } });
}
