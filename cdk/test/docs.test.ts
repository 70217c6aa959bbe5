import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import kinds from "../../domain/golden/failure-kinds.json" with { type: "json" };
import { ALL_KEYS, SECTIONS } from "../lib/settings/schema.js";
import { projectRoot } from "../lib/source.js";
import { resources, template, type Resource } from "./template.js";

/**
 * What the documentation says, held against what it speaks of: the template, the failure kinds, the settings, its own
 * arithmetic.
 */

const read = (...path: readonly string[]): string => readFileSync(join(projectRoot, ...path), "utf8");
const operations = read("docs", "operations.md");
const cost = read("docs", "cost.md");

const everything = Object.values(resources(template()));
const ofType = (type: string): Resource[] => everything.filter((resource) => resource.Type === type);

/** Anchors as GitHub makes them of headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- ]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Cells of every table whose header is `header`. */
function tables(markdown: string, header: string): string[][][] {
  return markdown
    .split(/\n(?!\|)/)
    .map((block) => block.split("\n").filter((line) => line.startsWith("|")))
    .filter(([first]) => first === header)
    .map((lines) =>
      lines.slice(2).map((line) =>
        line
          .slice(1, -1)
          .split("|")
          .map((cell) => cell.trim()),
      ),
    );
}

const bare = (cell: string): string => cell.replaceAll("`", "");

/** The value of a sum or product of numbers and named prices. */
function evaluate(expression: string, prices: ReadonlyMap<string, number>): number {
  const tokens = expression.match(/[\d.]+|\w+|\S/g) ?? [];
  const atom = (): number => {
    const token = tokens.shift() ?? "";
    if (token === "(") {
      const value = sum();
      expect(tokens.shift(), expression).toBe(")");
      return value;
    }
    const value = /^[\d.]+$/.test(token) ? Number(token) : prices.get(token);
    if (value === undefined) {
      throw new Error(`${expression}: there is no price ${token}`);
    }
    return value;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[0] === "*" || tokens[0] === "/") {
      value = tokens.shift() === "*" ? value * atom() : value / atom();
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[0] === "+" || tokens[0] === "-") {
      value = tokens.shift() === "+" ? value + product() : value - product();
    }
    return value;
  };
  const value = sum();
  expect(tokens, expression).toEqual([]);
  return value;
}

describe("every page", () => {
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    ...readdirSync(join(projectRoot, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];

  test.each(pages)("%s links to files and headings that are there", (page) => {
    const text = read(page);
    for (const [link, target = "", anchor = ""] of text.matchAll(/\]\(((?!https?:)[^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === "" ? page : join(dirname(page), target);
      expect(existsSync(join(projectRoot, file)), link).toBe(true);
      if (anchor !== "") {
        expect(anchors(read(file)), link).toContain(anchor);
      }
    }
  });
});

describe("operations.md", () => {
  const alarms = ofType("AWS::CloudWatch::Alarm").map((alarm) => String(alarm.Properties?.AlarmDescription));

  test("has a heading for every alarm, where the alarm's description points", () => {
    const there = anchors(operations);
    expect(alarms.length).toBeGreaterThan(0);
    for (const description of alarms) {
      const anchor = /docs\/operations\.md#([\w-]+)$/.exec(description)?.[1];
      expect(there, description).toContain(anchor);
    }
  });

  test("names the logical ids by which the bucket and its key are adopted", () => {
    for (const [, id = ""] of operations.matchAll(/"(Storage\w+)": \{/g)) {
      expect(resources(template())[id]?.DeletionPolicy, id).toBe("Retain");
    }
    expect(operations).toMatch(/"Storage\w+": \{"BucketName"/);
  });

  test("says what every kind of failure means", () => {
    expect(kinds.length).toBeGreaterThan(20);
    const told = tables(operations, "| error | what it means | what to do |")
      .flat()
      .map(([error = ""]) => bare(error));
    for (const kind of kinds) {
      expect(told).toContain(kind);
    }
  });
});

describe("settings.md", () => {
  /** `a` and `b.c` of `{"a": 1, "b": {"c": 2}}`. */
  const keysOf = (section: object, path: readonly string[] = []): string[] =>
    Object.entries(section).flatMap(([key, value]: [string, unknown]) =>
      typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
        ? keysOf(value, [...path, key])
        : [[...path, key].join(".")],
    );

  test("has every key of the template", () => {
    const { context } = JSON.parse(read("cdk.json.template")) as {
      readonly context: Readonly<Record<string, unknown>>;
    };
    const settings = read("docs", "settings.md");
    const keys = keysOf(context);
    expect(keys.length).toBeGreaterThan(30);
    for (const key of keys) {
      expect(settings).toContain(`\`${key}\``);
    }
  });
});

/** Pages name settings as the template does: a renamed one must not live on in them. */
test.each(["operations", "security", "cost"])("%s.md names settings that there are", (page) => {
  const sections = Object.entries(SECTIONS).filter(([section]) => section !== "");
  const known = new Set(ALL_KEYS);
  for (const [, written = ""] of read("docs", `${page}.md`).matchAll(/`([a-zA-Z0-9]+(?:\.[a-zA-Z0-9]+)+)`/g)) {
    if (sections.some(([section]) => written.startsWith(`${section}.`))) {
      expect(known, written).toContain(written);
    }
  }
});

describe("cost.md", () => {
  const rows = tables(cost, "| name | what | unit | USD |").flat();
  const prices = new Map(rows.map(([name = "", , , usd]) => [bare(name), Number(usd)]));
  const calculations = tables(cost, "| what | arithmetic | USD |");

  test("names each price once, and uses it", () => {
    expect(rows.length).toBe(prices.size);
    const text = cost
      .split("\n")
      .filter((line) => !/^\| `\w+` \|/.test(line))
      .join("\n");
    for (const [name, usd] of prices) {
      expect(usd, name).toBeGreaterThan(0);
      expect(text).toMatch(new RegExp(`\\b${name}\\b`));
    }
  });

  test("computes what it says", () => {
    expect(calculations.length).toBeGreaterThan(10);
    const known = new Map(prices);
    const wrong: string[] = [];
    for (const lines of calculations) {
      let total = 0;
      for (const [what = "", arithmetic = "", usd = ""] of lines) {
        const expression = bare(arithmetic);
        const value = expression === "sum" ? total : evaluate(expression, known);
        const decimals = usd.split(".")[1]?.length ?? 0;
        if (usd !== value.toFixed(decimals)) {
          wrong.push(`${what}: says ${usd}, is ${value.toFixed(decimals)}`);
        }
        total += expression === "sum" ? 0 : value;
        // A total with a name is used further down.
        const name = /^\*\*total\*\*: `(\w+)`$/.exec(what)?.[1];
        if (name !== undefined) {
          known.set(name, value);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("counts what the template holds", () => {
    const standing = cost.slice(cost.indexOf("## Standing cost"));
    const quantity = (price: string): number => Number(new RegExp(`\\\`(\\d+) \\* ${price}\\\``).exec(standing)?.[1]);
    const metrics = new Set(
      [...JSON.stringify(ofType("AWS::CloudWatch::Dashboard")).matchAll(/BackupExport\\*",\\*"(\w+)\\*"/g)].map(
        ([, name]) => name,
      ),
    );
    expect(quantity("alarm")).toBe(ofType("AWS::CloudWatch::Alarm").length);
    expect(quantity("key")).toBe(ofType("AWS::KMS::Key").length);
    expect(quantity("metric")).toBe(metrics.size);
    expect(ofType("AWS::CloudWatch::Dashboard")).toHaveLength(1);
    const endpoints = (...resourceTypes: string[]): number =>
      Object.values(resources(template({ network: "endpoints", resourceTypes }))).filter(
        (resource) => resource.Type === "AWS::EC2::VPCEndpoint" && resource.Properties?.VpcEndpointType === "Interface",
      ).length;
    expect(standing).toContain(`\`${endpoints("EBS", "EC2")} * 1 * 730 * endpoint\``);
    expect(standing).toContain(`\`${endpoints("RDS", "Aurora", "DynamoDB") - endpoints("EBS")} * 2 * 730 * endpoint\``);
  });
});
