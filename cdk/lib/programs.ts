import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssetHashType, DockerImage } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import type { Binary } from "./binaries.js";
import type { ComputeSettings } from "./settings/index.js";
import { lambdaFingerprint, lambdaSources, projectRoot } from "./source.js";

/** The package of the Lambdas. */
const PACKAGE = join(projectRoot, "lambdas");

/** What Lambda's own runtimes start. */
const BOOTSTRAP = "bootstrap";

/**
 * The programs of the Lambdas, all compiled at once: what they share is compiled once anyway, and one call of cargo links
 * them side by side. It is made when the first of them is not in the CDK's output yet, and not at all when all are there.
 */
export class Programs {
  private readonly sources = lambdaSources();
  private folder?: string;

  constructor(private readonly architecture: ComputeSettings["architecture"]) {}

  /** Of one function. Its hash is that of what it is compiled from, so that the CDK knows it before it is compiled. */
  code(binary: Binary): Code {
    return Code.fromAsset(PACKAGE, {
      assetHashType: AssetHashType.CUSTOM,
      assetHash: lambdaFingerprint(this.sources, binary, this.architecture),
      bundling: {
        // The CDK wants one, and never looks at it: whoever has no cargo-lambda was told so by then.
        image: DockerImage.fromRegistry("none"),
        local: {
          tryBundle: (output) => {
            this.folder ??= compile(this.architecture);
            copyFileSync(join(this.folder, binary, BOOTSTRAP), join(output, BOOTSTRAP));
            return true;
          },
        },
      },
    });
  }
}

/** Compiles all of them; gives the folder in which each has one of its own. It goes with the process. */
function compile(architecture: ComputeSettings["architecture"]): string {
  const folder = mkdtempSync(join(tmpdir(), "backup-export-lambdas-"));
  process.on("exit", () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const target = architecture === "arm64" ? "--arm64" : "--x86-64";
  const which = ["--package", "lambdas", "--bins", "--profile", "lambda", target, "--locked"];
  // What cargo says is for people: the CDK's own output may be a template.
  execFileSync("cargo", ["lambda", "build", "--lambda-dir", folder, ...which], {
    cwd: PACKAGE,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  return folder;
}
