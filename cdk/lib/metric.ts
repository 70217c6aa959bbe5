import { Duration } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import ofLambdas from "../../lambdas/golden/metrics.json" with { type: "json" };
import type { Functions } from "./functions.js";
import type { Installation } from "./installation.js";
import type { Workflow } from "./workflow.js";

/** What the Lambdas write: an alarm on anything else would never ring. */
export type MetricName = keyof typeof ofLambdas.units;

/** Whose metrics alarms and the dashboard watch. */
export interface Watched {
  readonly installation: Installation;
  readonly workflow: Workflow;
  readonly functions: Functions;
  readonly deadLetters: IQueue;
}

/** A metric that a Lambda writes into its log. */
export function metric(
  installation: Installation,
  metricName: MetricName,
  statistic: string,
  period = Duration.days(1),
): Metric {
  return new Metric({
    namespace: ofLambdas.namespace,
    metricName,
    statistic,
    period,
    dimensionsMap: { [ofLambdas.dimension]: installation.name },
  });
}
