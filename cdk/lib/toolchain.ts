import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { projectRoot } from "./source.js";

/** Where `npm ci` puts cargo-lambda when the machine has none: see `cdk/install-cargo-lambda`. */
export const TOOLS = join(projectRoot, "node_modules", ".cargo-lambda");

/** Thrown when the Lambdas cannot be compiled here. */
export class NoCargoLambda extends Error {
  constructor() {
    super(
      "the Lambdas are compiled by cargo-lambda, and it is not here: run cdk/install-cargo-lambda (needs Python 3), or `pip install cargo-lambda ziglang`, " +
        "or follow https://www.cargo-lambda.info/guide/installation.html",
    );
    this.name = "NoCargoLambda";
  }
}

/**
 * Puts cargo-lambda on the path. Without it the bundler would ask for Docker, which says nothing to whoever lacks both.
 */
export function findCargoLambda(): void {
  if (isThere()) {
    return;
  }
  // First on the path, because cargo-lambda asks the first Python there for zig.
  process.env.PATH = [join(TOOLS, "bin"), process.env.PATH].join(delimiter);
  if (!isThere()) {
    throw new NoCargoLambda();
  }
}

function isThere(): boolean {
  return spawnSync("cargo", ["lambda", "--version"], { stdio: "ignore" }).status === 0;
}
