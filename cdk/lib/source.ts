import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileSystem } from "aws-cdk-lib";

/** The root of the repository. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What the Lambdas are compiled from. A change elsewhere changes none of them. */
export const LAMBDA_SOURCES: readonly string[] = [
  "Cargo.toml",
  "Cargo.lock",
  "aws/Cargo.toml",
  "aws/src",
  "domain/Cargo.toml",
  "domain/src",
  "lambdas/Cargo.toml",
  "lambdas/src",
];

/** Changes with anything that the Lambdas are compiled from. */
export function lambdaSources(): string {
  return LAMBDA_SOURCES.map((source) => FileSystem.fingerprint(join(projectRoot, source))).join(" ");
}

/**
 * Changes when a Lambda would be compiled anew; equal for equal sources, so that a second synthesis compiles nothing.
 */
export function lambdaFingerprint(sources: string, binary: string, architecture: string): string {
  return createHash("sha256").update(`${binary} ${architecture} ${sources}`).digest("hex");
}

/** The state machine, with its `${tokens}`. */
export function stateMachineDefinition(): string {
  const text = readFileSync(join(projectRoot, "statemachine", "export.asl.json"), "utf8");
  return JSON.stringify(JSON.parse(text));
}
