import { describe, expect, test } from "vitest";
import { CIDR } from "../lib/settings/network.js";
import type { Context } from "./arbitrary.js";
import { problemsOf, read } from "./settings.js";

/** What cannot be, and what could be said of it. */
type Case = readonly [context: Context, key: string, says: RegExp];

/** Each is refused under its key, and under no other. */
function refused(cases: readonly Case[]): void {
  test.each(cases)("refused: %j", (context, key, says) => {
    const problems = problemsOf(context);
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(problems.map(({ problem, remedy }) => `${problem}; ${remedy}`).join()).toMatch(says);
  });
}

/** And these are taken. */
function taken(contexts: readonly Context[]): void {
  test.each(contexts)("taken: %j", (context) => {
    expect(read(context)).toBeDefined();
  });
}

const VAULT = "arn:aws:backup:eu-central-1:123456789012:backup-vault:Default";
const key = (region: string, partition = "aws"): string =>
  `arn:${partition}:kms:${region}:123456789012:key/11111111-2222-3333-4444-555555555555`;
const subnet = (digit: number, availabilityZone: string): Context => ({
  subnetId: `subnet-0123456789abcdef${digit}`,
  availabilityZone,
});
const existing = (...subnets: Context[]): Context => ({
  network: { mode: "existing", vpcId: "vpc-0123456789abcdef0", subnets },
});

describe("the vault and the place", () => {
  refused([
    [{ backupVault: VAULT, region: "us-east-1" }, "region", /ARN says eu-central-1/],
    [{ backupVault: VAULT, account: "210987654321" }, "account", /ARN says 123456789012/],
    [{ backupVault: VAULT.replace("aws", "aws-cn") }, "backupVault", /partition aws-cn/],
    [
      { backupVault: "arn:aws:backup:eu-central-1:123456789012:recovery-point:1" },
      "backupVault",
      /not the ARN of a vault/,
    ],
    [{ backupVault: "arn:aws:s3:::bucket" }, "backupVault", /not the ARN of a vault/],
    [{ backupVault: "/no" }, "backupVault", /no name/],
    [{ backupVault: "v".repeat(51) }, "backupVault", /no name/],
    [{ region: "Frankfurt" }, "region", /not a Region/],
    [{ account: 12_345_678_901 }, "account", /in quotes/],
  ]);
  taken([
    { backupVault: VAULT, region: "eu-central-1", account: 123_456_789_012 },
    { backupVault: "aws/efs/automatic-backup-vault" },
  ]);

  test("follow from the vault's ARN, in any partition", () => {
    expect(read({ backupVault: "arn:aws-cn:backup:cn-north-1:123456789012:backup-vault:a/b" })).toMatchObject({
      account: "123456789012",
      region: "cn-north-1",
      vault: { name: "a/b" },
    });
    expect(read({ backupVault: "arn:aws-us-gov:backup:us-gov-west-1:123456789012:backup-vault:v" })).toMatchObject({
      region: "us-gov-west-1",
    });
  });
});

describe("KMS keys", () => {
  refused([
    [{ region: "eu-central-1", s3KmsCmk: key("us-east-1") }, "s3KmsCmk", /of us-east-1, not of eu-central-1/],
    [
      { backupVault: VAULT, restore: { volumeKmsKey: key("us-east-1") } },
      "restore.volumeKmsKey",
      /not of eu-central-1/,
    ],
    [
      { s3KmsCmk: key("eu-west-1"), restore: { snapshotKmsKeys: [key("us-east-1")] } },
      "restore.snapshotKmsKeys",
      /not of eu-west-1/,
    ],
    [{ s3KmsCmk: key("eu-west-1", "aws-cn") }, "s3KmsCmk", /partition/],
    [{ s3KmsCmk: "arn:aws:kms:eu-central-1:123456789012:alias/exports" }, "s3KmsCmk", /alias.*describe-key/],
    [{ s3KmsCmk: "11111111-2222-3333-4444-555555555555" }, "s3KmsCmk", /not the ARN/],
    [{ restore: { snapshotKmsKeys: [key("eu-west-1"), "mine"] } }, "restore.snapshotKmsKeys[1]", /not the ARN/],
  ]);
  taken([
    {
      region: "eu-west-1",
      s3KmsCmk: key("eu-west-1").replace("123456789012", "210987654321"),
      restore: { snapshotKmsKeys: [key("eu-west-1")] },
    },
  ]);
});

describe("deletion", () => {
  refused([
    [{ "auto-delete-snapshot": true, verification: "none" }, "auto-delete-snapshot", /set verification to "readback"/],
  ]);
  taken([
    { "auto-delete-snapshot": true, verification: "checksum" },
    { verification: "none" },
    // A cdk.json that once deleted keeps what it says about deletion.
    { "auto-delete-snapshot": false, backupTag: "cold", minimumRecoveryPoints: 3 },
  ]);
});

describe("tags", () => {
  refused([
    [{ tags: { team: "a" }, securityTag: "Team" }, "securityTag", /not among the tags/],
    [{ securityTag: "toString" }, "securityTag", /not among the tags/],
    [{ tags: { "aws:team": "a" } }, "tags.aws:team", /reserved/],
    [{ tags: { "AWS:team": "a" } }, "tags.AWS:team", /reserved/],
    [{ tags: { "backup-export:export-id": "a" } }, "tags.backup-export:export-id", /reserved/],
    [{ backupTag: "aws:x" }, "backupTag", /reserved/],
    [{ tags: { "a b ": "a" } }, `tags."a b "`, /no tag key/],
    [{ tags: { ["k".repeat(129)]: "a" } }, `tags."${"k".repeat(100)}…"`, /no tag key/],
    [{ tags: { team: "v".repeat(257) } }, "tags.team", /256/],
    [{ tags: { team: "a;b" } }, "tags.team", /no tag value/],
    [{ tags: { team: "" } }, "tags.team", /no tag value/],
    [{ tags: { team: "<TEAM>" } }, "tags.team", /a placeholder/],
    [{ tags: { team: 1.1 } }, "tags.team", /in quotes/],
    [{ tags: { team: null } }, "tags.team", /in quotes/],
    [{ tags: { team: "a", TEAM: "b" } }, "tags.TEAM", /case alone/],
    [{ tags: Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`k${index}`, "v"])) }, "tags", /has 41 tags/],
    [
      { tags: Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`k${index}`, "v".repeat(256)])) },
      "tags",
      /bytes long/,
    ],
  ]);
  taken([
    { tags: Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, "v"])) },
    { tags: { "Cost Center": "Abteilung für Ablage", ["k".repeat(128)]: "v".repeat(256), number: 7, yes: true } },
  ]);
});

describe("the prefix", () => {
  refused([
    [{ prefix: "Backup" }, "prefix", /lower-case/],
    [{ prefix: "1backup" }, "prefix", /lower-case/],
    [{ prefix: "backup-" }, "prefix", /lower-case/],
    [{ prefix: "back--up" }, "prefix", /lower-case/],
    [{ prefix: "back_up" }, "prefix", /lower-case/],
    [{ prefix: "b".repeat(31) }, "prefix", /30 at most/],
  ]);
  taken([{ prefix: "b".repeat(30) }, { prefix: "b-2" }]);
});

describe("the bucket", () => {
  refused([
    [
      { lifecycleRules: { glacier: 30, deepArchive: 30 } },
      "lifecycleRules.glacier",
      /Glacier comes before Deep Archive/,
    ],
    [
      { lifecycleRules: { glacier: 100, deepArchive: 30 } },
      "lifecycleRules.glacier",
      /Glacier comes before Deep Archive/,
    ],
    [{ lifecycleRules: { glacier: 30, expiration: 30 } }, "lifecycleRules.expiration", /cannot be moved/],
    [{ lifecycleRules: { deepArchive: "30", expiration: "7" } }, "lifecycleRules.expiration", /cannot be moved/],
    [{ lifecycleRules: { glacier: -1 } }, "lifecycleRules.glacier", /out of range/],
    [{ lifecycleRules: { glacier: 1.5 } }, "lifecycleRules.glacier", /not a whole number/],
    [{ lifecycleRules: { expiration: "a year" } }, "lifecycleRules.expiration", /not a whole number/],
    [
      { objectLock: { mode: "COMPLIANCE", days: 31 }, lifecycleRules: { expiration: 30 } },
      "objectLock.days",
      /cannot expire/,
    ],
    [{ objectLock: { mode: "COMPLIANCE" } }, "objectLock.days", /is missing/],
    [{ objectLock: { days: 30 } }, "objectLock.mode", /is missing/],
    [{ objectLock: { mode: "LEGAL", days: 30 } }, "objectLock.mode", /"GOVERNANCE" or "COMPLIANCE"/],
    [{ objectLock: { mode: "COMPLIANCE", days: 0 } }, "objectLock.days", /out of range/],
    [{ s3AccessLogsPrefix: "exports/" }, "s3AccessLogsPrefix", /without s3AccessLogsBucket/],
    [{ s3AccessLogsBucket: "arn:aws:s3:::logs" }, "s3AccessLogsBucket", /not the name of a bucket/],
  ]);
  taken([
    { lifecycleRules: { glacier: 1, deepArchive: 2, expiration: 3 } },
    { lifecycleRules: { glacier: 30, deepArchive: 0, expiration: 31 } },
    { objectLock: { mode: "COMPLIANCE", days: 30 }, lifecycleRules: { expiration: 30 } },
    { objectLock: { mode: "governance", days: "36500" } },
  ]);
});

describe("compression", () => {
  refused([
    [{ compression: { level: 13 } }, "compression.level", /no level of gzip/],
    [{ compression: { codec: "zstd", level: 23 } }, "compression.level", /1 to 22/],
    [{ compression: { level: 0 } }, "compression.level", /out of range/],
    [{ compression: { codec: "lzma" } }, "compression.codec", /"gzip" or "zstd"/],
  ]);
  taken([{ compression: { codec: "zstd", level: "22" } }, { compression: { codec: "GZIP", level: 12 } }]);
});

describe("restored volumes", () => {
  refused([
    [{ restore: { volumeType: "gp2", throughputMib: 250 } }, "restore.throughputMib", /for gp3 alone/],
    [{ restore: { volumeType: "gp2", iops: 3000 } }, "restore.iops", /by its size alone/],
    [{ restore: { volumeType: "io1" } }, "restore.iops", /is missing/],
    [{ restore: { volumeType: "io2" } }, "restore.iops", /is missing/],
    [{ restore: { volumeType: "io1", iops: 64_001 } }, "restore.iops", /100 to 64000/],
    [{ restore: { iops: 100 } }, "restore.iops", /3000 to 80000/],
    [{ restore: { iops: 80_001 } }, "restore.iops", /3000 to 80000/],
    [{ restore: { iops: 3000, throughputMib: 1000 } }, "restore.iops", /carry 750 MiB\/s.*4000 or more/],
    [{ restore: { throughputMib: 100 } }, "restore.throughputMib", /125 to 2000/],
    [{ restore: { initializationRateMib: 50 } }, "restore.initializationRateMib", /100 to 300/],
    [{ restore: { volumeType: "st1" } }, "restore.volumeType", /"gp3", "gp2", "io1" or "io2"/],
    [{ restore: { timeoutMinutes: 1441 } }, "restore.timeoutMinutes", /1 to 1440/],
  ]);
  taken([
    { restore: { throughputMib: 2000 } },
    { restore: { iops: 4000, throughputMib: 1000 } },
    { restore: { volumeType: "io2", iops: 256_000 } },
    { restore: { volumeType: "gp2" } },
  ]);
});

describe("databases and tables", () => {
  const databases = ["RDS", "Aurora"];
  const OWN = key("eu-west-1");
  refused([
    [{ database: { method: "parquet" } }, "database.method", /no key.*set database.parquet to true/],
    [{ database: { method: "csv" } }, "database.method", /"auto", "dump" or "parquet"/],
    [{ database: { parquet: "yes" } }, "database.parquet", /neither true nor false nor the ARN/],
    [
      { database: { parquet: OWN.replace(/key\/.*/, "alias/exports") } },
      "database.parquet",
      /neither true nor false nor the ARN/,
    ],
    [{ region: "us-east-1", database: { parquet: OWN } }, "database.parquet", /of eu-west-1, not of us-east-1/],
    [{ database: { instanceClasses: [] } }, "database.instanceClasses", /is empty/],
    [{ database: { instanceClasses: ["m7g.large"] } }, "database.instanceClasses[0]", /"db.t4g.medium"/],
    [{ database: { instanceClasses: ["db.serverless"] } }, "database.instanceClasses[0]", /not a class/],
    [
      { database: { instanceClasses: Array.from({ length: 11 }, (_, index) => `db.m${index}.large`) } },
      "database.instanceClasses",
      /10 at most/,
    ],
    [{ database: { restoreTimeoutHours: 0 } }, "database.restoreTimeoutHours", /1 to 168 \(hours\)/],
    [{ nativeExportTimeoutHours: 169 }, "nativeExportTimeoutHours", /1 to 168 \(hours\)/],
    [{ dynamodb: { native: "live" } }, "dynamodb.native", /"backup" or "pitr"/],
    [{ dynamodb: { format: "parquet" } }, "dynamodb.format", /"json" or "ion"/],
    [
      { resourceTypes: ["DynamoDB"], dynamodb: { native: "pitr" }, "auto-delete-snapshot": true },
      "dynamodb.native",
      /without ever having been exported/,
    ],
    [
      { resourceTypes: ["RDS"], network: { availabilityZones: 1 } },
      "network.availabilityZones",
      /wants two.*write 2 or more/,
    ],
    [
      { resourceTypes: ["Aurora"], network: { availabilityZones: ["eu-central-1a"] } },
      "network.availabilityZones",
      /wants two/,
    ],
    [
      { resourceTypes: ["RDS"], ...existing(subnet(0, "eu-central-1a")) },
      "network.subnets",
      /a subnet of another zone/,
    ],
    [{ resourceTypes: ["RDS"], ...existing() }, "network.subnets", /one subnet at least/],
    [
      { resourceTypes: databases, network: { cidr: "10.0.0.0/26" }, compute: { maxVcpus: 80 } },
      "network.cidr",
      /32 addresses, and 33 are needed for up to 10 hosts and for databases/,
    ],
  ]);
  taken([
    { resourceTypes: "rds,aurora,dynamodb" },
    { resourceTypes: databases, database: { method: "parquet", parquet: "True" } },
    { region: "eu-west-1", database: { method: "parquet", parquet: OWN } },
    { database: { instanceClasses: "db.t4g.medium, db.r6i.2xlarge, db.r5b.4xlarge.tpc1.mem2x" } },
    { network: { cidr: "10.0.0.0/26" }, compute: { maxVcpus: 80 } },
    // One zone is enough for tables.
    { resourceTypes: ["DynamoDB"], network: { availabilityZones: 1 } },
    // A table that is not exported keeps what is said of it.
    { dynamodb: { native: "pitr" }, "auto-delete-snapshot": true },
  ]);

  test("are exported to Parquet with the key of the bucket, with another, or not at all", () => {
    expect(read({ database: { parquet: true } }).database.parquet).toEqual({});
    expect(read({ database: { parquet: OWN } }).database.parquet).toEqual({ kmsKey: OWN });
    expect(read({ database: { parquet: "false" } }).database.parquet).toBeUndefined();
  });
});

describe("hosts", () => {
  refused([
    [{ compute: { instanceTypes: ["c7i", "c7g"] } }, "compute.instanceTypes", /^c7i: not arm64, but x86_64/],
    [{ compute: { architecture: "x86_64", instanceTypes: ["c7gn.xlarge"] } }, "compute.instanceTypes", /"arm64"/],
    [{ compute: { architecture: "x86_64", instanceTypes: ["m4"] } }, "compute.instanceTypes", /Nitro/],
    [{ compute: { instanceTypes: ["optimal"] } }, "compute.instanceTypes[0]", /neither an instance family/],
    [{ compute: { instanceTypes: [] } }, "compute.instanceTypes", /is empty/],
    [{ compute: { instanceTypes: ["c7g.large", "m7g.large"] } }, "compute.instanceTypes", /has the 4 vCPUs of a job/],
    [{ compute: { maxVcpus: 7 } }, "compute.maxVcpus", /write 8 or more/],
    [{ compute: { jobVcpus: 32 }, network: { availabilityZones: 3 } }, "compute.maxVcpus", /write 96 or more/],
    [{ compute: { rootDiskGib: 29 } }, "compute.rootDiskGib", /30 to 16384 \(GiB\)/],
    [{ compute: { exportTimeoutHours: 169 } }, "compute.exportTimeoutHours", /1 to 168 \(hours\)/],
    [{ compute: { jobMemoryMib: 512 } }, "compute.jobMemoryMib", /MiB/],
    [{ compute: { spot: "sometimes" } }, "compute.spot", /true or false/],
    [{ compute: { workerImage: "worker" } }, "compute.workerImage", /not an image/],
    [{ compute: { workerImage: "ghcr.io/me/worker:1" } }, "compute.workerImage", /cannot be pulled/],
    [
      { region: "eu-west-1", compute: { workerImage: "123456789012.dkr.ecr.us-east-1.amazonaws.com/worker:1" } },
      "compute.workerImage",
      /in eu-west-1/,
    ],
  ]);
  taken([
    ...["a1", "t4g", "g5g", "x2gd", "im4gn", "is4gen", "i8ge", "r8gb", "hpc7g", "c8gn.metal-24xl"].map((type) => ({
      compute: { instanceTypes: [type] },
    })),
    ...["m7i-flex", "g6", "gr6", "i7ie", "c5a", "g4dn.4xlarge", "m5zn"].map((type) => ({
      compute: { architecture: "x86_64", instanceTypes: [type] },
    })),
    { compute: { instanceTypes: ["c7g.large", "c7g.xlarge"] } },
    { network: "nat", compute: { workerImage: "ghcr.io/me/worker:1" } },
    {
      region: "eu-west-1",
      compute: { workerImage: `123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/worker@sha256:${"0".repeat(64)}` },
    },
  ]);
});

describe("the network", () => {
  refused([
    [{ network: { mode: "private" } }, "network.mode", /"endpoints", "nat", "public" or "existing"/],
    [existing(), "network.subnets", /one subnet at least/],
    [{ network: { mode: "existing", subnets: [subnet(0, "eu-central-1a")] } }, "network.vpcId", /describe-vpcs/],
    [
      existing(subnet(0, "eu-central-1a"), subnet(1, "eu-central-1a")),
      "network.subnets[1]",
      /as subnet-0123456789abcdef0 is/,
    ],
    [existing(subnet(0, "eu-central-1a"), subnet(0, "eu-central-1b")), "network.subnets[1]", /named twice/],
    [existing({ subnetId: "subnet-0123456789abcdef0" }), "network.subnets[0].availabilityZone", /is missing/],
    [existing({ availabilityZone: "eu-central-1a" }), "network.subnets[0].subnetId", /is missing/],
    [
      existing(subnet(0, "eu-central-1a"), subnet(1, "eu-west-1b")),
      "network.subnets[1].availabilityZone",
      /not a zone of eu-central-1/,
    ],
    [
      { region: "us-east-1", ...existing(subnet(0, "eu-central-1a")) },
      "network.subnets[0].availabilityZone",
      /not a zone of us-east-1/,
    ],
    [{ network: { vpcId: "vpc-0123456789abcdef0" } }, "network.vpcId", /set network.mode to "existing"/],
    [{ network: { subnets: [subnet(0, "eu-central-1a")] } }, "network.subnets", /set network.mode to "existing"/],
    [
      { network: { ...(existing(subnet(0, "eu-central-1a")).network as object), cidr: CIDR } },
      "network.cidr",
      /remove it/,
    ],
    [
      { network: { ...(existing(subnet(0, "eu-central-1a")).network as object), availabilityZones: 2 } },
      "network.availabilityZones",
      /remove it/,
    ],
    [{ network: { cidr: "10.0.0.0" } }, "network.cidr", /not a range/],
    [{ network: { cidr: "10.0.0.1/20" } }, "network.cidr", /begins where it says/],
    [{ network: { cidr: "10.0.0.256/28" } }, "network.cidr", /not a range/],
    [{ network: { cidr: "8.8.0.0/16" } }, "network.cidr", /not private/],
    [{ network: { cidr: "172.32.0.0/16" } }, "network.cidr", /not private/],
    [{ network: { cidr: "172.17.0.0/20" } }, "network.cidr", /Docker/],
    [{ network: { cidr: "10.0.0.0/15" } }, "network.cidr", /\/16 to \/28/],
    [{ network: { cidr: "10.0.0.0/29" } }, "network.cidr", /\/16 to \/28/],
    [
      { network: { cidr: "10.0.0.0/27" } },
      "network.cidr",
      /each of 2 subnets 16 addresses, and 21 are needed for up to 8 hosts/,
    ],
    [{ network: { mode: "nat", cidr: "10.0.0.0/27" } }, "network.cidr", /each of 4 subnets 8 addresses/],
    [{ compute: { maxVcpus: 20_000 } }, "network.cidr", /lower compute.maxVcpus/],
    [{ network: { availabilityZones: 0 } }, "network.availabilityZones", /1 to 6/],
    [{ network: { availabilityZones: 7 } }, "network.availabilityZones", /1 to 6/],
    [{ network: { availabilityZones: [] } }, "network.availabilityZones", /names 0 zones/],
    [{ network: { availabilityZones: ["euc1-az1"] } }, "network.availabilityZones", /a zone's id/],
    [
      { region: "us-east-1", network: { availabilityZones: ["eu-central-1a"] } },
      "network.availabilityZones",
      /not a zone of us-east-1/,
    ],
  ]);
  taken([
    existing(subnet(0, "eu-central-1a"), subnet(1, "eu-central-1b")),
    { network: { cidr: "10.0.0.0/26" } },
    { network: { mode: "nat", cidr: "100.64.0.0/16", availabilityZones: 6 } },
    { region: "eu-central-1", network: { availabilityZones: ["eu-central-1a"] } },
  ]);
});

describe("people, time and money", () => {
  refused([
    [{ notificationAlias: "backup" }, "notificationAlias", /not an e-mail address/],
    [
      { notifications: { emails: ["a@example.com", "b@localhost"] } },
      "notifications.emails[1]",
      /not an e-mail address/,
    ],
    [
      { notifications: { emails: ["a@example.com"], onFailure: false } },
      "notifications",
      /neither onFailure nor onSuccess/,
    ],
    [{ reconcile: "sometimes" }, "reconcile.mode", /"on", "dry-run" or "off"/],
    [{ reconcile: { maxStarts: 0 } }, "reconcile.maxStarts", /1 to 1000/],
    [{ monitoring: { logRetentionDays: 91 } }, "monitoring.logRetentionDays", /60, 90, 120/],
    [{ monitoring: { alarmAfterHours: 721 } }, "monitoring.alarmAfterHours", /1 to 720 \(hours\)/],
    [{ minimumRecoveryPoints: -1 }, "minimumRecoveryPoints", /out of range/],
    [
      { resourceTypes: ["EFS"] },
      "resourceTypes[0]",
      /not exported yet.*"EBS", "EC2", "RDS", "Aurora" or "DynamoDB", or several/,
    ],
    [{ resourceTypes: ["DocumentDB"] }, "resourceTypes[0]", /not exported yet/],
    [{ resourceTypes: ["EBSS"] }, "resourceTypes[0]", /no resource type/],
    [{ resourceTypes: [] }, "resourceTypes", /is empty/],
    [{ sourceAccounts: ["12"] }, "sourceAccounts[0]", /twelve digits/],
    [{ verification: "maybe" }, "verification", /"readback", "checksum" or "none"/],
  ]);

  test("an alias and further addresses are told alike, each once", () => {
    const settings = read({
      notificationAlias: "a@example.com",
      notifications: { emails: ["b@example.com", "a@example.com"], onSuccess: true },
    });
    expect(settings.notifications).toEqual({
      emails: ["a@example.com", "b@example.com"],
      onFailure: true,
      onSuccess: true,
    });
  });
});
