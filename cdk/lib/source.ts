import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileSystem } from "aws-cdk-lib";

/** The root of the repository. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What the Lambdas are compiled from. A change elsewhere changes none of them. */
const LAMBDA_SOURCES = ["Cargo.toml", "Cargo.lock", "domain/Cargo.toml", "domain/src", "lambdas/Cargo.toml", "lambdas/src"];

/** Changes when a Lambda would be compiled anew; equal for equal sources, so that a second synthesis compiles nothing. */
export function lambdaFingerprint(binary: string, architecture: string): string {
  const hash = createHash("sha256").update(`${binary} ${architecture}`);
  for (const source of LAMBDA_SOURCES) {
    hash.update(FileSystem.fingerprint(join(projectRoot, source)));
  }
  return hash.digest("hex");
}

/** The state machine, with its `${tokens}`. */
export function stateMachineDefinition(): string {
  const text = readFileSync(join(projectRoot, "statemachine", "export.asl.json"), "utf8");
  return JSON.stringify(JSON.parse(text));
}
