import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BINARIES } from "../lib/binaries.js";
import { LAMBDA_SOURCES, projectRoot } from "../lib/source.js";
import { compiledFor, members, type Member } from "./workspace.js";

/** What programs are made of, as cargo knows it, held against what is listed by hand. */

const all = members();

const workspace = ["Cargo.toml", "Cargo.lock"];
const sources = (packages: readonly Member[]): string[] =>
  packages.flatMap(({ folder }) => [`${folder}/Cargo.toml`, `${folder}/src`]);

describe("what the Lambdas are compiled from", () => {
  const packages = compiledFor("lambdas", all);

  test("is what a change of it has them compiled for, and nothing else is", () => {
    expect(packages.map(({ name }) => name)).toContain("domain");
    expect([...LAMBDA_SOURCES].sort()).toEqual([...workspace, ...sources(packages)].sort());
  });

  test("lies in the folders that are looked at", () => {
    for (const root of packages.flatMap(({ roots }) => roots)) {
      expect(
        LAMBDA_SOURCES.some((source) => root.startsWith(`${source}/`)),
        root,
      ).toBe(true);
    }
  });

  test("are the binaries of their package", () => {
    expect([...BINARIES].sort()).toEqual(all.find(({ name }) => name === "lambdas")?.binaries.toSorted());
  });
});

describe("the build context of the worker's image", () => {
  const [first, ...rules] = readFileSync(join(projectRoot, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const packages = compiledFor("batch-worker", all);

  test("has what the worker is compiled from and every manifest of the workspace, and nothing else", () => {
    expect(packages.map(({ name }) => name)).toContain("archive");
    expect(first).toBe("*");
    // Without the manifests of all members cargo does not load the workspace.
    const wanted = [
      ...workspace,
      ...sources(packages),
      ...all.map(({ folder }) => `${folder}/Cargo.toml`),
      "batch-worker/Dockerfile",
    ];
    expect(rules.toSorted()).toEqual([...new Set(wanted)].map((path) => `!${path}`).sort());
  });

  test("has every file with which the compiler begins", () => {
    for (const root of packages.flatMap(({ roots }) => roots)) {
      expect(
        rules.some((rule) => root.startsWith(`${rule.slice(1)}/`)),
        root,
      ).toBe(true);
    }
  });
});
