import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { BUNDLING_STACKS, DISABLE_ASSET_STAGING_CONTEXT, PATH_METADATA_ENABLE_CONTEXT } from "aws-cdk-lib/cx-api";
import { FLAGS } from "../lib/flags.js";
import { parse } from "../lib/settings/index.js";
import { BackupExportStack } from "../lib/stack.js";

/** A resource of a template, as far as tests look into it. */
export interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
  readonly DeletionPolicy?: string;
}

/** The stack of these settings, in an app that compiles no Lambda. */
export function stackOf(context: Readonly<Record<string, unknown>> = {}): BackupExportStack {
  return new BackupExportStack(appOf(), parse({ backupVault: "Default", ...context }));
}

const output = mkdtempSync(join(tmpdir(), "backup-export-cdk-"));
process.on("exit", () => {
  rmSync(output, { recursive: true, force: true });
});

/** An app as the program makes it, but one that compiles nothing. */
export function appOf(outdir = mkdtempSync(join(output, "app-"))): App {
  return new App({
    analyticsReporting: false,
    outdir,
    context: { [PATH_METADATA_ENABLE_CONTEXT]: true },
    // Tests look at the template alone: nothing is compiled or copied.
    postCliContext: { ...FLAGS, [BUNDLING_STACKS]: [], [DISABLE_ASSET_STAGING_CONTEXT]: true },
  });
}

const made = new Map<string, Template>();

/** Its template. Equal settings are synthesized once: nobody changes a template. */
export function template(context: Readonly<Record<string, unknown>> = {}): Template {
  const key = JSON.stringify(context);
  const known = made.get(key) ?? Template.fromStack(stackOf(context));
  made.set(key, known);
  return known;
}

/** Its resources, by logical id. */
export function resources(from: Template): Readonly<Record<string, Resource>> {
  return (from.toJSON() as { readonly Resources: Readonly<Record<string, Resource>> }).Resources;
}

/** The environment of a function, with these settings. */
export function environmentOf(context: Record<string, unknown>, binary: string): Record<string, unknown> {
  const found = Object.values(resources(template(context))).find(
    (resource) =>
      resource.Type === "AWS::Lambda::Function" &&
      String(resource.Metadata?.["aws:cdk:path"]).endsWith(`/Functions/${binary}/Resource`),
  );
  return (found?.Properties?.Environment as { readonly Variables: Record<string, unknown> }).Variables;
}
