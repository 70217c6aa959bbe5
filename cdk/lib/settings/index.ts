/**
 * Reads `cdk.json`: from whatever a person wrote to {@link Settings}, or to everything that is wrong with it.
 *
 * First each value by itself ({@link SCHEMA}), then what must fit together ({@link contradictions}). The second is
 * asked of what the first found good, so that all problems are told at once and none twice.
 */
import type { z } from "zod";
import { settingsOf } from "./complete.js";
import { isOfTheCdk, unknownKey } from "./keys.js";
import { InvalidSettings, keyOf, shown, type Problem } from "./problem.js";
import { contradictions } from "./rules.js";
import { ALL_KEYS, SCHEMA, SECTIONS } from "./schema.js";
import type { Settings } from "./types.js";
import { fromJson } from "./value.js";

export { ecrAddress } from "./image.js";
export { InvalidSettings, type Problem } from "./problem.js";
export type * from "./types.js";

/** The settings that `context`, the CDK's whole context, says. Throws {@link InvalidSettings} and nothing else. */
export function parse(context: unknown): Settings {
  if (typeof context !== "object" || context === null || Array.isArray(context)) {
    throw new InvalidSettings([
      { key: "context", problem: `is ${shown(context)}, not an object`, remedy: 'write {"backupVault": "Default"}' },
    ]);
  }
  const ours = Object.fromEntries(Object.entries(context).filter(([key]) => !isOfTheCdk(key)));
  const read = SCHEMA.safeParse(ours);
  const wrong = read.success ? [] : read.error.issues.flatMap(problemsOf);
  const given = read.success
    ? read.data
    : SCHEMA.parse(
        without(
          ours,
          wrong.map(({ path }) => path),
        ),
      );
  const contradictory = contradictions(given).filter(
    ({ about }) => !about.some((key) => wrong.some(({ path }) => touches(keyOf(path), key))),
  );
  const problems = [
    ...wrong.map(({ key, problem, remedy }) => ({ key, problem, remedy })),
    ...contradictory.map(({ about: [key = ""], problem, remedy }) => ({ key, problem, remedy })),
  ];
  if (problems.length > 0) {
    throw new InvalidSettings(problems);
  }
  return settingsOf(given);
}

type Told = Problem & { readonly path: readonly PropertyKey[] };

/** An issue of zod's in our words. */
function problemsOf(issue: z.core.$ZodIssue): Told[] {
  const { path } = issue;
  const section = keyOf(path).replaceAll(/\[\d+\]/g, "");
  const siblings = SECTIONS[section] ?? [];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      key: keyOf([...path, key]),
      path: [...path, key],
      ...unknownKey([...path, key], siblings, ALL_KEYS),
    }));
  }
  if (issue.code === "custom") {
    return [{ key: keyOf(path), path, problem: issue.message, remedy: String(issue.params?.remedy) }];
  }
  // What is left: a value where a section or a list belongs.
  const remedy =
    siblings.length > 0 ? `write an object with keys of these: ${siblings.join(", ")}` : 'write a list, as ["…"]';
  const form = siblings.length > 0 && section !== "network.subnets" ? "an object" : "a list of objects";
  return [{ key: keyOf(path), path, problem: siblings.length > 0 ? `is not ${form}` : "is not a list", remedy }];
}

/** Whether one of two keys lies within the other. */
function touches(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return long === short || long.startsWith(`${short}.`) || long.startsWith(`${short}[`);
}

/** The context without what was found wrong in it; of a list with a wrong element nothing is left. */
function without(
  context: Readonly<Record<string, unknown>>,
  paths: readonly (readonly PropertyKey[])[],
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(context).flatMap(([key, one]): [string, unknown][] => {
      const here = paths.filter(([first]) => first === key).map((path) => path.slice(1));
      if (here.length === 0) {
        return [[key, one]];
      }
      const inner = fromJson(one);
      const isSection =
        typeof inner === "object" && inner !== null && !Array.isArray(inner) && here.every((path) => path.length > 0);
      return isSection ? [[key, without(inner as Readonly<Record<string, unknown>>, here)]] : [];
    }),
  );
}
