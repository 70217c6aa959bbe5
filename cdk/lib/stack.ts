import { CfnOutput, Duration, Fn, Stack, Tags, Validations, type StackProps } from "aws-cdk-lib";
import type { LogGroup } from "aws-cdk-lib/aws-logs";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { Catalog } from "./catalog.js";
import { Compute } from "./compute.js";
import { Databases } from "./databases.js";
import { Functions } from "./functions.js";
import { databaseGrants, tableGrants, volumeGrants, type Grants } from "./grants/index.js";
import { Installation } from "./installation.js";
import { logGroup } from "./log.js";
import { Network } from "./network.js";
import { Operations } from "./operations.js";
import type { Settings } from "./settings/index.js";
import { Storage } from "./storage.js";
import { Tables } from "./tables.js";
import { Triggers } from "./triggers.js";
import { Workflow } from "./workflow.js";

/** One installation: everything that exports the recovery points of one vault. */
export class BackupExportStack extends Stack {
  private readonly zones: readonly string[];

  constructor(scope: Construct, settings: Settings, props: StackProps = {}) {
    super(scope, settings.prefix, {
      description: `Exports the recovery points of the vault ${settings.vault.name} to S3`,
      env: { account: settings.account, region: settings.region },
      ...props,
    });
    this.zones = zones(settings);
    const installation = new Installation(this, settings);
    const log = (id: string): LogGroup => logGroup(this, id, settings.monitoring);

    const storage = new Storage(this, "Storage", settings.bucket);
    const network = new Network(this, "Network", { installation, storage, flowLog: () => log("FlowLog") });
    const databases = installation.exportsDatabases
      ? new Databases(this, "Databases", { installation, storage, network })
      : undefined;
    const tables = installation.exportsTables ? new Tables(this, "Tables", installation) : undefined;
    const grants: Grants[] = [
      // Always: the cleanup looks for volumes, whatever was exported.
      volumeGrants(installation),
      ...(databases ? [databaseGrants(installation, databases)] : []),
      ...(tables ? [tableGrants(installation, tables, storage)] : []),
    ];
    const compute = new Compute(this, "Compute", { installation, storage, network, grants, log: log("JobLog") });
    const deadLetters = new Queue(this, "DeadLetters", {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(deadLetters).acknowledge({ id: "AwsSolutions-SQS3", reason: "It is the dead-letter queue" });
    const functions = new Functions(this, "Functions", { installation, storage, compute, grants, databases, tables });
    const workflow = new Workflow(this, "Workflow", { installation, functions, compute });
    new Triggers(this, "Triggers", { installation, workflow, functions, deadLetters });
    new Catalog(this, "Catalog", { installation, storage });
    const operations = new Operations(this, "Operations", { installation, workflow, functions, deadLetters });

    for (const [key, value] of Object.entries(settings.tags)) {
      Tags.of(this).add(key, value);
    }
    this.outputs(storage, workflow, operations);
  }

  /** Without an account nobody can be asked for its zones: they are named, or counted and chosen at deployment. */
  override get availabilityZones(): string[] {
    return [...this.zones];
  }

  private outputs(storage: Storage, workflow: Workflow, operations: Operations): void {
    const { bucketName } = storage.bucket;
    const { stateMachineArn } = workflow.stateMachine;
    const output = (id: string, value: string, description: string): CfnOutput =>
      new CfnOutput(this, id, { value, description });
    output("BucketName", bucketName, "The bucket of the exports");
    output("StateMachineArn", stateMachineArn, "The state machine");
    output("FailuresTopic", operations.failures.topicArn, "Failures and alarms");
    output(
      "StartAnExport",
      `aws stepfunctions start-execution --region ${this.region} --state-machine-arn ${stateMachineArn} --input '{"recoveryPointArn": "RECOVERY-POINT-ARN", "backupVaultName": "VAULT"}'`,
      "Exports one recovery point by hand",
    );
    output("ListExports", `backup-export list s3://${bucketName}`, "What has been exported");
    output("ReadLatest", `aws s3 cp s3://${bucketName}/latest/ - --recursive`, "The newest export of each resource");
  }
}

function zones(settings: Settings): string[] {
  const { network } = settings;
  if (network.mode === "existing") {
    return network.subnets.map((subnet) => subnet.availabilityZone);
  }
  const wanted = network.availabilityZones;
  return typeof wanted === "number"
    ? Array.from({ length: wanted }, (_, index) => Fn.select(index, Fn.getAzs()))
    : [...wanted];
}
