import { InvalidSettings, parse, type Problem, type Settings } from "../lib/settings/index.js";
import type { Context } from "./arbitrary.js";

/** The settings of a context that has a vault. */
export function read(context: Context = {}): Settings {
  return parse({ backupVault: "Default", ...context });
}

/** What is wrong with such a context; nothing wrong is a failure. */
export function problemsOf(context: Context): readonly Problem[] {
  try {
    read(context);
  } catch (error) {
    if (error instanceof InvalidSettings) {
      return error.problems;
    }
    throw error;
  }
  throw new Error(`${JSON.stringify(context)} is taken as good`);
}
