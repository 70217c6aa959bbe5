import { describe, expect, test } from "vitest";
import ofLambdas from "../../domain/golden/limits.json" with { type: "json" };
import { LIMITS } from "../lib/settings/limits.js";
import type { Context } from "./arbitrary.js";
import { problemsOf, read } from "./settings.js";

/** How a number is said in `cdk.json`, with what it needs beside it, and under which key it is refused. */
type Said = readonly [key: string, context: (value: number) => Context];

const ONE_ZONE = {
  mode: "existing",
  vpcId: "vpc-0123456789abcdef0",
  subnets: [{ subnetId: "subnet-0123456789abcdef0", availabilityZone: "eu-central-1a" }],
};

const SAID: Readonly<Record<string, Said>> = {
  lifecycleDays: ["lifecycleRules.expiration", (expiration) => ({ lifecycleRules: { expiration } })],
  objectLockDays: ["objectLock.days", (days) => ({ objectLock: { mode: "GOVERNANCE", days } })],
  minimumRecoveryPoints: ["minimumRecoveryPoints", (minimumRecoveryPoints) => ({ minimumRecoveryPoints })],
  "compressionLevel.gzip": ["compression.level", (level) => ({ compression: { codec: "gzip", level } })],
  "compressionLevel.zstd": ["compression.level", (level) => ({ compression: { codec: "zstd", level } })],
  throughputMib: ["restore.throughputMib", (throughputMib) => ({ restore: { throughputMib } })],
  iops: ["restore.iops", (iops) => ({ restore: { volumeType: "io2", iops } })],
  "iopsOfType.gp3": ["restore.iops", (iops) => ({ restore: { volumeType: "gp3", iops } })],
  "iopsOfType.io1": ["restore.iops", (iops) => ({ restore: { volumeType: "io1", iops } })],
  "iopsOfType.io2": ["restore.iops", (iops) => ({ restore: { volumeType: "io2", iops } })],
  initializationRateMib: [
    "restore.initializationRateMib",
    (initializationRateMib) => ({ restore: { initializationRateMib } }),
  ],
  restoreTimeoutMinutes: ["restore.timeoutMinutes", (timeoutMinutes) => ({ restore: { timeoutMinutes } })],
  exportTimeoutHours: ["compute.exportTimeoutHours", (exportTimeoutHours) => ({ compute: { exportTimeoutHours } })],
  databaseRestoreTimeoutHours: [
    "database.restoreTimeoutHours",
    (restoreTimeoutHours) => ({ database: { restoreTimeoutHours } }),
  ],
  nativeExportTimeoutHours: ["nativeExportTimeoutHours", (nativeExportTimeoutHours) => ({ nativeExportTimeoutHours })],
  maxVcpus: ["compute.maxVcpus", (maxVcpus) => ({ compute: { maxVcpus, jobVcpus: 1 }, network: ONE_ZONE })],
  jobVcpus: ["compute.jobVcpus", (jobVcpus) => ({ compute: { jobVcpus, maxVcpus: 1_000 }, network: ONE_ZONE })],
  jobMemoryMib: ["compute.jobMemoryMib", (jobMemoryMib) => ({ compute: { jobMemoryMib } })],
  rootDiskGib: ["compute.rootDiskGib", (rootDiskGib) => ({ compute: { rootDiskGib } })],
  availabilityZones: ["network.availabilityZones", (availabilityZones) => ({ network: { availabilityZones } })],
  maxStarts: ["reconcile.maxStarts", (maxStarts) => ({ reconcile: { maxStarts } })],
  lookBackDays: ["reconcile.lookBackDays", (lookBackDays) => ({ reconcile: { lookBackDays } })],
  alarmAfterHours: ["monitoring.alarmAfterHours", (alarmAfterHours) => ({ monitoring: { alarmAfterHours } })],
};

/** How many characters a text has. */
const SAID_OF_TEXT: Readonly<Record<string, Said>> = {
  tagKeyCharacters: ["backupTag", (length) => ({ backupTag: "k".repeat(length) })],
  tagValueCharacters: ["tags.team", (length) => ({ tags: { team: "v".repeat(length) } })],
};

interface Ends {
  readonly least?: number;
  readonly most: number;
}

/** Every bound of a tree, by its path. */
function bounds(tree: object, path: readonly string[] = []): [path: string, ends: Ends][] {
  return "most" in tree
    ? [[path.join("."), tree as Ends]]
    : Object.entries(tree).flatMap(([key, inner]: [string, object]) => bounds(inner, [...path, key]));
}

const all = new Map([...bounds(LIMITS), ...bounds(ofLambdas)]);

describe("limits", () => {
  test("are all tried, those of the Lambdas too", () => {
    expect(Object.keys({ ...SAID, ...SAID_OF_TEXT }).sort()).toEqual([...all.keys()].sort());
  });

  test("that the Lambdas have are no wider and no tighter here", () => {
    const here = new Map(bounds(LIMITS));
    for (const [path, ends] of bounds(ofLambdas).filter(([name]) => name in SAID)) {
      expect(here.get(path), path).toMatchObject(ends);
    }
  });

  test.each([...all])("are kept: %s", (path, { least, most }) => {
    const [key, context] = { ...SAID, ...SAID_OF_TEXT }[path] ?? ["", () => ({})];
    const refused = (value: number): void => {
      expect(
        problemsOf(context(value)).map((problem) => problem.key),
        `${key} ${value}`,
      ).toEqual([key]);
    };
    expect(read(context(most))).toBeDefined();
    refused(most + 1);
    if (least !== undefined) {
      expect(read(context(least))).toBeDefined();
    }
    // Of a text that is empty nothing is said.
    if (least !== undefined && path in SAID) {
      refused(least - 1);
    }
  });
});
