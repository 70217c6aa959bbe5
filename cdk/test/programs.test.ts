import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { App, AssetStaging, Stack } from "aws-cdk-lib";
import { Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BINARIES } from "../lib/binaries.js";
import { Programs } from "../lib/programs.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "backup-export-programs-"));
  vi.stubEnv("TMPDIR", folder);
  vi.stubEnv("PATH", [folder, process.env.PATH].join(delimiter));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Puts something in the place of cargo. It notes how it is called; the fourth word is where the programs go. */
function cargo(...lines: readonly string[]): void {
  const shim = join(folder, "cargo");
  writeFileSync(shim, ["#!/bin/sh", `echo "$*" >> ${folder}/calls`, ...lines].join("\n"));
  chmodSync(shim, 0o755);
}

const COMPILING = [
  `for name in ${BINARIES.join(" ")}; do`,
  `  mkdir "$4/$name" && echo "$name" > "$4/$name/bootstrap" && chmod +x "$4/$name/bootstrap"`,
  "done",
];

function calls(): string[] {
  const file = join(folder, "calls");
  return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
}

/** Synthesizes all functions, and says what each asset holds. */
function synthesize(architecture: "arm64" | "x86_64" = "arm64"): Map<string, string> {
  // As a process of its own would begin.
  AssetStaging.clearAssetHashCache();
  const outdir = join(folder, "out");
  const app = new App({ analyticsReporting: false, outdir });
  const stack = new Stack(app, "Stack");
  const programs = new Programs(architecture);
  for (const binary of BINARIES) {
    const code = programs.code(binary);
    new Function(stack, binary, { runtime: Runtime.PROVIDED_AL2023, handler: "bootstrap", code });
  }
  app.synth();
  const assets = readdirSync(outdir).filter((name) => existsSync(join(outdir, name, "bootstrap")));
  return new Map(
    assets.map((name) => [join(outdir, name), readFileSync(join(outdir, name, "bootstrap"), "utf8").trim()]),
  );
}

describe("the programs of the Lambdas", () => {
  test("are compiled by one call, and each function has its own", () => {
    cargo(...COMPILING);
    const assets = synthesize();
    expect([...assets.values()].sort()).toEqual([...BINARIES].sort());
    for (const asset of assets.keys()) {
      expect(statSync(join(asset, "bootstrap")).mode & 0o111, asset).toBe(0o111);
    }
    expect(calls()).toEqual([
      expect.stringMatching(
        /^lambda build --lambda-dir \S+ --package lambdas --bins --profile lambda --arm64 --locked$/,
      ),
    ]);
  });

  test("are not compiled again where they are", () => {
    cargo(...COMPILING);
    const first = synthesize();
    expect(synthesize()).toEqual(first);
    expect(calls()).toHaveLength(1);
  });

  test("are compiled again where one is missing, and for another architecture", () => {
    cargo(...COMPILING);
    const [asset = ""] = synthesize().keys();
    rmSync(asset, { recursive: true });
    expect(synthesize().get(asset)).toBeDefined();
    expect(calls()).toHaveLength(2);
    expect(synthesize("x86_64").size).toBe(2 * BINARIES.length);
    expect(calls()[2]).toContain(" --x86-64 ");
  });

  test("that do not compile are told, and leave nothing that a later synthesis would take for a program", () => {
    cargo("exit 101");
    expect(() => synthesize()).toThrow(/cargo lambda build/);
    cargo(...COMPILING);
    expect([...synthesize().values()].sort()).toEqual([...BINARIES].sort());
  });
});
