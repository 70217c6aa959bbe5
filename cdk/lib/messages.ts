import { RemovalPolicy } from "aws-cdk-lib";
import { EventField, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { SnsTopic } from "aws-cdk-lib/aws-events-targets";
import { Effect, PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key, type IKey } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import type { Installation } from "./installation.js";

/** Where people listen. */
export interface Topics {
  /** Failures and alarms. */
  readonly failures: Topic;
  readonly successes: Topic;
}

/** The topics, and those who listen to them from the beginning. */
export function topics(scope: Construct, installation: Installation): Topics {
  const key = encryption(scope, installation);
  const failures = topic(scope, "Failures", "AWS Backup Export: failures", key, installation);
  const successes = topic(scope, "Successes", "AWS Backup Export: finished exports", key, installation);
  const { notifications } = installation.settings;
  for (const email of notifications.emails) {
    if (notifications.onFailure) {
      failures.addSubscription(new EmailSubscription(email));
    }
    if (notifications.onSuccess) {
      successes.addSubscription(new EmailSubscription(email));
    }
  }
  return { failures, successes };
}

/** Sends the end of every execution to whom it concerns. */
export function notify(
  scope: Construct,
  installation: Installation,
  { failures, successes }: Topics,
  deadLetterQueue: IQueue,
): void {
  const ended = (status: readonly string[], detail: Record<string, unknown> = {}): Record<string, unknown> => ({
    stateMachineArn: [installation.stateMachineArn],
    status: [...status],
    ...detail,
  });
  // The detail as a whole, which is JSON already: of single fields EventBridge makes text in which a quote in a cause
  // could break the message.
  const told = (summary: string): RuleTargetInput =>
    RuleTargetInput.fromObject({ summary, detail: EventField.fromPath("$.detail") });
  const eventPattern = (detail: Record<string, unknown>): object => ({
    source: ["aws.states"],
    detailType: ["Step Functions Execution Status Change"],
    detail,
  });
  new Rule(scope, "notify-failure", {
    description: "An export failed, timed out or was stopped",
    eventPattern: eventPattern(ended(["FAILED", "TIMED_OUT", "ABORTED"])),
    targets: [
      new SnsTopic(failures, {
        deadLetterQueue,
        message: told(
          "An export failed, timed out or was stopped; its cause is in the detail. A recovery point is deleted only after its export was verified. What to do: docs/operations.md#errors",
        ),
      }),
    ],
  });
  new Rule(scope, "notify-success", {
    description: "An export finished",
    // Executions that found nothing to do succeed as well, and are no news.
    eventPattern: eventPattern(ended(["SUCCEEDED"], { output: [{ wildcard: '*"state":"exported"*' }] })),
    targets: [
      new SnsTopic(successes, {
        deadLetterQueue,
        message: told("A recovery point was exported; manifests and bytes are in the output"),
      }),
    ],
  });
}

/** The services that write to the topics can use no key but one that lets them. */
function encryption(scope: Construct, installation: Installation): IKey {
  const key = new Key(scope, "Key", {
    description: "Encrypts the messages of AWS Backup Export",
    enableKeyRotation: true,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const use = (service: string, conditions?: Record<string, Record<string, string>>): void => {
    key.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.ALLOW,
        principals: [new ServicePrincipal(service)],
        actions: ["kms:Decrypt", "kms:GenerateDataKey"],
        resources: ["*"],
        conditions,
      }),
    );
  };
  // EventBridge names no source account when it publishes to an encrypted topic: a condition would lose every message.
  use("events.amazonaws.com");
  use("cloudwatch.amazonaws.com", { StringEquals: { "aws:SourceAccount": installation.stack.account } });
  return key;
}

function topic(scope: Construct, id: string, displayName: string, masterKey: IKey, installation: Installation): Topic {
  const made = new Topic(scope, id, { displayName, masterKey, enforceSSL: true });
  made.grantPublish(
    new ServicePrincipal("cloudwatch.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": installation.stack.account } },
    }),
  );
  return made;
}
