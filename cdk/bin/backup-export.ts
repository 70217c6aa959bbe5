import { App, Validations } from "aws-cdk-lib";
import { BUNDLING_STACKS } from "aws-cdk-lib/cx-api";
import { AwsSolutionsChecks } from "cdk-nag";
import { FLAGS } from "../lib/flags.js";
import { InvalidSettings, parse } from "../lib/settings/index.js";
import { BackupExportStack } from "../lib/stack.js";
import { findCargoLambda, NoCargoLambda } from "../lib/toolchain.js";

/** The app: reads `cdk.json`, refuses what makes no sense, and describes one installation. */
function main(): void {
  const app = new App({ postCliContext: FLAGS });
  const settings = parse(app.node.getAllContext());
  // For whoever wants the template alone. What it deploys would hold no program.
  if (process.env.BACKUP_EXPORT_BUNDLING === "off") {
    app.node.setContext(BUNDLING_STACKS, []);
  } else {
    findCargoLambda();
  }
  new BackupExportStack(app, settings);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}

try {
  main();
} catch (error) {
  if (!(error instanceof InvalidSettings || error instanceof NoCargoLambda)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
