import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXECUTION_TAG, EXPORT_ID_TAG } from "../lib/installation.js";
import { METRICS } from "../lib/metric.js";
import { projectRoot } from "../lib/source.js";
import { resources, template } from "./template.js";

/** Names that the programs and the template share. An alarm on a metric that nobody writes would never ring. */

const folder = join(projectRoot, "lambdas/src");
const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".rs"))
  .map((name) => readFileSync(join(folder, name), "utf8"))
  .join("\n");

test("every metric of ours that an alarm or the dashboard shows is written by a Lambda", () => {
  const all = Object.values(resources(template()));
  const alarms = all.filter(({ Type, Properties }) => Type === "AWS::CloudWatch::Alarm" && Properties?.Namespace === METRICS).map(({ Properties }) => String(Properties?.MetricName));
  const dashboards = JSON.stringify(all.filter(({ Type }) => Type === "AWS::CloudWatch::Dashboard"));
  const shown = [...dashboards.matchAll(new RegExp(String.raw`${METRICS}\\+",\\+"(\w+)\\+"`, "g"))].map(([, name = ""]) => name);
  expect(alarms).toContain("OldestExecutionSeconds");
  expect(new Set(shown).size).toBeGreaterThan(8);
  for (const name of new Set([...alarms, ...shown])) {
    expect(sources, name).toContain(`"${name}"`);
  }
  expect(sources).toContain(`NAMESPACE: &str = "${METRICS}"`);
});

test("the tags of the conditions are those that exports put on what they create", () => {
  const tags = readFileSync(join(projectRoot, "domain/src/tag.rs"), "utf8");
  expect(tags).toContain(`EXPORT_ID: &str = "${EXPORT_ID_TAG}"`);
  expect(tags).toContain(`EXECUTION: &str = "${EXECUTION_TAG}"`);
});
