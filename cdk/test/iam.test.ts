import { describe, expect, test } from "vitest";
import { isWide } from "../lib/permission.js";
import { managedPolicies, markdown, rows, text, type Row } from "./iam.js";
import { resources, template } from "./template.js";

/**
 * Everything that widens permissions is on. A live table is no backup, and cannot be exported where backups are
 * deleted.
 */
const WIDEST = {
  resourceTypes: ["EBS", "EC2", "RDS", "Aurora", "DynamoDB"],
  database: { parquet: true },
  "auto-delete-snapshot": true,
  compute: { spot: true },
  network: { mode: "nat" },
};

const table = rows(template(WIDEST));

/** Where a delete is narrowed by a prefix of our own bucket, there are no tags. */
const BY_PREFIX = new Set(["s3:DeleteObject", "s3:AbortMultipartUpload"]);

/**
 * What DynamoDB and Systems Manager restore and keep for us has a name that nothing else has, and tags only afterwards.
 */
const OF_OURS = /:(?:table\/exp-\*-table|parameter\/backup-export\/exp-\*)$/;

/** Given to RDS for what it exports itself: it demands these actions in these words. */
const OF_RDS = "Databases/ExportRole";

const CHANGES = /:(Delete|Detach|Attach|Modify|Terminate|Deregister|Stop|Reboot|Create|Cancel|Tag|Untag)/;

/** Of ECS and Step Functions' own plumbing, which concerns hosts and log deliveries, never a user's resource. */
const PLUMBING = /^(ecs:DeregisterContainerInstance|logs:(Create|Delete)LogDelivery|logs:CreateLogStream)$/;

describe("permissions", () => {
  test("are those of the golden table", async () => {
    await expect(markdown(table)).toMatchFileSnapshot("golden/iam.md");
  });

  test("on a wide resource are narrowed by a condition or explained", () => {
    expect(table.filter((row) => isWide(row.resource) && row.condition === "" && row.why === "")).toEqual([]);
  });

  test("on everything are explained, conditions or not", () => {
    expect(table.filter((row) => row.resource === "*" && row.why === "")).toEqual([]);
  });

  test("name no action by a wildcard", () => {
    expect(table.filter((row) => row.action.includes("*") && row.role !== OF_RDS)).toEqual([]);
    expect(
      new Set(table.filter((row) => row.role === OF_RDS && row.action.includes("*")).map(({ resource }) => resource)),
    ).toEqual(new Set(["<StorageBucket.Arn>/data/aurora/*", "<StorageBucket.Arn>/data/rds/*"]));
  });

  test("to change or delete something ask for our tag", () => {
    const unconditional = table.filter(
      (row) =>
        CHANGES.test(row.action) &&
        !PLUMBING.test(row.action) &&
        !BY_PREFIX.has(row.action) &&
        !OF_OURS.test(row.resource) &&
        row.role !== OF_RDS &&
        row.condition === "",
    );
    // What instances are made of, and a snapshot that is read. RDS can narrow the end of a task by nothing. AWS
    // Backup's own call on a recovery point, which carries no tag of ours. The reasons are in the table.
    expect([
      ...new Set(unconditional.map((row) => `${row.action} ${row.why === "" ? "unexplained" : "explained"}`)),
    ]).toEqual([
      "rds:CreateDBInstance explained",
      "rds:CancelExportTask explained",
      "backup:DeleteRecoveryPoint explained",
      "ec2:CreateVolume explained",
    ]);
  });

  test("to delete objects are the cleanup's and the claims' alone, and never the worker's", () => {
    const deleting = table.filter((row) => row.action.startsWith("s3:Delete") && row.role !== OF_RDS);
    expect([...new Set(deleting.map((row) => row.role))]).toEqual([
      "Functions/cleanup-role",
      "Functions/conclude-role",
      "Functions/plan-role",
      "Functions/reaper-role",
    ]);
  });

  test("to delete recovery points exist only where deletion is on, and ask for the tag where one is set", () => {
    const deletes = (context: Record<string, unknown>): Row[] =>
      rows(template(context)).filter((row) => /DeleteRecoveryPoint|DeleteSnapshot|DeregisterImage/.test(row.action));
    expect(deletes({})).toEqual([]);
    expect(new Set(deletes({ "auto-delete-snapshot": "true" }).map((row) => row.role))).toEqual(
      new Set(["Functions/delete-recovery-point-role"]),
    );
    for (const row of deletes({ "auto-delete-snapshot": true, backupTag: "exported" })) {
      expect(row.condition).toContain("aws:ResourceTag/exported true");
    }
  });

  test("to delete snapshots of databases and backups of tables are AWS Backup's to use", () => {
    const deletes = table.filter((row) => /:(DeleteDBSnapshot|DeleteDBClusterSnapshot|DeleteBackup)$/.test(row.action));
    expect(deletes).toHaveLength(3);
    for (const row of deletes) {
      expect(row.condition, row.action).toContain("aws:CalledVia backup.amazonaws.com");
    }
  });

  test("for databases and for tables are there where these are exported, and nowhere else", () => {
    const services = (...resourceTypes: string[]): Set<string> =>
      new Set(
        rows(template({ ...WIDEST, resourceTypes })).flatMap(
          (row) =>
            /^(?:rds|dynamodb|ssm|iam)(?=:)/.exec(row.action) ??
            (/(?:rds|dynamodb)\.</.exec(row.condition) ? ["key"] : []),
        ),
      );
    expect(services("EBS", "EC2")).toEqual(new Set());
    expect(services("RDS")).toEqual(new Set(["rds", "ssm", "iam", "key"]));
    expect(services("Aurora")).toEqual(services("RDS"));
    expect(services("DynamoDB")).toEqual(new Set(["dynamodb", "iam", "key"]));
  });

  test("to pass a role name it and the service that takes it", () => {
    const passed = table.filter((row) => row.action === "iam:PassRole");
    expect(new Set(passed.map(({ resource }) => resource))).toEqual(
      new Set(["<DatabasesExportRole.Arn>", "<TablesRestoreRole.Arn>"]),
    );
    for (const row of passed) {
      expect(row.condition).toContain("StringEquals iam:PassedToService");
    }
  });

  test("to make RDS export are there where it has a key", () => {
    const actions = (parquet: boolean): string[] =>
      rows(template({ ...WIDEST, database: { parquet } })).map((row) => row.action);
    expect(actions(true)).toContain("rds:StartExportTask");
    expect(actions(false)).not.toContain("rds:StartExportTask");
  });

  test("to export a table that is not ours are there where the live table is asked for", () => {
    const exported = (native: string): string[] =>
      rows(template({ resourceTypes: ["DynamoDB"], dynamodb: { native } }))
        .filter((row) => row.action === "dynamodb:ExportTableToPointInTime")
        .map(({ resource }) => resource.slice(resource.lastIndexOf(":") + 1));
    expect(new Set(exported("backup"))).toEqual(new Set(["table/exp-*-table"]));
    expect(new Set(exported("pitr"))).toEqual(new Set(["table/exp-*-table", "table/*"]));
  });

  test("of one role fit into what a role takes", () => {
    const roles = Object.values(
      resources(
        template({
          ...WIDEST,
          prefix: "b".repeat(30),
          tags: { ["k".repeat(128)]: "v".repeat(256) },
          securityTag: "k".repeat(128),
        }),
      ),
    );
    for (const { Type, Properties, Metadata } of roles.filter(({ Type: type }) => type === "AWS::IAM::Role")) {
      expect(Type).toBeDefined();
      // Accounts, Regions, partitions, and ARNs of what CloudFormation names are no longer than this.
      const filled = JSON.stringify(Properties?.Policies ?? [], (_, each: unknown) =>
        isIntrinsic(each)
          ? text(each)
              .replaceAll(/<AWS::\w+>/g, "x".repeat(14))
              .replaceAll(/<[^>]*>/g, "x".repeat(100))
          : each,
      );
      expect(filled.length, String(Metadata?.["aws:cdk:path"])).toBeLessThan(10_240);
    }
  });

  test("to pull an image reach its own repository, wherever that is", () => {
    const pulled = (context: Record<string, unknown>): string[] =>
      rows(template(context))
        .filter((row) => row.action === "ecr:BatchGetImage")
        .map((row) => row.resource);
    const elsewhere = {
      network: { mode: "nat" },
      compute: { workerImage: "999988887777.dkr.ecr.eu-west-1.amazonaws.com/tools/worker:1" },
    };
    expect(pulled(elsewhere)).toEqual(["arn:<AWS::Partition>:ecr:eu-west-1:999988887777:repository/tools/worker"]);
    expect(pulled({})).toHaveLength(1);
  });

  test("never come from managed policies", () => {
    expect(managedPolicies(template(WIDEST))).toEqual([]);
  });

  test("name the partition as a token", () => {
    expect(table.filter((row) => row.resource.startsWith("arn:aws"))).toEqual([]);
  });

  test("of a security tag reach every condition on restored volumes and databases", () => {
    const secured = rows(template({ ...WIDEST, tags: { team: "backup" }, securityTag: "team" }));
    const restored = secured.filter(
      (row) =>
        /:(volume\/\*|db:exp-\*-db|cluster:exp-\*-cluster)$/.test(row.resource) && row.action !== "ec2:CreateTags",
    );
    expect(restored.length).toBeGreaterThan(15);
    for (const row of restored) {
      expect(row.condition, row.action).toContain("Tag/team backup");
    }
  });
});

/** Such as `{"Fn::Join": […]}`. */
function isIntrinsic(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    /^(?:Ref|Fn::\w+)$/.test(Object.keys(value)[0] ?? "") &&
    Object.keys(value).length === 1
  );
}
