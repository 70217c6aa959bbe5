import fc from "fast-check";
import { INSTANCE_TYPES } from "../lib/settings/instance.js";
import { LIMITS, LOG_RETENTION_DAYS, type Bounds } from "../lib/settings/limits.js";

/** A context as it stands in `cdk.json`. */
export type Context = Readonly<Record<string, unknown>>;

const within = ({ least, most }: Bounds): fc.Arbitrary<number> => fc.integer({ min: least, max: most });

/** A value that may be left out in each of the ways in which people leave things out. */
const orBlank = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | null | string | undefined> =>
  fc.oneof({ weight: 3, arbitrary: one }, fc.constantFrom(null, "", "  ", undefined));

const word = (form: RegExp): fc.Arbitrary<string> => fc.stringMatching(form);

const REGIONS = [
  { partition: "aws", region: "eu-central-1" },
  { partition: "aws", region: "us-east-1" },
  { partition: "aws-cn", region: "cn-north-1" },
  { partition: "aws-us-gov", region: "us-gov-west-1" },
] as const;

const account = word(/^[1-9][0-9]{11}$/);

// `@partition@` and the like are filled in once the place is known: to make arbitraries of each place anew takes twenty
// times as long.

/** Said by name, by ARN, or by both. */
const vaultName = fc.constantFrom("Default", "cold", "aws/efs/automatic-backup-vault");
const vaultArn = vaultName.map((one) => `arn:@partition@:backup:@region@:@account@:backup-vault:${one}`);
const vault: fc.Arbitrary<Context> = fc.oneof(
  vaultName.map((backupVault) => ({ backupVault })),
  vaultArn.map((backupVault) => ({ backupVault })),
  fc.oneof(vaultName, vaultArn).map((backupVault) => ({ account: "@account@", region: "@region@", backupVault })),
);

const kmsKey = fc.tuple(account, fc.uuid()).map(([owner, key]) => `arn:@partition@:kms:@region@:${owner}:key/${key}`);

const place = fc.tuple(fc.constantFrom(...REGIONS), account);

function placed(context: Context, [{ partition, region }, id]: readonly [(typeof REGIONS)[number], string]): Context {
  const fill = (from: unknown): unknown => {
    if (typeof from === "string") {
      return from
        .replaceAll("@partition@", partition)
        .replaceAll("@region@", region)
        .replaceAll("@account@", id)
        .replaceAll("@china@", partition === "aws-cn" ? ".cn" : "");
    }
    if (Array.isArray(from)) {
      return from.map(fill);
    }
    return typeof from === "object" && from !== null
      ? Object.fromEntries(Object.entries(from).map(([key, one]) => [key, fill(one)]))
      : from;
  };
  return fill(context) as Context;
}

const tagText = word(/^[A-Za-z0-9_.:/=+@-]{1,20}$/);
const tagKeys = fc.uniqueArray(
  tagText.filter((key) => !/^(aws|backup-export):/i.test(key) && !/^(xxx+|todo|tbd|fixme)$/i.test(key)),
  { maxLength: 5, selector: (key) => key.toLowerCase() },
);

/** Tags, and perhaps one of them that IAM asks for. */
const tagging = tagKeys.chain((keys) =>
  fc.record({
    tags: fc
      .tuple(...keys.map(() => tagText))
      .map((values) => Object.fromEntries(keys.map((key, index) => [key, values[index]]))),
    securityTag: keys.length === 0 ? fc.constant(undefined) : fc.option(fc.constantFrom(...keys), { nil: undefined }),
  }),
);

const email = word(/^[a-z]{1,8}@[a-z]{1,8}\.(com|org)$/);

/** Three ascending days, of which any may be off. */
const lifecycle = fc
  .uniqueArray(fc.integer({ min: 1, max: 4_000 }), { minLength: 3, maxLength: 3 })
  .map((days) => days.sort((a, b) => a - b))
  .chain(([glacier, deepArchive, expiration]) =>
    fc.record({
      glacier: fc.constantFrom(glacier, 0),
      deepArchive: fc.constantFrom(deepArchive, 0),
      expiration: fc.constantFrom(expiration, 0),
    }),
  );

const locked = lifecycle.chain((lifecycleRules) => {
  const most =
    lifecycleRules.expiration === undefined || lifecycleRules.expiration === 0
      ? LIMITS.objectLockDays.most
      : lifecycleRules.expiration;
  const objectLock = fc.record({
    mode: fc.constantFrom("GOVERNANCE", "COMPLIANCE", "governance"),
    days: fc.integer({ min: 1, max: most }),
  });
  return fc.record({ lifecycleRules: fc.constant(lifecycleRules), objectLock: orBlank(objectLock) });
});

const compression = fc.oneof(
  ...(["gzip", "zstd"] as const).map((codec) =>
    fc.record({ codec: fc.constant(codec), level: orBlank(within(LIMITS.compressionLevel[codec])) }),
  ),
);

const { gp3, io1, io2 } = LIMITS.iopsOfType;
const volume: fc.Arbitrary<Context> = fc.oneof(
  fc.record({ volumeType: fc.constant("gp3"), throughputMib: orBlank(within(LIMITS.throughputMib)) }),
  fc.record({ volumeType: fc.constant("gp3"), iops: orBlank(within(gp3)) }),
  fc.record({
    volumeType: fc.constant("gp3"),
    iops: fc.integer({ min: 8_000, max: gp3.most }),
    throughputMib: within(LIMITS.throughputMib),
  }),
  fc.constant({ volumeType: "gp2" }),
  fc.record({ volumeType: fc.constant("io1"), iops: within(io1) }),
  fc.record({ volumeType: fc.constant("io2"), iops: within(io2) }),
);

const restore = fc
  .tuple(
    volume,
    fc.record(
      {
        initializationRateMib: orBlank(within(LIMITS.initializationRateMib)),
        volumeKmsKey: orBlank(kmsKey),
        snapshotKmsKeys: fc.array(kmsKey, { maxLength: 3 }),
        timeoutMinutes: within(LIMITS.restoreTimeoutMinutes),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([one, other]) => ({ ...one, ...other }));

const hosts = (["arm64", "x86_64"] as const).map((architecture) =>
  fc.record(
    {
      architecture: fc.constant(architecture),
      instanceTypes: orBlank(
        fc.uniqueArray(
          fc.constantFrom(...INSTANCE_TYPES[architecture].flatMap((family) => [family, `${family}.4xlarge`])),
          { minLength: 1 },
        ),
      ),
      spot: fc.constantFrom(true, false, "true", "False"),
      // Six zones each have one job at least, with the default of the other number too.
      maxVcpus: fc.integer({ min: 96, max: 256 }),
      jobVcpus: fc.integer({ min: 1, max: 10 }),
      jobMemoryMib: fc.integer({ min: LIMITS.jobMemoryMib.least, max: 65_536 }),
      rootDiskGib: within(LIMITS.rootDiskGib),
      exportTimeoutHours: within(LIMITS.exportTimeoutHours),
      workerImage: orBlank(fc.constant("123456789012.dkr.ecr.@region@.amazonaws.com@china@/backup-export/worker:1")),
    },
    { requiredKeys: ["architecture"] },
  ),
);

const database = fc
  .record(
    {
      method: fc.constantFrom("auto", "dump", "parquet", "Dump"),
      instanceClasses: orBlank(
        fc.uniqueArray(fc.constantFrom("db.t4g.medium", "db.r7g.large", "db.x2iedn.2xlarge"), { minLength: 1 }),
      ),
      restoreTimeoutHours: within(LIMITS.databaseRestoreTimeoutHours),
      parquet: orBlank(fc.oneof(fc.constantFrom(true, false, "true", "False"), kmsKey)),
    },
    { requiredKeys: [] },
  )
  // RDS exports nothing without a key.
  .map((one) =>
    one.method === "parquet" && !/^(true|arn:)/i.test(String(one.parquet)) ? { ...one, parquet: true } : one,
  );

const dynamodb = fc.record(
  { native: orBlank(fc.constantFrom("backup", "pitr")), format: fc.constantFrom("json", "ion", "ION") },
  { requiredKeys: [] },
);

const mode = fc.constantFrom("endpoints", "nat", "public");
const zones = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 })
  .map((letters) => letters.map((letter) => `@region@${letter}`));
const subnetIds = fc.uniqueArray(word(/^subnet-[0-9a-f]{17}$/), { minLength: 6, maxLength: 6 });
const network: fc.Arbitrary<unknown> = fc.oneof(
  mode,
  fc.record(
    {
      mode,
      cidr: orBlank(fc.constantFrom("10.1.0.0/16", "172.20.0.0/16", "192.168.0.0/16", "100.64.0.0/16")),
      availabilityZones: orBlank(fc.oneof(within(LIMITS.availabilityZones), zones)),
    },
    { requiredKeys: ["mode", "cidr"] },
  ),
  fc.record({
    mode: fc.constant("existing"),
    vpcId: word(/^vpc-[0-9a-f]{17}$/),
    subnets: fc
      .tuple(zones, subnetIds)
      .map(([names, ids]) => names.map((availabilityZone, index) => ({ subnetId: ids[index], availabilityZone }))),
  }),
);

const notifications = fc.record(
  { emails: fc.uniqueArray(email, { maxLength: 3 }), onFailure: fc.boolean(), onSuccess: fc.boolean() },
  { requiredKeys: [] },
);

/** Deletion is for what was verified. */
const deletion = fc.oneof(
  fc.record({
    "auto-delete-snapshot": fc.constantFrom(true, "true", "TRUE"),
    verification: fc.constantFrom("readback", "checksum"),
  }),
  fc.record({
    "auto-delete-snapshot": fc.constantFrom(false, "false", "", null),
    verification: fc.constantFrom("readback", "checksum", "none", undefined),
  }),
);

const rest: fc.Arbitrary<Context> = fc.record(
  {
    prefix: word(/^[a-z]{1,9}(-[a-z0-9]{1,9}){0,2}$/),
    resourceTypes: fc.constantFrom(
      ["EBS"],
      ["EC2"],
      ["EC2", "EBS"],
      "EBS,EC2",
      '["EBS"]',
      ["RDS"],
      ["DynamoDB"],
      "rds, aurora,ebs",
      ["Aurora", "EBS", "DynamoDB"],
    ),
    sourceAccounts: fc.uniqueArray(account, { maxLength: 3 }),
    minimumRecoveryPoints: fc.integer({ min: 0, max: 100 }),
    backupTag: orBlank(fc.constantFrom("cold", "exported:may-go")),
    s3KmsCmk: orBlank(kmsKey),
    s3AccessLogsBucket: fc.constant("access-logs"),
    compression,
    restore,
    database,
    dynamodb,
    nativeExportTimeoutHours: within(LIMITS.nativeExportTimeoutHours),
    compute: fc.oneof(...hosts),
    network,
    notifications: notifications.filter(({ onFailure = true, onSuccess = false }) => onFailure || onSuccess),
    notificationAlias: orBlank(email),
    reconcile: fc.oneof(
      fc.constantFrom("on", "dry-run", "off"),
      fc.record(
        {
          mode: fc.constantFrom("on", "dry-run", "off"),
          maxStarts: within(LIMITS.maxStarts),
          lookBackDays: orBlank(within(LIMITS.lookBackDays)),
        },
        { requiredKeys: [] },
      ),
    ),
    monitoring: fc.record(
      { logRetentionDays: fc.constantFrom(...LOG_RETENTION_DAYS), alarmAfterHours: within(LIMITS.alarmAfterHours) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

/**
 * A logs prefix is for a logs bucket, databases want two zones, and a live table proves nothing of a backup that is to
 * go.
 */
function fitting(context: Context): Context {
  const types = JSON.stringify(context.resourceTypes ?? "");
  return {
    ...context,
    ...("s3AccessLogsBucket" in context && { s3AccessLogsPrefix: "exports/" }),
    ...(/rds|aurora/i.test(types) && { network: "nat" }),
    ...(/true/i.test(String(context["auto-delete-snapshot"])) && { dynamodb: { native: "backup" } }),
  };
}

/**
 * Contexts that are good, with every key now and then, in the forms in which `cdk.json` and the command line give them.
 */
export const validContext: fc.Arbitrary<Context> = fc
  .tuple(place, vault, tagging, locked, deletion, rest)
  .map(([where, ...parts]) => placed(fitting(Object.assign({}, ...parts) as Context), where));
