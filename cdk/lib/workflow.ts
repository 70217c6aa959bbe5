import type { CfnResource } from "aws-cdk-lib";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { DefinitionBody, LogLevel, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import type { Binary } from "./binaries.js";
import type { Compute } from "./compute.js";
import type { Functions } from "./functions.js";
import type { Installation } from "./installation.js";
import { logGroup } from "./log.js";
import { acknowledge, explain, role } from "./permission.js";
import { stateMachineDefinition } from "./source.js";

export interface WorkflowProps {
  readonly installation: Installation;
  readonly functions: Functions;
  readonly compute: Compute;
}

/** Which function stands behind which token of the definition. */
const TASKS: Readonly<Record<string, Binary>> = {
  PlanFunctionArn: "plan",
  StartRestoreFunctionArn: "start-restore",
  CheckRestoreFunctionArn: "check-restore",
  DeleteRecoveryPointFunctionArn: "delete-recovery-point",
  CleanupFunctionArn: "cleanup",
  ConcludeFunctionArn: "conclude",
};

/** What the construct of the state machine itself adds for logs and traces. */
const PLUMBING = [
  ...[
    "CreateLogDelivery",
    "GetLogDelivery",
    "UpdateLogDelivery",
    "DeleteLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "DescribeResourcePolicies",
    "DescribeLogGroups",
  ].map((name) => `logs:${name}`),
  ...["PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"].map(
    (name) => `xray:${name}`,
  ),
];

/** The state machine: the one file, with its tokens filled in. */
export class Workflow extends Construct {
  readonly stateMachine: StateMachine;

  constructor(scope: Construct, id: string, props: WorkflowProps) {
    super(scope, id);
    const { installation, functions, compute } = props;
    // Under this name CloudWatch needs no resource policy for it, of which an account may have ten.
    const log = logGroup(this, "Log", installation.settings.monitoring, `/aws/vendedlogs/states/${installation.name}`);
    const submitted = [
      ...compute.queues.map((queue) => queue.arn),
      ...compute.exportJobDefinition.arns,
      ...compute.verifyJobDefinition.arns,
    ];
    const jobs = installation.arn("batch", "job", "*");
    const machineRole = role(
      this,
      "Role",
      new ServicePrincipal("states.amazonaws.com"),
      "The state machine: calls the functions, submits jobs and waits for them",
      [
        {
          actions: ["lambda:InvokeFunction"],
          resources: Object.values(TASKS).map((binary) => functions.get(binary).functionArn),
        },
        { actions: ["batch:SubmitJob"], resources: submitted },
        {
          // A job that is submitted with tags is checked against its definition as well.
          actions: ["batch:TagResource"],
          resources: [jobs, ...submitted],
          conditions: installation.creatingJobs,
        },
        { actions: ["batch:TerminateJob"], resources: [jobs], conditions: installation.createdJobs },
        {
          actions: ["batch:DescribeJobs"],
          resources: ["*"],
          why: "Batch has no resource-level permission for this read",
        },
        {
          actions: ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
          resources: [installation.arn("events", "rule", "StepFunctionsGetEventsForBatchJobsRule")],
        },
      ],
    );
    const plumbing =
      "the service has no resource-level permission for it; Step Functions needs it to write logs and traces";
    explain(machineRole, Object.fromEntries(PLUMBING.map((action) => [action, plumbing])));
    acknowledge(machineRole, "*", plumbing);
    this.stateMachine = new StateMachine(this, "StateMachine", {
      stateMachineName: installation.name,
      definitionBody: DefinitionBody.fromString(stateMachineDefinition()),
      definitionSubstitutions: {
        Partition: installation.stack.partition,
        ...Object.fromEntries(
          Object.entries(TASKS).map(([token, binary]) => [token, functions.get(binary).functionArn]),
        ),
      },
      role: machineRole,
      tracingEnabled: true,
      logs: { destination: log, level: LogLevel.ALL, includeExecutionData: true },
    });
    // cfn-lint knows neither OutputPath of a Succeed state nor a partition that is filled in; both are in the
    // language's specification.
    (this.stateMachine.node.defaultChild as CfnResource).addMetadata("cfn-lint", {
      config: { ignore_checks: ["E3601"] },
    });
  }
}
