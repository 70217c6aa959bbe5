import { RemovalPolicy } from "aws-cdk-lib";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { MonitoringSettings } from "./settings/index.js";

/** A log group that is kept as long as the settings say, and goes with the stack: what must last is in the bucket. */
export function logGroup(
  scope: Construct,
  id: string,
  { logRetentionDays }: MonitoringSettings,
  logGroupName?: string,
): LogGroup {
  const retention = Object.values(RetentionDays).find(
    (days): days is RetentionDays => Number(days) === logRetentionDays,
  );
  if (retention === undefined) {
    throw new Error(`CloudWatch Logs keeps nothing for ${logRetentionDays} days`);
  }
  return new LogGroup(scope, id, { logGroupName, retention, removalPolicy: RemovalPolicy.DESTROY });
}
