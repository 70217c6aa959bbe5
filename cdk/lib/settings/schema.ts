import { z } from "zod";
import { ACCOUNT, parseArn, REGION } from "./arn.js";
import { parseCidr } from "./cidr.js";
import { parseInstanceType } from "./instance.js";
import { LIMITS, LOG_RETENTION_DAYS, MOST_INSTANCE_CLASSES, type Bounds } from "./limits.js";
import { either, quoted, shown } from "./problem.js";
import { tagKey, tags } from "./tags.js";
import {
  boolean,
  choice,
  fromJson,
  isBlank,
  list,
  number,
  section,
  sectionOrMode,
  text,
  value,
  wholeNumber,
} from "./value.js";

/** AWS Backup's names of the types that can be exported. */
export const RESOURCE_TYPES = ["EBS", "EC2", "RDS", "Aurora", "DynamoDB"] as const;
export type ResourceType = (typeof RESOURCE_TYPES)[number];

/**
 * Databases and tables cost more to export than disks, and databases need two zones: they are for who asks for them.
 */
const DEFAULT_RESOURCE_TYPES: readonly ResourceType[] = ["EBS", "EC2"];

/** Types that it knows, and that are not exported. */
const OTHER_RESOURCE_TYPES = [
  "CloudFormation",
  "DocumentDB",
  "DSQL",
  "EFS",
  "EKS",
  "FSx",
  "Neptune",
  "Redshift",
  "S3",
  "SAP HANA on Amazon EC2",
  "Storage Gateway",
  "Timestream",
  "VirtualMachine",
];

const text_ = (form: RegExp, what: string, example: string) => text(form, what, `write it as ${quoted(example)}`);

const accountId = (remedy: string) =>
  value((given, refuse): string => {
    const read = typeof given === "number" ? String(given) : given;
    if (typeof read === "string" && ACCOUNT.test(read.trim())) {
      return read.trim();
    }
    return refuse(`${shown(given)} is not an account`, remedy);
  });

const twelveDigits = 'write its twelve digits in quotes, as "123456789012"';

const isKeyArn = (given: unknown): given is string =>
  typeof given === "string" && /^key\/[\w-]+$/.test(parseArn(given, "kms")?.resource ?? "");

const kmsKeyArn = () =>
  value((given, refuse): string => {
    const remedy =
      'write the ARN of a key, as "arn:aws:kms:eu-central-1:123456789012:key/…": aws kms describe-key --key-id KEY --query KeyMetadata.Arn';
    const read = typeof given === "string" ? given.trim() : "";
    if (parseArn(read, "kms")?.resource.startsWith("alias/")) {
      return refuse(`${shown(given)} is an alias, which IAM policies cannot name`, remedy);
    }
    return isKeyArn(read) ? read : refuse(`${shown(given)} is not the ARN of a KMS key`, remedy);
  });

const resourceType = () =>
  value((given, refuse): ResourceType => {
    const remedy = `write ${either(RESOURCE_TYPES.map(quoted))}, or several of them`;
    const wanted = typeof given === "string" ? given.trim().toLowerCase() : "";
    const other = OTHER_RESOURCE_TYPES.find((type) => type.toLowerCase() === wanted);
    return (
      RESOURCE_TYPES.find((type) => type.toLowerCase() === wanted) ??
      refuse(
        other === undefined
          ? `${shown(given)} is no resource type of AWS Backup`
          : `${quoted(other)} recovery points are not exported yet`,
        remedy,
      )
    );
  });

const instanceType = () =>
  value((given, refuse): string => {
    const name = typeof given === "string" ? given.trim() : "";
    return parseInstanceType(name) === undefined
      ? refuse(
          `${shown(given)} is neither an instance family nor an instance type`,
          'write it as "c7g" or "c7g.xlarge"',
        )
      : name;
  });

/** A class is a family's with a generation: `db.serverless` would need a capacity beside it. */
const instanceClass = () =>
  text_(/^db\.[a-z]+\d[a-z0-9-]*(?:\.[a-z0-9]+)+$/, "a class of database instances", "db.t4g.medium");

/** `true`: the bucket's own key. */
const parquet = () =>
  value((given, refuse): boolean | string => {
    const remedy =
      'write false, true for the key of the bucket, or the ARN of another key, as "arn:aws:kms:eu-central-1:123456789012:key/…"';
    const read = typeof given === "string" ? given.trim() : given;
    const word = typeof read === "string" ? read.toLowerCase() : read;
    if (word === true || word === "true") {
      return true;
    }
    if (word === false || word === "false") {
      return false;
    }
    return isKeyArn(read) ? read : refuse(`${shown(given)} is neither true nor false nor the ARN of a KMS key`, remedy);
  });

/** 0 is off. */
const days = (bounds: Bounds) => number(bounds).transform((read) => (read === 0 ? undefined : read));

const ZONE = /^[a-z]{2,4}(?:-[a-z]+){1,3}-\d{1,2}[a-z]$/;
const zone = () => text_(ZONE, "an Availability Zone", "eu-central-1a");
const email = () =>
  text_(
    /^[^\s@<>()[\],;:"\\]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/i,
    "an e-mail address",
    "backup@example.com",
  );

const availabilityZones = () =>
  value((given, refuse): number | readonly string[] => {
    const { least, most } = LIMITS.availabilityZones;
    const remedy = `write how many (${least} to ${most}), or their names, as ["eu-central-1a", "eu-central-1b"]`;
    const read = fromJson(given);
    const count = wholeNumber(read);
    if (count !== undefined) {
      return count >= least && count <= most ? count : refuse(`${count} zones are out of range`, remedy);
    }
    const named: unknown = typeof read === "string" ? read.split(",") : read;
    if (!Array.isArray(named)) {
      return refuse(`is ${shown(given)}`, remedy);
    }
    const names = [
      ...new Set(
        named.filter((one) => !isBlank(one)).map((one: unknown) => (typeof one === "string" ? one.trim() : one)),
      ),
    ];
    const wrong = names.find((one) => typeof one !== "string" || !ZONE.test(one));
    if (wrong !== undefined) {
      return refuse(
        `${shown(wrong)} is not an Availability Zone`,
        typeof wrong === "string" && /^[a-z0-9]+-az\d+$/.test(wrong) ? `that is a zone's id: ${remedy}` : remedy,
      );
    }
    return names.length >= least && names.length <= most
      ? names.filter((one) => typeof one === "string")
      : refuse(`names ${names.length} zones`, remedy);
  });

const retention = () =>
  value((given, refuse): number => {
    const read = wholeNumber(given);
    return read !== undefined && LOG_RETENTION_DAYS.includes(read)
      ? read
      : refuse(
          `${shown(given)} is not one of the numbers of days that CloudWatch Logs offers`,
          `write ${either(LOG_RETENTION_DAYS)}`,
        );
  });

const notEmpty = (what: string) => (items: readonly unknown[], context: z.core.$RefinementCtx) => {
  if (items.length === 0) {
    context.addIssue({ code: "custom", message: "is empty", params: { remedy: `name ${what}, or remove the key` } });
  }
};

const notMore = (most: number) => (items: readonly unknown[], context: z.core.$RefinementCtx) => {
  if (items.length > most) {
    context.addIssue({ code: "custom", message: `names ${items.length}`, params: { remedy: `name ${most} at most` } });
  }
};

const LIFECYCLE = {
  glacier: days(LIMITS.lifecycleDays).optional(),
  deepArchive: days(LIMITS.lifecycleDays).optional(),
  expiration: days(LIMITS.lifecycleDays).optional(),
};

const COMPRESSION = {
  codec: choice("gzip", "zstd").default("gzip"),
  /** By codec: 6, 3. */
  level: number(LIMITS.compressionLevel.zstd).optional(),
};

const RESTORE = {
  volumeType: choice("gp3", "gp2", "io1", "io2").default("gp3"),
  throughputMib: number(LIMITS.throughputMib).optional(),
  iops: number(LIMITS.iops).optional(),
  initializationRateMib: number(LIMITS.initializationRateMib).optional(),
  volumeKmsKey: kmsKeyArn().optional(),
  snapshotKmsKeys: list(kmsKeyArn()).default([]),
  /** A snapshot becomes a volume in seconds; the hour is for a service that has a bad day. */
  timeoutMinutes: number(LIMITS.restoreTimeoutMinutes).default(60),
};

const DATABASE = {
  method: choice("auto", "dump", "parquet").default("auto"),
  /** By the plan Lambda. */
  instanceClasses: list(instanceClass())
    .superRefine(notEmpty("classes"))
    .superRefine(notMore(MOST_INSTANCE_CLASSES))
    .optional(),
  /** Half an hour is usual, of Aurora too; the rest is for a bad day. */
  restoreTimeoutHours: number(LIMITS.databaseRestoreTimeoutHours).default(6),
  parquet: parquet().default(false),
};

const DYNAMODB = { native: choice("backup", "pitr").default("backup"), format: choice("json", "ion").default("json") };

const OBJECT_LOCK = {
  mode: choice("GOVERNANCE", "COMPLIANCE").optional(),
  days: number(LIMITS.objectLockDays).optional(),
};

const COMPUTE = {
  architecture: choice("arm64", "x86_64").default("arm64"),
  /** By architecture. */
  instanceTypes: list(instanceType()).superRefine(notEmpty("families or types")).optional(),
  spot: boolean().default(false),
  maxVcpus: number(LIMITS.maxVcpus).default(64),
  jobVcpus: number(LIMITS.jobVcpus).default(4),
  jobMemoryMib: number(LIMITS.jobMemoryMib).default(4_096),
  rootDiskGib: number(LIMITS.rootDiskGib).default(40),
  /** A week: whoever restores 64 TiB at the rate of a cold volume needs days. */
  exportTimeoutHours: number(LIMITS.exportTimeoutHours).default(168),
  workerImage: text_(
    /^[a-z0-9.-]+(?::\d+)?(?:\/[a-z0-9._-]+)+(?::[\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?$/,
    "an image in a registry",
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1",
  ).optional(),
};

const SUBNET = {
  subnetId: text_(/^subnet-[0-9a-f]{8}(?:[0-9a-f]{9})?$/, "a subnet", "subnet-0123456789abcdef0").optional(),
  availabilityZone: zone().optional(),
};

const NETWORK = {
  mode: choice("endpoints", "nat", "public", "existing").default("endpoints"),
  cidr: value((given, refuse): string => {
    const read = typeof given === "string" ? given.trim() : "";
    return parseCidr(read) === undefined
      ? refuse(
          `${shown(given)} is not a range of IPv4 addresses that begins where it says`,
          'write it as "10.0.0.0/20"',
        )
      : read;
  }).optional(),
  availabilityZones: availabilityZones().optional(),
  vpcId: text_(/^vpc-[0-9a-f]{8}(?:[0-9a-f]{9})?$/, "a VPC", "vpc-0123456789abcdef0").optional(),
  subnets: z.preprocess(fromJson, z.array(section(SUBNET))).optional(),
};

const NOTIFICATIONS = {
  emails: list(email()).default([]),
  onFailure: boolean().default(true),
  onSuccess: boolean().default(false),
};

const RECONCILE = {
  mode: choice("on", "dry-run", "off").default("on"),
  maxStarts: number(LIMITS.maxStarts).default(20),
  lookBackDays: number(LIMITS.lookBackDays).optional(),
};

const MONITORING = {
  logRetentionDays: retention().default(90),
  alarmAfterHours: number(LIMITS.alarmAfterHours).default(24),
};

const ROOT = {
  account: accountId(twelveDigits).optional(),
  region: text_(REGION, "a Region", "eu-central-1").optional(),
  /** Needed; its absence is told by the rules, which come after what is wrong in itself. */
  backupVault: text(
    /^[\w./:-]+$/,
    "the name or the ARN of a vault",
    "find it with: aws backup list-backup-vaults",
  ).optional(),
  backupTag: tagKey().optional(),
  "auto-delete-snapshot": boolean().default(false),
  minimumRecoveryPoints: number(LIMITS.minimumRecoveryPoints).default(0),
  verification: choice("readback", "checksum", "none").default("readback"),
  resourceTypes: list(resourceType())
    .superRefine(notEmpty("types"))
    .default([...DEFAULT_RESOURCE_TYPES]),
  sourceAccounts: list(accountId(twelveDigits)).default([]),
  tags: tags().default({}),
  securityTag: tagKey().optional(),
  prefix: text_(
    /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/,
    "a name of lower-case letters, digits and single hyphens",
    "backup-export",
  ).default("backup-export"),
  s3KmsCmk: kmsKeyArn().optional(),
  // Buckets of us-east-1 from before 2018 may have upper-case letters and underscores.
  s3AccessLogsBucket: text_(
    /^[A-Za-z0-9][\w.-]{1,253}[A-Za-z0-9]$/,
    "the name of a bucket",
    "access-logs-of-mine",
  ).optional(),
  s3AccessLogsPrefix: text_(/^[^\p{Cc}]{1,512}$/u, "a prefix of keys", "backup-export/").optional(),
  lifecycleRules: section(LIFECYCLE).prefault({}),
  objectLock: section(OBJECT_LOCK).prefault({}),
  compression: section(COMPRESSION).prefault({}),
  restore: section(RESTORE).prefault({}),
  database: section(DATABASE).prefault({}),
  dynamodb: section(DYNAMODB).prefault({}),
  /** Queued behind five others, a large database's export takes days. */
  nativeExportTimeoutHours: number(LIMITS.nativeExportTimeoutHours).default(72),
  compute: section(COMPUTE).prefault({}),
  network: sectionOrMode(NETWORK).prefault({}),
  notificationAlias: email().optional(),
  notifications: section(NOTIFICATIONS).prefault({}),
  reconcile: sectionOrMode(RECONCILE).prefault({}),
  monitoring: section(MONITORING).prefault({}),
};

/** `cdk.json`'s context without what is the CDK's own. */
export const SCHEMA = section(ROOT);

/** What was given, each value checked by itself, with the defaults of what was not. */
export type Given = z.output<typeof SCHEMA>;

/** The keys of each section, by its own key; those of the whole file by "". */
export const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(ROOT),
  lifecycleRules: Object.keys(LIFECYCLE),
  objectLock: Object.keys(OBJECT_LOCK),
  compression: Object.keys(COMPRESSION),
  restore: Object.keys(RESTORE),
  database: Object.keys(DATABASE),
  dynamodb: Object.keys(DYNAMODB),
  compute: Object.keys(COMPUTE),
  network: Object.keys(NETWORK),
  "network.subnets": Object.keys(SUBNET),
  notifications: Object.keys(NOTIFICATIONS),
  reconcile: Object.keys(RECONCILE),
  monitoring: Object.keys(MONITORING),
};

/** Every key that there is, with its section. */
export const ALL_KEYS: readonly string[] = Object.entries(SECTIONS).flatMap(([parent, keys]) =>
  keys.map((key) => (parent === "" ? key : `${parent}.${key}`)),
);
