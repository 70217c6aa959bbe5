import type { ResourceType } from "./schema.js";

export type { ResourceType } from "./schema.js";

/**
 * What a person decides about an installation, checked and complete: every default is filled in.
 *
 * Constructs see this type and nothing of `cdk.json`.
 */
export interface Settings {
  /** The account to deploy to; undefined: the one of the credentials in use. */
  readonly account?: string;
  /** The Region to deploy to; undefined: the one of the credentials in use. */
  readonly region?: string;
  /** What the stack and everything that must have a name begins with: `backup-export`. */
  readonly prefix: string;
  /** The vault whose recovery points are exported. */
  readonly vault: Vault;
  /** AWS Backup's names of the resource types that are exported. */
  readonly resourceTypes: readonly ResourceType[];
  /** Accounts whose resources the vault holds backups of, beside the account itself: for Athena's partitions. */
  readonly sourceAccounts: readonly string[];
  /** On every resource of the stack, and on every volume and database that an export restores. */
  readonly tags: Readonly<Record<string, string>>;
  /** One of the tags, which IAM demands of restored volumes and databases beside our own. */
  readonly securityTag?: { readonly key: string; readonly value: string };
  readonly deletion: DeletionSettings;
  readonly verification: "readback" | "checksum" | "none";
  readonly compression: { readonly codec: "gzip" | "zstd"; readonly level: number };
  readonly restore: RestoreSettings;
  readonly database: DatabaseSettings;
  readonly dynamodb: TableSettings;
  /** How long an export may take that AWS itself makes, with the restore before it and the waiting for its turn. */
  readonly nativeExportTimeoutHours: number;
  readonly bucket: BucketSettings;
  readonly compute: ComputeSettings;
  readonly network: NetworkSettings;
  readonly notifications: NotificationSettings;
  readonly reconcile: ReconcileSettings;
  readonly monitoring: MonitoringSettings;
}

export interface Vault {
  /** Its name. May hold `/`. */
  readonly name: string;
  /** Its ARN, when it was given as one. */
  readonly arn?: string;
}

export interface DeletionSettings {
  /** Whether a recovery point is deleted once its export is proven good. */
  readonly enabled: boolean;
  /** Only recovery points with this tag set to `true` are deleted; undefined: all. */
  readonly onlyTagged?: string;
  /** How many usable recovery points of a resource stay in the vault, whatever was exported. */
  readonly minimumRecoveryPoints: number;
}

export interface RestoreSettings {
  readonly volumeType: "gp3" | "gp2" | "io1" | "io2";
  /** MiB/s, gp3 only; undefined: EBS's own 125. */
  readonly throughputMib?: number;
  /** undefined: EBS's own 3,000. */
  readonly iops?: number;
  /** MiB/s, 100 to 300; undefined: blocks are loaded when they are first read. */
  readonly initializationRateMib?: number;
  /** Key ARN for the restored volumes; undefined: the snapshot's. */
  readonly volumeKmsKey?: string;
  /**
   * Keys that snapshots and tables are encrypted with; empty: any key of the account, through EC2, RDS and DynamoDB
   * alone.
   */
  readonly snapshotKmsKeys: readonly string[];
  readonly timeoutMinutes: number;
}

/** How the databases of RDS and Aurora recovery points become files. */
export interface DatabaseSettings {
  /** Of databases whose own tag does not say. */
  readonly method: "auto" | "dump" | "parquet";
  /** The first that the engine's version has is taken; undefined: those that the plan Lambda knows. */
  readonly instanceClasses?: readonly string[];
  readonly restoreTimeoutHours: number;
  /** Undefined: RDS exports nothing. Without a key the bucket's is used. */
  readonly parquet?: { readonly kmsKey?: string };
}

/** How the tables of DynamoDB recovery points become files. */
export interface TableSettings {
  /** `pitr`: the live table as it was at the backup's time, in place of the backup. */
  readonly native: "backup" | "pitr";
  readonly format: "json" | "ion";
}

export interface BucketSettings {
  /** ARN of a customer key; undefined: a key of our own. */
  readonly kmsKey?: string;
  readonly accessLogs?: { readonly bucket: string; readonly prefix: string };
  /** Days after creation; undefined: never. Ascending. */
  readonly lifecycle: { readonly glacier?: number; readonly deepArchive?: number; readonly expiration?: number };
  readonly objectLock?: { readonly mode: "GOVERNANCE" | "COMPLIANCE"; readonly days: number };
}

export interface ComputeSettings {
  /** Of Lambdas and Batch hosts. */
  readonly architecture: "arm64" | "x86_64";
  /** Instance families (`c7g`) or types (`c7g.xlarge`). */
  readonly instanceTypes: readonly string[];
  /** Spot hosts first, on-demand hosts when there are none. */
  readonly spot: boolean;
  /** Of all zones together, in each of the two kinds of capacity. */
  readonly maxVcpus: number;
  /** Of one job. */
  readonly jobVcpus: number;
  /** MiB of one job. */
  readonly jobMemoryMib: number;
  /** GiB of a host's encrypted root disk, on which large parts wait for their upload. */
  readonly rootDiskGib: number;
  /** The longest that one attempt at one volume may take, in hours. */
  readonly exportTimeoutHours: number;
  /** Image of the worker in a registry; undefined: built from `batch-worker/Dockerfile` at deploy. */
  readonly workerImage?: string;
}

export type NetworkSettings =
  | {
      readonly mode: "endpoints" | "nat" | "public";
      readonly cidr: string;
      readonly availabilityZones: number | readonly string[];
    }
  | {
      readonly mode: "existing";
      readonly vpcId: string;
      readonly subnets: readonly { readonly subnetId: string; readonly availabilityZone: string }[];
    };

export interface NotificationSettings {
  /** E-mail addresses. */
  readonly emails: readonly string[];
  readonly onFailure: boolean;
  readonly onSuccess: boolean;
}

export interface ReconcileSettings {
  /** `dry-run` reports what it would start. */
  readonly mode: "on" | "dry-run" | "off";
  /** As many exports are at work after a daily run, unless events started more. */
  readonly maxStarts: number;
  /** Only recovery points of the last so many days; undefined: all that the vault holds. */
  readonly lookBackDays?: number;
}

export interface MonitoringSettings {
  /** Days, one of those that CloudWatch Logs offers. */
  readonly logRetentionDays: number;
  /** An export that runs longer raises an alarm, in hours. */
  readonly alarmAfterHours: number;
}
