import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, Dashboard, GraphWidget, Metric, SingleValueWidget, Stats, TextWidget, TreatMissingData, type IMetric } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { EventField, Rule, RuleTargetInput } from "aws-cdk-lib/aws-events";
import { SnsTopic } from "aws-cdk-lib/aws-events-targets";
import { Effect, PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key, type IKey } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { EmailSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { Functions } from "./functions.js";
import { METRICS, type Installation } from "./installation.js";
import type { Workflow } from "./workflow.js";

export interface OperationsProps {
  readonly installation: Installation;
  readonly workflow: Workflow;
  readonly functions: Functions;
  readonly deadLetters: IQueue;
}

/** What people hear of it: messages, alarms, a dashboard. */
export class Operations extends Construct {
  /** Failures and alarms. */
  readonly failures: Topic;
  readonly successes: Topic;

  private readonly props: OperationsProps;

  constructor(scope: Construct, id: string, props: OperationsProps) {
    super(scope, id);
    this.props = props;
    const key = this.key();
    this.failures = this.topic("Failures", "AWS Backup Export: failures", key);
    this.successes = this.topic("Successes", "AWS Backup Export: finished exports", key);
    const { notifications } = props.installation.settings;
    for (const email of notifications.emails) {
      if (notifications.onFailure) {
        this.failures.addSubscription(new EmailSubscription(email));
      }
      if (notifications.onSuccess) {
        this.successes.addSubscription(new EmailSubscription(email));
      }
    }
    this.notify();
    this.alarms();
    this.dashboard();
  }

  /** The services that write to the topics can use no key but one that lets them. */
  private key(): IKey {
    const key = new Key(this, "Key", {
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
    use("cloudwatch.amazonaws.com", { StringEquals: { "aws:SourceAccount": this.props.installation.stack.account } });
    return key;
  }

  private topic(id: string, displayName: string, masterKey: IKey): Topic {
    const topic = new Topic(this, id, { displayName, masterKey, enforceSSL: true });
    topic.grantPublish(new ServicePrincipal("cloudwatch.amazonaws.com", { conditions: { StringEquals: { "aws:SourceAccount": this.props.installation.stack.account } } }));
    return topic;
  }

  private notify(): void {
    const { installation } = this.props;
    const ended = (status: readonly string[], detail: Record<string, unknown> = {}): Record<string, unknown> => ({
      stateMachineArn: [installation.stateMachineArn],
      status: [...status],
      ...detail,
    });
    // The detail as a whole, which is JSON already: of single fields EventBridge makes text in which a quote in a cause could break the message.
    const told = (summary: string): RuleTargetInput => RuleTargetInput.fromObject({ summary, detail: EventField.fromPath("$.detail") });
    const eventPattern = (detail: Record<string, unknown>): object => ({
      source: ["aws.states"],
      detailType: ["Step Functions Execution Status Change"],
      detail,
    });
    new Rule(this, "notify-failure", {
      description: "An export failed, timed out or was stopped",
      eventPattern: eventPattern(ended(["FAILED", "TIMED_OUT", "ABORTED"])),
      targets: [
        new SnsTopic(this.failures, {
          deadLetterQueue: this.props.deadLetters,
          message: told("An export failed, timed out or was stopped; its cause is in the detail. A recovery point is deleted only after its export was verified. What to do: docs/operations.md#errors"),
        }),
      ],
    });
    new Rule(this, "notify-success", {
      description: "An export finished",
      // Executions that found nothing to do succeed as well, and are no news.
      eventPattern: eventPattern(ended(["SUCCEEDED"], { output: [{ wildcard: '*"state":"exported"*' }] })),
      targets: [
        new SnsTopic(this.successes, {
          deadLetterQueue: this.props.deadLetters,
          message: told("A recovery point was exported; manifests and bytes are in the output"),
        }),
      ],
    });
  }

  private alarms(): void {
    const { installation, workflow, functions, deadLetters } = this.props;
    const hours = installation.settings.monitoring.alarmAfterHours;
    const { stateMachine } = workflow;
    const hour = { period: Duration.hours(1) };
    const any = { threshold: 1, comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD };
    this.alarm("ExportFailed", "An export failed", stateMachine.metricFailed(hour), any);
    this.alarm("ExportTimedOut", "An execution ran into the state machine's own time limit", stateMachine.metricTimedOut(hour), any);
    this.alarm("ExportAborted", "Somebody stopped an execution", stateMachine.metricAborted(hour), any);
    this.alarm("DeadLetters", "An event could not be delivered for a day", deadLetters.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(5), statistic: Stats.MAXIMUM }), any);
    this.alarm("ExportTooLong", `An export has been running for more than ${hours} hours`, this.own("OldestExecutionSeconds", Stats.MAXIMUM, Duration.hours(2)), {
      threshold: Duration.hours(hours).toSeconds(),
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    });
    this.alarm("ReaperFailed", "Something that an execution created could not be removed yet", functions.get("reaper").metricErrors({ period: Duration.hours(1), statistic: Stats.SUM }), {
      // Lambda tries it again twice; what is left after three hours in a row will not go by itself.
      threshold: 1,
      evaluationPeriods: 3,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    });
    this.alarm("ReaperSilent", "The reaper has not run for three hours: nothing would notice what is left behind", functions.get("reaper").metricInvocations({ period: Duration.hours(3), statistic: Stats.SUM }), {
      threshold: 1,
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: TreatMissingData.BREACHING,
    });
    if (installation.settings.reconcile.mode !== "off") {
      this.alarm("ReconcilerFailed", "The daily comparison of vault and exports failed", functions.get("reconciler").metricErrors({ period: Duration.days(1), statistic: Stats.SUM }), any);
    }
  }

  private alarm(
    id: string,
    description: string,
    metric: IMetric,
    when: { readonly threshold: number; readonly comparisonOperator: ComparisonOperator; readonly evaluationPeriods?: number; readonly treatMissingData?: TreatMissingData },
  ): void {
    const alarm = new Alarm(this, id, {
      alarmDescription: `${description}. What to do: docs/operations.md#${id.toLowerCase()}`,
      metric,
      evaluationPeriods: when.evaluationPeriods ?? 1,
      threshold: when.threshold,
      comparisonOperator: when.comparisonOperator,
      treatMissingData: when.treatMissingData ?? TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.failures));
  }

  /** A metric that a Lambda writes into its log. */
  private own(metricName: string, statistic: string, period = Duration.days(1)): Metric {
    return new Metric({ namespace: METRICS, metricName, statistic, period, dimensionsMap: { Installation: this.props.installation.name } });
  }

  private dashboard(): void {
    const { installation, workflow, deadLetters, functions } = this.props;
    const { stateMachine } = workflow;
    const day = { period: Duration.days(1) };
    const graph = (title: string, left: IMetric[], right: IMetric[] = []): GraphWidget => new GraphWidget({ title, left, right, width: 12, height: 6 });
    new Dashboard(this, "Dashboard", {
      // Dashboards of all Regions share one list of names.
      dashboardName: `${installation.name}-${installation.stack.region}`,
      defaultInterval: Duration.days(28),
      widgets: [
        [new TextWidget({ markdown: `# Exports of the vault ${installation.settings.vault.name}\nSums are for a day. What each alarm means: docs/operations.md`, width: 24, height: 2 })],
        [
          new SingleValueWidget({ title: "Last 28 days", width: 24, height: 4, setPeriodToTimeRange: true, metrics: [this.own("Exports", Stats.SUM), this.own("FailedExports", Stats.SUM), this.own("ArchiveBytes", Stats.SUM), this.own("SourceBytes", Stats.SUM), this.own("EstimatedCostUsd", Stats.SUM)] }),
        ],
        [
          graph("Exports", [this.own("Exports", Stats.SUM), this.own("FailedExports", Stats.SUM)]),
          graph("Bytes", [this.own("SourceBytes", Stats.SUM), this.own("ArchiveBytes", Stats.SUM)]),
        ],
        [
          graph("Duration of exports, seconds", [this.own("ExportSeconds", Stats.p(50)), this.own("ExportSeconds", Stats.p(95)), this.own("ExportSeconds", Stats.MAXIMUM)]),
          graph("Cost, US dollars, estimated from list prices", [this.own("EstimatedCostUsd", Stats.SUM)]),
        ],
        [
          graph("Executions", [stateMachine.metricStarted(day), stateMachine.metricSucceeded(day)], [stateMachine.metricFailed(day), stateMachine.metricTimedOut(day), stateMachine.metricAborted(day)]),
          graph("Now running", [this.own("Executions", Stats.MAXIMUM, Duration.hours(1))], [this.own("OldestExecutionSeconds", Stats.MAXIMUM, Duration.hours(1))]),
        ],
        [
          graph("Recovery points without an export", [this.own("UnexportedRecoveryPoints", Stats.MAXIMUM), this.own("StartedExports", Stats.SUM)]),
          graph("What could not be delivered or removed", [deadLetters.metricApproximateNumberOfMessagesVisible({ period: Duration.hours(1), statistic: Stats.MAXIMUM }), functions.get("reaper").metricErrors({ period: Duration.hours(1) })]),
        ],
      ],
    });
  }
}
