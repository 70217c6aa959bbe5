import { describe, expect, test } from "vitest";
import { isWide } from "../lib/permission.js";
import { managedPolicies, markdown, rows, type Row } from "./iam.js";
import { template } from "./template.js";

/** Everything that widens permissions is on. */
const WIDEST = {
  "auto-delete-snapshot": true,
  compute: { spot: true },
  network: { mode: "nat" },
};

const table = rows(template(WIDEST));

/** Where a delete is narrowed by a prefix of our own bucket, there are no tags. */
const BY_PREFIX = new Set(["s3:DeleteObject", "s3:AbortMultipartUpload"]);

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
    expect(table.filter((row) => row.action.includes("*"))).toEqual([]);
  });

  test("to change or delete something ask for our tag", () => {
    const unconditional = table.filter((row) => CHANGES.test(row.action) && !PLUMBING.test(row.action) && !BY_PREFIX.has(row.action) && row.condition === "");
    // AWS Backup's own call on a recovery point, which carries no tag of ours; its reason is in the table. A snapshot that is read.
    expect([...new Set(unconditional.map((row) => `${row.action} ${row.why === "" ? "unexplained" : "explained"}`))]).toEqual([
      "backup:DeleteRecoveryPoint explained",
      "ec2:CreateVolume explained",
    ]);
  });

  test("to delete objects are the cleanup's and the claims' alone, and never the worker's", () => {
    const deleting = table.filter((row) => row.action.startsWith("s3:Delete"));
    expect([...new Set(deleting.map((row) => row.role))]).toEqual([
      "Functions/cleanup-role",
      "Functions/conclude-role",
      "Functions/plan-role",
      "Functions/reaper-role",
    ]);
  });

  test("to delete recovery points exist only where deletion is on, and ask for the tag where one is set", () => {
    const deletes = (context: Record<string, unknown>): Row[] => rows(template(context)).filter((row) => /DeleteRecoveryPoint|DeleteSnapshot|DeregisterImage/.test(row.action));
    expect(deletes({})).toEqual([]);
    expect(new Set(deletes({ "auto-delete-snapshot": "true" }).map((row) => row.role))).toEqual(new Set(["Functions/delete-recovery-point-role"]));
    for (const row of deletes({ "auto-delete-snapshot": true, backupTag: "exported" })) {
      expect(row.condition).toContain("aws:ResourceTag/exported true");
    }
  });

  test("to pull an image reach its own repository, wherever that is", () => {
    const pulled = (context: Record<string, unknown>): string[] =>
      rows(template(context))
        .filter((row) => row.action === "ecr:BatchGetImage")
        .map((row) => row.resource);
    const elsewhere = { network: { mode: "nat" }, compute: { workerImage: "999988887777.dkr.ecr.eu-west-1.amazonaws.com/tools/worker:1" } };
    expect(pulled(elsewhere)).toEqual(["arn:<AWS::Partition>:ecr:eu-west-1:999988887777:repository/tools/worker"]);
    expect(pulled({})).toHaveLength(1);
  });

  test("never come from managed policies", () => {
    expect(managedPolicies(template(WIDEST))).toEqual([]);
  });

  test("name the partition as a token", () => {
    expect(table.filter((row) => row.resource.startsWith("arn:aws"))).toEqual([]);
  });

  test("of a security tag reach every condition on restored volumes", () => {
    const secured = rows(template({ ...WIDEST, tags: { team: "backup" }, securityTag: "team" }));
    const onVolumes = secured.filter((row) => row.resource.endsWith(":volume/*") && row.action !== "ec2:CreateTags");
    expect(onVolumes.length).toBeGreaterThan(4);
    for (const row of onVolumes) {
      expect(row.condition, row.action).toContain("Tag/team backup");
    }
  });
});
