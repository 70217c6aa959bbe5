import { Duration } from "aws-cdk-lib";
import { Rule, RuleTargetInput, Schedule, type EventPattern, type IRuleTarget } from "aws-cdk-lib/aws-events";
import { LambdaFunction, SfnStateMachine } from "aws-cdk-lib/aws-events-targets";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { Functions } from "./functions.js";
import type { Installation } from "./installation.js";
import { role } from "./permission.js";
import type { Workflow } from "./workflow.js";

export interface TriggersProps {
  readonly installation: Installation;
  readonly workflow: Workflow;
  readonly functions: Functions;
  /** Where events go that could not be delivered for a day. */
  readonly deadLetters: IQueue;
}

/** What starts an export, and what cleans up after those that could not. */
export class Triggers extends Construct {
  constructor(scope: Construct, id: string, props: TriggersProps) {
    super(scope, id);
    const { installation, workflow, functions, deadLetters } = props;
    const delivery = { retryAttempts: 185, maxEventAge: Duration.hours(24), deadLetterQueue: deadLetters };
    const starter = role(
      this,
      "StartRole",
      new ServicePrincipal("events.amazonaws.com"),
      "Events that start an export",
      [{ actions: ["states:StartExecution"], resources: [installation.stateMachineArn] }],
    );
    const start = new SfnStateMachine(workflow.stateMachine, { role: starter, ...delivery });
    for (const [name, { description, pattern }] of Object.entries(patterns(installation))) {
      new Rule(this, name, { description, eventPattern: pattern, targets: [start] });
    }
    const reaper = (): IRuleTarget => new LambdaFunction(functions.get("reaper"), delivery);
    new Rule(this, "execution-ended", {
      description: "An execution that did not end well may have left something",
      eventPattern: {
        source: ["aws.states"],
        detailType: ["Step Functions Execution Status Change"],
        detail: { stateMachineArn: [installation.stateMachineArn], status: ["FAILED", "TIMED_OUT", "ABORTED"] },
      },
      targets: [reaper()],
    });
    new Rule(this, "reaper-hourly", {
      description: "Cleans up after executions of which no event told",
      schedule: Schedule.rate(Duration.hours(1)),
      targets: [reaper()],
    });
    if (installation.settings.reconcile.mode !== "off") {
      new Rule(this, "reconciler-daily", {
        description: "Starts exports of recovery points of which no event told",
        schedule: Schedule.rate(Duration.days(1)),
        targets: [
          new LambdaFunction(functions.get("reconciler"), { ...delivery, event: RuleTargetInput.fromObject({}) }),
        ],
      });
    }
  }
}

/**
 * The events of a vault that say that a recovery point is ready. They overlap; an export that is there or under way is
 * not made twice.
 */
function patterns(
  installation: Installation,
): Record<string, { readonly description: string; readonly pattern: EventPattern }> {
  const { vault, resourceTypes } = installation.settings;
  const resourceType = [...resourceTypes];
  const backupVaultName = [vault.name];
  const backup = (detailType: string, detail: Record<string, unknown>): EventPattern => ({
    source: ["aws.backup"],
    detailType: [detailType],
    detail,
  });
  return {
    "backup-job": {
      description: `A backup into the vault ${vault.name} completed`,
      pattern: backup("Backup Job State Change", { state: ["COMPLETED"], backupVaultName, resourceType }),
    },
    "recovery-point": {
      description: `A recovery point in the vault ${vault.name} became usable`,
      pattern: backup("Recovery Point State Change", {
        status: ["COMPLETED", "AVAILABLE"],
        backupVaultName,
        resourceType,
      }),
    },
    "copy-job": {
      description: `A copy into the vault ${vault.name} completed`,
      pattern: backup("Copy Job State Change", {
        state: ["COMPLETED"],
        destinationBackupVaultArn: [installation.vaultArn],
        resourceType,
      }),
    },
    "service-event": {
      description: `CloudTrail recorded a completed backup into the vault ${vault.name}`,
      pattern: backup("AWS Service Event via CloudTrail", {
        eventName: ["BackupJobCompleted"],
        serviceEventDetails: { backupVaultName, resourceType },
      }),
    },
  };
}
