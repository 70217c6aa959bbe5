import { AssetHashType, Duration, Fn } from "aws-cdk-lib";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, LoggingFormat, Tracing, type IFunction } from "aws-cdk-lib/aws-lambda";
import { RustFunction } from "cargo-lambda-cdk";
import { Construct } from "constructs";
import { join } from "node:path";
import type { Compute } from "./compute.js";
import type { Installation } from "./installation.js";
import { logGroup } from "./log.js";
import { acknowledge, describing, explain, role, type Permission } from "./permission.js";
import type { Settings } from "./settings/index.js";
import { lambdaFingerprint, lambdaSources, projectRoot } from "./source.js";
import type { Storage } from "./storage.js";

/** The binaries of the package `lambdas`. */
export const BINARIES = ["plan", "start-restore", "check-restore", "delete-recovery-point", "cleanup", "conclude", "reaper", "reconciler"] as const;
export type Binary = (typeof BINARIES)[number];

export interface FunctionsProps {
  readonly installation: Installation;
  readonly storage: Storage;
  readonly compute: Compute;
}

/** The Lambdas: a role each, and what they read from the environment. */
export class Functions extends Construct {
  private readonly functions: ReadonlyMap<Binary, IFunction>;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const sources = lambdaSources();
    const environments = environment(props);
    const permitted = permissions(props);
    this.functions = new Map(BINARIES.map((binary) => [binary, this.add(binary, sources, props, environments[binary] ?? {}, permitted[binary])]));
  }

  get(binary: Binary): IFunction {
    const found = this.functions.get(binary);
    if (!found) {
      throw new Error(`there is no function ${binary}`);
    }
    return found;
  }

  private add(binary: Binary, sources: string, props: FunctionsProps, variables: Record<string, string>, permitted: readonly Permission[]): IFunction {
    const { installation } = props;
    const { architecture } = installation.settings.compute;
    const log = logGroup(this, `${binary}-log`, installation.settings.monitoring);
    const functionRole = role(this, `${binary}-role`, new ServicePrincipal("lambda.amazonaws.com"), `The ${binary} function`, [
      { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [log.logGroupArn] },
      ...permitted,
    ]);
    const tracing = "X-Ray has no resource-level permission for it";
    explain(functionRole, { "xray:PutTraceSegments": tracing, "xray:PutTelemetryRecords": tracing });
    acknowledge(functionRole, "*", tracing);
    // Nobody waits for these two: Lambda itself tries them again.
    const isAsynchronous = binary === "reaper" || binary === "reconciler";
    return new RustFunction(this, binary, {
      manifestPath: join(projectRoot, "lambdas", "Cargo.toml"),
      binaryName: binary,
      architecture: architecture === "arm64" ? Architecture.ARM_64 : Architecture.X86_64,
      bundling: {
        profile: "lambda",
        cargoLambdaFlags: ["--locked"],
        assetHashType: AssetHashType.CUSTOM,
        assetHash: lambdaFingerprint(sources, binary, architecture),
      },
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

const DESCRIPTIONS: Readonly<Record<Binary, string>> = {
  plan: "Decides what an export consists of and claims it",
  "start-restore": "Makes a volume of a snapshot",
  "check-restore": "Looks whether the volume is usable",
  "delete-recovery-point": "Deletes a recovery point whose export was verified",
  cleanup: "Removes what an execution created",
  conclude: "Enters the export in the catalog and tells how the execution ended",
  reaper: "Cleans up after executions that could not do it themselves",
  reconciler: "Starts exports of recovery points that have none",
};

/** What each function reads from its environment; the same names stand in `domain::settings` and in the functions' own settings. */
function environment(props: FunctionsProps): Partial<Record<Binary, Record<string, string>>> {
  const { installation, storage } = props;
  const { settings, stack } = installation;
  const bucket = { EXPORT_BUCKET: storage.bucket.bucketName, EXPORT_BUCKET_OWNER: stack.account };
  return {
    plan: { ...bucket, ...planning(props, settings) },
    reaper: { ...bucket, STATE_MACHINE_ARN: installation.stateMachineArn },
    reconciler: {
      ...bucket,
      STATE_MACHINE_ARN: installation.stateMachineArn,
      BACKUP_VAULT_NAME: settings.vault.name,
      RESOURCE_TYPES: JSON.stringify(settings.resourceTypes),
      RECONCILE_MAX_STARTS: String(settings.reconcile.maxStarts),
      RECONCILE_DRY_RUN: String(settings.reconcile.mode !== "on"),
      RECONCILE_LOOK_BACK_DAYS: text(settings.reconcile.lookBackDays),
    },
  };
}

function planning(props: FunctionsProps, settings: Settings): Record<string, string> {
  const { compute } = props;
  const { restore, deletion, compression } = settings;
  return {
    JOB_QUEUES: queuesByZone(compute),
    EXPORT_JOB_DEFINITION: compute.exportJobDefinition.name,
    VERIFY_JOB_DEFINITION: compute.verifyJobDefinition.name,
    VERIFY: settings.verification,
    DELETE_RECOVERY_POINT: String(deletion.enabled),
    DELETE_ONLY_TAGGED: deletion.onlyTagged ?? "",
    MINIMUM_RECOVERY_POINTS: String(deletion.minimumRecoveryPoints),
    RESOURCE_TAGS: JSON.stringify(settings.tags),
    CODEC: compression.codec,
    COMPRESSION_LEVEL: String(compression.level),
    VOLUME_TYPE: restore.volumeType,
    VOLUME_THROUGHPUT_MIB: text(restore.throughputMib),
    VOLUME_IOPS: text(restore.iops),
    VOLUME_INITIALIZATION_RATE_MIB: text(restore.initializationRateMib),
    VOLUME_KMS_KEY_ID: restore.volumeKmsKey ?? "",
    RESTORE_TIMEOUT_MINUTES: String(restore.timeoutMinutes),
    EXPORT_TIMEOUT_HOURS: String(settings.compute.exportTimeoutHours),
  };
}

/** A JSON object of zones and queue ARNs. Zones may be known at deployment only, so it is joined from pieces. */
function queuesByZone(compute: Compute): string {
  const pairs = compute.queues.map(({ availabilityZone, arn }) => Fn.join("", ['"', availabilityZone, '":"', arn, '"']));
  return Fn.join("", ["{", Fn.join(",", pairs), "}"]);
}

/** The Lambdas take an empty variable for an absent one. */
function text(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}

function permissions(props: FunctionsProps): Record<Binary, readonly Permission[]> {
  const { installation, storage } = props;
  const { settings } = installation;
  const { created, creating, createdJobs } = installation;
  const volumes = [installation.arn("ec2", "volume", "*")];
  const executions: Permission = { actions: ["states:DescribeExecution"], resources: [installation.executionArns] };
  const points: Permission = {
    actions: ["backup:DescribeRecoveryPoint"],
    resources: recoveryPoints(installation),
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
    { actions: ["s3:DeleteObject", "s3:AbortMultipartUpload"], resources: storage.objects("data/*", "catalog/files/*") },
    { actions: ["s3:DeleteObject"], resources: storage.objects("claims/*") },
    storage.decryption,
    describing("ec2:DescribeVolumes", "batch:ListJobs", "batch:DescribeJobQueues"),
    { actions: ["ec2:DetachVolume", "ec2:DeleteVolume"], resources: volumes, conditions: created },
    {
      actions: ["ec2:DetachVolume"],
      resources: [installation.arn("ec2", "instance", "*")],
      conditions: installation.hosts,
    },
    { actions: ["batch:TerminateJob"], resources: [installation.arn("batch", "job", "*")], conditions: createdJobs },
  ];
  return {
    plan: [
      storage.listing,
      { actions: ["s3:GetObject"], resources: storage.objects("claims/*", "catalog/exports/*") },
      { actions: ["s3:PutObject", "s3:DeleteObject"], resources: storage.objects("claims/*") },
      storage.encryption,
      executions,
      points,
      describing("ec2:DescribeSnapshots", "ec2:DescribeImages"),
    ],
    "start-restore": [
      { actions: ["ec2:CreateVolume"], resources: volumes, conditions: creating },
      { actions: ["ec2:CreateVolume"], resources: [installation.sharedArn("snapshot")], why: "a snapshot that is only read: which one, the recovery point says" },
      { actions: ["ec2:CreateTags"], resources: volumes, conditions: { StringEquals: { "ec2:CreateAction": "CreateVolume" } } },
      ...installation.volumeKeys(["kms:DescribeKey", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"]),
    ],
    "check-restore": [describing("ec2:DescribeVolumes")],
    "delete-recovery-point": [
      storage.listing,
      ...entering,
      { actions: ["s3:GetObject"], resources: storage.objects("claims/*") },
      storage.encryption,
      points,
      { actions: ["backup:ListRecoveryPointsByBackupVault"], resources: [installation.vaultArn] },
      ...(settings.deletion.enabled ? deleting(installation) : []),
    ],
    cleanup: cleaning,
    conclude: [
      storage.listing,
      ...entering,
      { actions: ["s3:GetObject", "s3:DeleteObject"], resources: storage.objects("claims/*") },
      storage.encryption,
    ],
    reaper: [...cleaning, executions],
    reconciler: [
      storage.listing,
      { actions: ["backup:ListRecoveryPointsByBackupVault"], resources: [installation.vaultArn] },
      { actions: ["states:StartExecution"], resources: [installation.stateMachineArn] },
    ],
  };
}

/** Recovery points of EBS and EC2 are snapshots and images to IAM. */
function recoveryPoints(installation: Installation): string[] {
  return [installation.sharedArn("snapshot"), installation.sharedArn("image"), installation.arn("backup", "recovery-point", "*")];
}

/** Granted only where deletion is on. AWS Backup asks for the permission on what a recovery point is made of, too. */
function deleting(installation: Installation): Permission[] {
  const tag = installation.settings.deletion.onlyTagged;
  const why = "recovery points have no name in common: the function deletes the one that its plan names, after every manifest was found";
  const tagged = tag === undefined ? undefined : { StringEquals: { [`aws:ResourceTag/${tag}`]: "true" } };
  // AWS Backup puts this tag on every snapshot and image that it makes, and nobody else can.
  const ofBackup = tagged ?? { Null: { "aws:ResourceTag/aws:backup:source-resource": "false" } };
  return [
    { actions: ["backup:DeleteRecoveryPoint"], resources: [installation.sharedArn("snapshot"), installation.sharedArn("image")], ...(tagged && { conditions: tagged }), why },
    { actions: ["ec2:DeleteSnapshot"], resources: [installation.sharedArn("snapshot")], conditions: ofBackup },
    { actions: ["ec2:DeregisterImage"], resources: [installation.sharedArn("image")], conditions: ofBackup },
  ];
}
