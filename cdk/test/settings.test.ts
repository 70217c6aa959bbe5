import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { ContextProvider } from "aws-cdk-lib/cloud-assembly-schema";
import { CURRENTLY_RECOMMENDED_FLAGS } from "aws-cdk-lib/cx-api";
import { describe, expect, test } from "vitest";
import { InvalidSettings, parse, type Settings } from "../lib/settings/index.js";
import { LIMITS, LOG_RETENTION_DAYS } from "../lib/settings/limits.js";
import { ALL_KEYS } from "../lib/settings/schema.js";
import { projectRoot } from "../lib/source.js";
import type { Context } from "./arbitrary.js";
import { problemsOf, read } from "./settings.js";

const file = (...path: readonly string[]): string => readFileSync(join(projectRoot, ...path), "utf8");

/** As the sample's `cdk.json.template` has it, with the names that are in it. */
const SAMPLE = {
  account: "123456789012",
  region: "us-east-1",
  backupVault: "arn:aws:backup:us-east-1:123456789012:backup-vault:cold",
  backupTag: "cold",
  "auto-delete-snapshot": "true",
  notificationAlias: null,
  s3KmsCmk: "arn:aws:kms:us-east-1:111222333444:key/uuid",
  tags: { Project: "aws-backup-actions" },
  s3AccessLogsBucket: "s3AccessLogsBucket",
  s3AccessLogsPrefix: "backupBucket",
  securityTag: "Project",
};

describe("the defaults", () => {
  test("are these", () => {
    expect(parse({ backupVault: "Default" })).toEqual({
      prefix: "backup-export",
      vault: { name: "Default" },
      resourceTypes: ["EBS", "EC2"],
      sourceAccounts: [],
      tags: {},
      deletion: { enabled: false, minimumRecoveryPoints: 0 },
      verification: "readback",
      compression: { codec: "gzip", level: 6 },
      restore: { volumeType: "gp3", snapshotKmsKeys: [], timeoutMinutes: 60 },
      database: { method: "auto", restoreTimeoutHours: 6 },
      dynamodb: { native: "backup", format: "json" },
      nativeExportTimeoutHours: 72,
      bucket: { lifecycle: {} },
      compute: {
        architecture: "arm64",
        instanceTypes: ["c7g", "m7g", "c8g"],
        spot: false,
        maxVcpus: 64,
        jobVcpus: 4,
        jobMemoryMib: 4_096,
        rootDiskGib: 40,
        exportTimeoutHours: 168,
      },
      network: { mode: "endpoints", cidr: "10.0.0.0/20", availabilityZones: 2 },
      notifications: { emails: [], onFailure: true, onSuccess: false },
      reconcile: { mode: "on", maxStarts: 20 },
      monitoring: { logRetentionDays: 90, alarmAfterHours: 24 },
    } satisfies Settings);
  });

  test("depend on codec and architecture", () => {
    expect(read({ compression: { codec: "zstd" } }).compression.level).toBe(3);
    expect(read({ compute: { architecture: "x86_64" } }).compute.instanceTypes).toEqual(["c7i", "m7i", "c7a"]);
  });

  test("are what the template says, key by key", () => {
    const { app, context } = JSON.parse(file("cdk.json.template")) as {
      readonly app: string;
      readonly context: Context;
    };
    expect(app).toBe("npx tsx cdk/bin/backup-export.ts");
    expect(parse(context)).toEqual(read());
    const keys = Object.entries(context).flatMap(([key, one]) => [
      key,
      ...(typeof one === "object" && one !== null && !Array.isArray(one)
        ? Object.keys(one).map((inner) => `${key}.${inner}`)
        : []),
    ]);
    expect(keys.sort()).toEqual(ALL_KEYS.filter((key) => !key.startsWith("network.subnets.")).sort());
  });
});

describe("the cdk.json of the AWS sample", () => {
  test("works unchanged, and means what it meant", () => {
    expect(parse(SAMPLE)).toMatchObject({
      account: "123456789012",
      region: "us-east-1",
      vault: { name: "cold", arn: SAMPLE.backupVault },
      deletion: { enabled: true, onlyTagged: "cold", minimumRecoveryPoints: 0 },
      bucket: {
        kmsKey: SAMPLE.s3KmsCmk,
        accessLogs: { bucket: "s3AccessLogsBucket", prefix: "backupBucket" },
        lifecycle: {},
      },
      tags: { Project: "aws-backup-actions" },
      securityTag: { key: "Project", value: "aws-backup-actions" },
      notifications: { emails: [], onFailure: true },
    });
  });

  test("works with the lifecycle of its README, a notification alias, and what the CDK writes beside it", () => {
    const settings = parse({
      ...SAMPLE,
      lifecycleRules: { glacier: 10, deepArchive: "101", expiration: 2190 },
      notificationAlias: "backup@example.com",
      ...CURRENTLY_RECOMMENDED_FLAGS,
      "aws:cdk:enable-path-metadata": true,
      "aws-cdk:enableDiffNoFail": "true",
      "availability-zones:account=123456789012:region=us-east-1": ["us-east-1a"],
      "vpc-provider:account=123456789012:filter.isDefault=true:region=us-east-1": {},
      "acknowledged-issue-numbers": [32775],
      "cli-telemetry": false,
    });
    expect(settings.bucket.lifecycle).toEqual({ glacier: 10, deepArchive: 101, expiration: 2190 });
    expect(settings.notifications.emails).toEqual(["backup@example.com"]);
  });

  test.each(["false", "False", "FALSE", false, "", " ", null])("does not delete when it says %j", (said) => {
    expect(parse({ ...SAMPLE, "auto-delete-snapshot": said }).deletion.enabled).toBe(false);
  });

  test.each([true, "true", "True", "TRUE"])("deletes when it says %j", (said) => {
    expect(parse({ ...SAMPLE, "auto-delete-snapshot": said }).deletion.enabled).toBe(true);
  });

  test.each(["no", "yes", "0", "1", 0, 1, "off", "'false'", "flase", [], {}, [false]])(
    "is refused when deletion is %j",
    (said) => {
      expect(problemsOf({ ...SAMPLE, "auto-delete-snapshot": said })).toMatchObject([
        { key: "auto-delete-snapshot", remedy: "write true or false" },
      ]);
    },
  );

  test.each([
    "account",
    "region",
    "backupVault",
    "notificationAlias",
    "s3KmsCmk",
    "s3AccessLogsBucket",
    "s3AccessLogsPrefix",
  ])("is refused with a placeholder in %s", (key) => {
    const [problem, ...others] = problemsOf({ ...SAMPLE, [key]: "<FILL IN>" });
    expect(problem).toMatchObject({ key, problem: '"<FILL IN>" is a placeholder' });
    expect(others).toEqual([]);
  });
});

describe("what is left out", () => {
  test.each(ALL_KEYS.filter((key) => key !== "backupVault" && !key.startsWith("network.subnets.")))(
    "is the default: %s",
    (key) => {
      const [first = "", second] = key.split(".");
      for (const blank of [null, "", "  ", undefined]) {
        expect(read(second === undefined ? { [first]: blank } : { [first]: { [second]: blank } })).toEqual(read());
      }
    },
  );

  test("is off when it is a number of days that is 0", () => {
    expect(read({ lifecycleRules: { glacier: 0, deepArchive: "0", expiration: 30 } }).bucket.lifecycle).toEqual({
      expiration: 30,
    });
  });

  test("is told when it is the vault", () => {
    for (const backupVault of [undefined, null, "", " "]) {
      expect(problemsOf({ backupVault })).toMatchObject([{ key: "backupVault", problem: "is missing" }]);
    }
  });
});

describe("keys", () => {
  test.each([
    ["autoDeleteSnapshot", "auto-delete-snapshot"],
    ["auto-delete-snapshots", "auto-delete-snapshot"],
    ["auto_delete_snapshot", "auto-delete-snapshot"],
    ["backupvault", "backupVault"],
    ["lifecycleRule", "lifecycleRules"],
    ["tag", "tags"],
    ["verify", "verification"],
    ["rootDiskGb", "compute.rootDiskGib"],
    ["volumeType", "restore.volumeType"],
    ["minimumRecoveryPoint", "minimumRecoveryPoints"],
  ])("that nobody knows are refused with the nearest that is known: %s", (written, meant) => {
    expect(problemsOf({ [written]: true })).toMatchObject([
      { key: written, problem: "is no setting", remedy: `did you mean ${meant}?` },
    ]);
  });

  test("within a section are told with it", () => {
    expect(
      problemsOf({ compute: { spott: true }, lifecycleRules: { deepArchiv: 3 }, network: { zones: 3 } }),
    ).toMatchObject([
      { key: "lifecycleRules.deepArchiv", remedy: "did you mean lifecycleRules.deepArchive?" },
      { key: "compute.spott", remedy: "did you mean compute.spot?" },
      { key: "network.zones" },
    ]);
  });

  test("with dots are told how to be written", () => {
    const [problem] = problemsOf({ "compute.spot": "true" });
    expect(problem?.remedy).toContain(`-c 'compute={"spot": …}'`);
  });

  test("of no likeness to any are told to go", () => {
    expect(problemsOf({ quux: 1 })).toMatchObject([
      { key: "quux", remedy: "remove it; docs/settings.md has them all" },
    ]);
  });

  test("stay on one line, whatever is in them", () => {
    expect(problemsOf({ "a\nb": 1, __proto__x: 1 }).map(({ key }) => key)).toEqual([String.raw`"a\nb"`, "__proto__x"]);
  });

  test("of the CDK's own are none of ours", () => {
    const providers: readonly string[] = Object.values(ContextProvider);
    expect(providers).toContain("vpc-provider");
    expect(read(Object.fromEntries(providers.map((provider) => [`${provider}:account=1:region=x`, {}])))).toEqual(
      read(),
    );
    // A name without its colon is a mistake of somebody's.
    expect(problemsOf({ "vpc-provider": {} })).toHaveLength(1);
  });
});

describe("the command line", () => {
  test("gives text for everything", () => {
    expect(
      read({
        compute: '{"spot": "true", "maxVcpus": "128", "instanceTypes": "c7g, m7g"}',
        network: "nat",
        reconcile: "dry-run",
        resourceTypes: "ebs",
        sourceAccounts: "111111111111,222222222222",
        minimumRecoveryPoints: "3",
        tags: '{"team": "backup"}',
        securityTag: "team",
      }),
    ).toEqual(
      read({
        compute: { spot: true, maxVcpus: 128, instanceTypes: ["c7g", "m7g"] },
        network: { mode: "nat" },
        reconcile: { mode: "dry-run" },
        resourceTypes: ["EBS"],
        sourceAccounts: ["111111111111", "222222222222"],
        minimumRecoveryPoints: 3,
        tags: { team: "backup" },
        securityTag: "team",
      }),
    );
  });

  test("that names zones gives their names, or how many", () => {
    expect(read({ network: '{"availabilityZones": "3"}' }).network).toMatchObject({ availabilityZones: 3 });
    expect(read({ network: { availabilityZones: "eu-central-1a,eu-central-1b" } }).network).toMatchObject({
      availabilityZones: ["eu-central-1a", "eu-central-1b"],
    });
  });

  test("with broken JSON is told what belongs there", () => {
    expect(problemsOf({ compute: '{"spot": ', tags: "team" })).toMatchObject([
      { key: "tags", remedy: 'write {"key": "value"}' },
      { key: "compute", problem: "is not an object" },
    ]);
  });
});

describe("problems", () => {
  test("are told all together, each with its key and its remedy, one a line", () => {
    const context = {
      account: 1,
      backupVault: "arn:aws:s3:::bucket",
      "auto-delete-snapshot": "maybe",
      compression: { codec: "lzma", level: 6.5 },
      compute: { rootDiskGib: 8, instanceTypes: ["c7i"] },
      lifecycleRules: { glacier: 30, expiration: 30 },
      securityTag: "team",
      typo: 1,
    };
    const problems = problemsOf(context);
    expect(problems.map(({ key }) => key).sort()).toEqual(
      [
        "account",
        "auto-delete-snapshot",
        "backupVault",
        "compression.codec",
        "compression.level",
        "compute.instanceTypes",
        "compute.rootDiskGib",
        "lifecycleRules.expiration",
        "securityTag",
        "typo",
      ].sort(),
    );
    const message = new InvalidSettings(problems).message.split("\n");
    expect(message[0]).toBe("10 problems in the settings (cdk.json and -c):");
    expect(message.slice(1)).toEqual(problems.map(({ key, problem, remedy }) => `  ${key}: ${problem}; ${remedy}`));
  });

  test("are not told twice: what is wrong in itself is not compared with the rest", () => {
    expect(
      problemsOf({
        network: { mode: "existing", vpcId: "vpc", subnets: [{ subnetId: "subnet", availabilityZone: "a" }] },
      }).map(({ key }) => key),
    ).toEqual(["network.vpcId", "network.subnets[0].subnetId", "network.subnets[0].availabilityZone"]);
    expect(problemsOf({ tags: { "aws:a": "1" }, securityTag: "aws:a" }).map(({ key }) => key)).toEqual([
      "tags.aws:a",
      "securityTag",
    ]);
  });

  test.each([null, undefined, 1, "text", [], true])("are told of a context that is %j", (context) => {
    expect(() => parse(context)).toThrow(InvalidSettings);
  });
});

describe("numbers agree with", () => {
  test("those that CloudWatch Logs offers", () => {
    const offered = Object.values(RetentionDays).filter(
      (days): days is RetentionDays => typeof days === "number" && days !== RetentionDays.INFINITE,
    );
    expect([...LOG_RETENTION_DAYS].sort((a, b) => a - b)).toEqual(offered.map(Number).sort((a, b) => a - b));
  });

  test("the time that the state machine has", () => {
    const { TimeoutSeconds } = JSON.parse(file("statemachine", "export.asl.json")) as {
      readonly TimeoutSeconds: number;
    };
    expect(LIMITS.alarmAfterHours.most).toBe(TimeoutSeconds / 3_600);
  });
});

describe("docs/settings.md", () => {
  const rows = file("docs", "settings.md")
    .split("\n")
    .filter((line) => /^\| `[\w.-]+` \|/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    )
    .filter((cells) => cells.length === 5)
    .map(([key = "", , standard = "", , example = ""]) => ({
      key: bare(key),
      standard,
      example: JSON.parse(bare(example)) as unknown,
    }));

  test("has each key once", () => {
    expect(rows.map(({ key }) => key).sort()).toEqual(
      ALL_KEYS.filter((key) => !isSection(key) && !key.startsWith("network.subnets.")).sort(),
    );
  });

  test("says the defaults that the template has", () => {
    const { context } = JSON.parse(file("cdk.json.template")) as { readonly context: Context };
    const compared = rows.flatMap(({ key, standard }) => {
      const [first = "", second] = key.split(".");
      const inTemplate = second === undefined ? context[first] : (context[first] as Context)[second];
      // Those that depend on something are told in words.
      return inTemplate === null || key === "backupVault"
        ? []
        : [{ key, says: bare(standard), is: JSON.stringify(inTemplate).replaceAll(",", ", ") }];
    });
    expect(compared.length).toBeGreaterThan(20);
    for (const { key, says, is } of compared) {
      expect(says, key).toBe(is);
    }
  });

  test("has examples that are taken", () => {
    const companions: Readonly<Record<string, Context>> = {
      securityTag: { tags: { team: "backup" } },
      s3AccessLogsPrefix: { s3AccessLogsBucket: "access-logs" },
      "objectLock.mode": { objectLock: { days: 30 } },
      "objectLock.days": { objectLock: { mode: "GOVERNANCE" } },
      "compute.instanceTypes": { compute: { architecture: "arm64" } },
      "network.vpcId": {
        network: { mode: "existing", subnets: rows.find(({ key }) => key === "network.subnets")?.example },
      },
      "network.subnets": { network: { mode: "existing", vpcId: "vpc-0123456789abcdef0" } },
    };
    for (const { key, example } of rows) {
      const [first = "", second] = key.split(".");
      const beside = companions[key] ?? {};
      const context = {
        ...beside,
        [first]: second === undefined ? example : { ...(beside[first] as Context | undefined), [second]: example },
      };
      expect(read(context), key).toBeDefined();
    }
  });
});

describe("the README", () => {
  test("shows settings that are taken as they stand", () => {
    const section = /^## Settings$(.*?)^## /ms.exec(file("README.md"))?.[1] ?? "";
    const example = /```json\n(.*?)```/s.exec(section)?.[1] ?? "";
    expect(parse(JSON.parse(example))).toBeDefined();
  });
});

function bare(cell: string): string {
  return cell.replaceAll("`", "");
}

function isSection(key: string): boolean {
  return ALL_KEYS.some((one) => one.startsWith(`${key}.`) && !key.includes("."));
}
