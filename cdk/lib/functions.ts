import { Duration } from "aws-cdk-lib";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, Function, LoggingFormat, Runtime, Tracing, type IFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { BINARIES, DESCRIPTIONS, type Binary } from "./binaries.js";
import { environment, type EnvironmentProps } from "./environment.js";
import { all, type Grants } from "./grants/index.js";
import { logGroup } from "./log.js";
import { acknowledge, describing, explain, role, type Permission } from "./permission.js";
import { Programs } from "./programs.js";

export interface FunctionsProps extends EnvironmentProps {
  readonly grants: readonly Grants[];
}

/** The Lambdas: a role each, and what they read from the environment. */
export class Functions extends Construct {
  private readonly functions: ReadonlyMap<Binary, IFunction>;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const programs = new Programs(props.installation.settings.compute.architecture);
    const environments = environment(props);
    const permitted = permissions(props);
    this.functions = new Map(
      BINARIES.map((binary) => [
        binary,
        this.add(binary, programs, props, environments[binary] ?? {}, permitted[binary]),
      ]),
    );
  }

  get(binary: Binary): IFunction {
    const found = this.functions.get(binary);
    if (!found) {
      throw new Error(`there is no function ${binary}`);
    }
    return found;
  }

  private add(
    binary: Binary,
    programs: Programs,
    props: FunctionsProps,
    variables: Record<string, string>,
    permitted: readonly Permission[],
  ): IFunction {
    const { installation } = props;
    const { architecture } = installation.settings.compute;
    const log = logGroup(this, `${binary}-log`, installation.settings.monitoring);
    const functionRole = role(
      this,
      `${binary}-role`,
      new ServicePrincipal("lambda.amazonaws.com"),
      `The ${binary} function`,
      [{ actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [log.logGroupArn] }, ...permitted],
    );
    const tracing = "X-Ray has no resource-level permission for it";
    explain(functionRole, { "xray:PutTraceSegments": tracing, "xray:PutTelemetryRecords": tracing });
    acknowledge(functionRole, "*", tracing);
    // Nobody waits for these two: Lambda itself tries them again.
    const isAsynchronous = binary === "reaper" || binary === "reconciler";
    return new Function(this, binary, {
      runtime: Runtime.PROVIDED_AL2023,
      handler: "bootstrap",
      code: programs.code(binary),
      architecture: architecture === "arm64" ? Architecture.ARM_64 : Architecture.X86_64,
      description: DESCRIPTIONS[binary],
      role: functionRole,
      environment: variables,
      memorySize: binary === "reconciler" ? 512 : 256,
      // The state machine gives up on a call after two minutes. Listing a large vault takes longer.
      timeout: binary === "reconciler" ? Duration.minutes(15) : Duration.seconds(60),
      tracing: Tracing.ACTIVE,
      loggingFormat: LoggingFormat.JSON,
      logGroup: log,
      // They come back by themselves, every hour and every day, and alarms tell of what they could not do.
      ...(isAsynchronous && { retryAttempts: 2, maxEventAge: Duration.hours(1) }),
    });
  }
}

function permissions(props: FunctionsProps): Record<Binary, readonly Permission[]> {
  const { installation, storage, grants } = props;
  const { settings } = installation;
  const executions: Permission = { actions: ["states:DescribeExecution"], resources: [installation.executionArns] };
  const points: Permission = {
    actions: ["backup:DescribeRecoveryPoint"],
    resources: [...all(grants, "recoveryPoints"), installation.arn("backup", "recovery-point", "*")],
    why: "recovery points have no name in common: which one is read, the event or the person says",
  };
  const entering: Permission[] = [
    { actions: ["s3:GetObject"], resources: storage.objects("data/*/manifest.json", "catalog/exports/*", "latest/*") },
    { actions: ["s3:PutObject"], resources: storage.objects("catalog/exports/*", "latest/*") },
  ];
  const cleaning: readonly Permission[] = [
    storage.listing,
    { actions: ["s3:ListBucketMultipartUploads"], resources: [storage.bucket.bucketArn] },
    // Objects are deleted only as they were listed (If-Match), for which S3 asks for reading them.
    { actions: ["s3:GetObject"], resources: storage.objects("claims/*", "data/*", "catalog/files/*") },
    {
      actions: ["s3:DeleteObject", "s3:AbortMultipartUpload"],
      resources: storage.objects("data/*", "catalog/files/*"),
    },
    { actions: ["s3:DeleteObject"], resources: storage.objects("claims/*") },
    storage.decryption,
    describing("batch:ListJobs", "batch:DescribeJobQueues"),
    {
      actions: ["batch:TerminateJob"],
      resources: [installation.arn("batch", "job", "*")],
      conditions: installation.createdJobs,
    },
    ...all(grants, "cleanup"),
  ];
  return {
    plan: [
      storage.listing,
      { actions: ["s3:GetObject"], resources: storage.objects("claims/*", "catalog/exports/*") },
      { actions: ["s3:PutObject", "s3:DeleteObject"], resources: storage.objects("claims/*") },
      storage.encryption,
      executions,
      points,
      ...all(grants, "plan"),
    ],
    "start-restore": all(grants, "startRestore"),
    "check-restore": all(grants, "checkRestore"),
    "delete-recovery-point": [
      storage.listing,
      ...entering,
      { actions: ["s3:GetObject"], resources: storage.objects("claims/*") },
      storage.encryption,
      points,
      { actions: ["backup:ListRecoveryPointsByBackupVault"], resources: [installation.vaultArn] },
      ...(settings.deletion.enabled ? deleting(props) : []),
    ],
    cleanup: cleaning,
    conclude: [
      storage.listing,
      ...entering,
      { actions: ["s3:GetObject", "s3:DeleteObject"], resources: storage.objects("claims/*") },
      storage.encryption,
    ],
    reaper: [...cleaning, executions, ...all(grants, "reaper")],
    reconciler: [
      storage.listing,
      { actions: ["backup:ListRecoveryPointsByBackupVault"], resources: [installation.vaultArn] },
      { actions: ["states:StartExecution"], resources: [installation.stateMachineArn] },
    ],
  };
}

/** Granted only where deletion is on. AWS Backup asks for the permission on what a recovery point is made of, too. */
function deleting({ installation, grants, tables }: FunctionsProps): Permission[] {
  const tag = installation.settings.deletion.onlyTagged;
  return [
    {
      actions: ["backup:DeleteRecoveryPoint"],
      // DynamoDB's own backups aside, tables are the only ones of ours that lie in AWS Backup's own storage.
      resources: [
        ...all(grants, "recoveryPoints"),
        ...(tables ? [installation.arn("backup", "recovery-point", "*")] : []),
      ],
      ...(tag !== undefined && { conditions: { StringEquals: { [`aws:ResourceTag/${tag}`]: "true" } } }),
      why: "recovery points have no name in common: the function deletes the one that its plan names, after every manifest was found",
    },
    ...all(grants, "deletion"),
  ];
}
