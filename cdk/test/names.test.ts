import { expect, test } from "vitest";
import tags from "../../domain/golden/tags.json" with { type: "json" };
import metrics from "../../lambdas/golden/metrics.json" with { type: "json" };
import { INSTALLATION_TAG } from "../lib/installation.js";
import { rows } from "./iam.js";
import { problemsOf } from "./settings.js";
import { resources, template } from "./template.js";

/**
 * Names that the programs and the template share, as they stand in the template. The programs' own tests make the
 * golden files.
 */

test("the metrics of ours that alarms and the dashboard show are those that the Lambdas write", () => {
  const { namespace, units } = metrics;
  const all = Object.values(resources(template()));
  const alarms = all
    .filter(({ Type, Properties }) => Type === "AWS::CloudWatch::Alarm" && Properties?.Namespace === namespace)
    .map(({ Properties }) => String(Properties?.MetricName));
  const dashboards = JSON.stringify(all.filter(({ Type }) => Type === "AWS::CloudWatch::Dashboard"));
  const shown = [
    ...dashboards.matchAll(new RegExp(String.raw`${namespace}\\+",\\+"(\w+)\\+",\\+"${metrics.dimension}\\+"`, "g")),
  ].map(([, name = ""]) => name);
  expect(alarms).toContain("OldestExecutionSeconds");
  expect([...new Set([...alarms, ...shown])].sort()).toEqual(Object.keys(units).sort());
});

test("the tags of the conditions are those that exports put on what they create, or of hosts", () => {
  const keys = rows(template()).flatMap(({ condition }) =>
    [...condition.matchAll(/aws:(?:Resource|Request)Tag\/(backup-export:[\w-]+)/g)].map(([, key]) => key),
  );
  expect([...new Set(keys)].sort()).toEqual([tags.exportId, tags.execution, INSTALLATION_TAG].sort());
});

test("the keys that nobody else may use are those of AWS and ours", () => {
  const [ours = ""] = tags.reserved.filter((prefix) => INSTALLATION_TAG.startsWith(prefix));
  for (const prefix of ["aws:", ours]) {
    expect(tags.reserved).toContain(prefix);
    expect(problemsOf({ backupTag: `${prefix}team` })).toMatchObject([
      { key: "backupTag", problem: `"${prefix}team" begins with "${prefix}", which is reserved` },
    ]);
  }
});
