import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Validations } from "aws-cdk-lib";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { AwsSolutionsChecks } from "cdk-nag";
import { afterEach, describe, expect, test } from "vitest";
import { parse } from "../lib/settings/index.js";
import { projectRoot } from "../lib/source.js";
import { BackupExportStack } from "../lib/stack.js";
import { appOf } from "./template.js";
import { VARIANTS } from "./variants.js";

interface Report {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string;
      readonly violatingConstructs: readonly { readonly constructPath: string }[];
    }[];
  }[];
}

const made: string[] = [];

afterEach(() => {
  for (const directory of made.splice(0)) {
    rmSync(directory, { recursive: true });
  }
  process.exitCode = undefined;
});

/** Synthesizes into a directory of its own. */
function synthesize(
  context: Readonly<Record<string, unknown>>,
  after: (stack: BackupExportStack) => unknown = () => undefined,
): string {
  const directory = mkdtempSync(join(tmpdir(), "backup-export-synth-"));
  made.push(directory);
  const app = appOf(directory);
  const stack = new BackupExportStack(app, parse({ backupVault: "Default", ...context }));
  after(stack);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
  return directory;
}

function findings(directory: string): string[] {
  const report = JSON.parse(readFileSync(join(directory, "validation-report.json"), "utf8")) as Report;
  return report.pluginReports.flatMap(({ violations }) =>
    violations.map(
      ({ ruleName, violatingConstructs }) =>
        `${ruleName} ${violatingConstructs.map(({ constructPath }) => constructPath).join(", ")}`,
    ),
  );
}

/** `make setup` puts it there. */
async function cfnLint(template: string): Promise<string> {
  const program = join(projectRoot, ".venv", "bin", "cfn-lint");
  return await new Promise((resolve) => {
    execFile(program, [template], { cwd: projectRoot }, (error, stdout, stderr) => {
      resolve(error?.code === "ENOENT" ? `${program} is not there: make setup` : `${stdout}${stderr}`);
    });
  });
}

describe.each(Object.entries(VARIANTS))("the template %s", (_, context) => {
  test("passes cdk-nag and cfn-lint", async () => {
    const directory = synthesize(context);
    expect(findings(directory)).toEqual([]);
    expect(await cfnLint(join(directory, "backup-export.template.json"))).toBe("");
  });
});

describe("cdk-nag", () => {
  test("would have said so", () => {
    expect(() => synthesize({}, (stack) => new Queue(stack, "Open"))).toThrow("AwsSolutions-SQS4");
  });
});
