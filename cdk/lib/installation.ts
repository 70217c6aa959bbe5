import { ArnFormat, Stack } from "aws-cdk-lib";
import tags from "../../domain/golden/tags.json" with { type: "json" };
import type { Conditions, Permission } from "./permission.js";
import type { Settings } from "./settings/index.js";

/** On every volume and job that an export creates, from the call that creates it: of `domain::tag`. */
export const EXPORT_ID_TAG = tags.exportId;
/** The ARN of the execution that created it. */
export const EXECUTION_TAG = tags.execution;
/** On the hosts of the worker: the name of the installation. */
export const INSTALLATION_TAG = "backup-export:installation";

/** The names of one installation, and the ARNs that follow from names alone. */
export class Installation {
  constructor(
    readonly stack: Stack,
    readonly settings: Settings,
  ) {}

  /** The state machine's name. It is given, because the roles of its own functions mention it. */
  get name(): string {
    return this.settings.prefix;
  }

  get stateMachineArn(): string {
    return this.arn("states", "stateMachine", this.name, ArnFormat.COLON_RESOURCE_NAME);
  }

  /** Of the executions of this installation, as a pattern. */
  get executionArns(): string {
    return this.arn("states", "execution", `${this.name}:*`, ArnFormat.COLON_RESOURCE_NAME);
  }

  /** Names of Glue and Athena hold no hyphen in SQL without quotes. */
  get databaseName(): string {
    return this.name.replaceAll("-", "_");
  }

  get vaultArn(): string {
    return (
      this.settings.vault.arn ??
      this.arn("backup", "backup-vault", this.settings.vault.name, ArnFormat.COLON_RESOURCE_NAME)
    );
  }

  get exportsDatabases(): boolean {
    return this.settings.resourceTypes.includes("RDS") || this.settings.resourceTypes.includes("Aurora");
  }

  get exportsTables(): boolean {
    return this.settings.resourceTypes.includes("DynamoDB");
  }

  /** What the names of the parameters begin with that hold passwords of restored databases. */
  get parameterPath(): string {
    return `/${this.name}/`;
  }

  arn(service: string, resource: string, resourceName: string, arnFormat = ArnFormat.SLASH_RESOURCE_NAME): string {
    return this.stack.formatArn({ service, resource, resourceName, arnFormat });
  }

  /** An ARN of EC2 without an account: snapshots and images. */
  sharedArn(resource: "snapshot" | "image"): string {
    return this.stack.formatArn({ service: "ec2", account: "", resource, resourceName: "*" });
  }

  /** Volumes and databases that an execution of this installation created. */
  get created(): Conditions {
    return { ...this.createdJobs, ...this.secured("ResourceTag") };
  }

  /** Calls that put the tags on the volumes and databases that they create. */
  get creating(): Conditions {
    return { ...this.creatingJobs, ...this.secured("RequestTag") };
  }

  /** Jobs, which carry our tags alone. */
  get createdJobs(): Conditions {
    return { StringLike: { [`aws:ResourceTag/${EXECUTION_TAG}`]: this.executionArns } };
  }

  /** Calls that put the tags on jobs. */
  get creatingJobs(): Conditions {
    return {
      StringLike: {
        [`aws:RequestTag/${EXECUTION_TAG}`]: this.executionArns,
        [`aws:RequestTag/${EXPORT_ID_TAG}`]: "exp-*",
      },
    };
  }

  /** Hosts of the worker of this installation. */
  get hosts(): Conditions {
    return { StringEquals: { [`aws:ResourceTag/${INSTALLATION_TAG}`]: this.name } };
  }

  /** What restoring and reading asks of the keys of what was backed up, through the service that has it alone. */
  sourceKeys(service: "ec2" | "rds" | "dynamodb", actions: readonly string[]): Permission[] {
    const { snapshotKmsKeys, volumeKmsKey } = this.settings.restore;
    const named = [...snapshotKmsKeys, ...(volumeKmsKey === undefined || service !== "ec2" ? [] : [volumeKmsKey])];
    const keys = snapshotKmsKeys.length > 0 ? named : [this.arn("kms", "key", "*"), ...named];
    const through = { "kms:ViaService": `${service}.${this.stack.region}.${this.stack.urlSuffix}` };
    const grants = actions.filter((action) => action === "kms:CreateGrant");
    const others = actions.filter((action) => action !== "kms:CreateGrant");
    return [
      ...(others.length > 0 ? [{ actions: others, resources: keys, conditions: { StringEquals: through } }] : []),
      ...(grants.length > 0
        ? [
            {
              actions: grants,
              resources: keys,
              conditions: { StringEquals: through, Bool: { "kms:GrantIsForAWSResource": "true" } },
            },
          ]
        : []),
    ];
  }

  private secured(where: "ResourceTag" | "RequestTag"): Conditions {
    const security = this.settings.securityTag;
    return security ? { StringEquals: { [`aws:${where}/${security.key}`]: security.value } } : {};
  }
}
