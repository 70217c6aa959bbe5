import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidSettings, parse, type Settings } from "../lib/settings/index.js";
import { ALL_KEYS } from "../lib/settings/schema.js";
import { validContext, type Context } from "./arbitrary.js";

const RUNS = 500;

/** What `parse` makes of anything: settings, or problems that a person can read. Anything else fails. */
function outcome(context: unknown): Settings | InvalidSettings {
  try {
    return parse(context);
  } catch (error) {
    if (!(error instanceof InvalidSettings)) {
      throw error;
    }
    expectReadable(error);
    return error;
  }
}

function expectReadable(error: InvalidSettings): void {
  expect(error.problems.length).toBeGreaterThan(0);
  expect(error.message.split("\n")).toHaveLength(error.problems.length + 1);
  for (const { key, problem, remedy } of error.problems) {
    for (const text of [key, problem, remedy]) {
      expect(text.trim()).not.toBe("");
      // What a person wrote is quoted, and may be anything.
      const ours = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "");
      expect(text === key ? "" : ours).not.toMatch(
        /\[object|undefined|NaN|node_modules|\.ts\b|\bat \w+ \(|[Zz]od\b|Invalid input|TypeError/,
      );
    }
  }
}

/** Settings in which nothing is missing that must be there. */
function expectComplete(settings: Settings): void {
  expect(settings.vault.name).not.toBe("");
  expect(settings.resourceTypes.length).toBeGreaterThan(0);
  expect(settings.compute.instanceTypes.length).toBeGreaterThan(0);
  const values = leaves(settings);
  expect(values.length).toBeGreaterThan(25);
  for (const one of values) {
    expect(
      typeof one === "number"
        ? Number.isSafeInteger(one) && one >= 0
        : ["string", "boolean", "undefined"].includes(typeof one),
    ).toBe(true);
  }
}

function leaves(from: unknown): unknown[] {
  return typeof from === "object" && from !== null ? Object.values(from).flatMap(leaves) : [from];
}

/** As `-c key=value` would give it: nothing but text. */
function fromCommandLine(context: Context): Context {
  return Object.fromEntries(
    Object.entries(context)
      .filter(([, one]) => one !== undefined && one !== null)
      .map(([key, one]) => [key, typeof one === "string" ? one : JSON.stringify(one)]),
  );
}

/** What may stand in the place of any value. */
const anything = fc.oneof(
  fc.jsonValue(),
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constantFrom(
    null,
    "",
    "<VALUE>",
    "undefined",
    "0",
    "-1",
    "1e3",
    "{",
    "[]",
    "{}",
    "arn:aws:kms:",
    "a,b",
    Number.MAX_VALUE,
    0.5,
  ),
);

/** A path to a setting, or to none. */
const path = fc.oneof(
  fc.constantFrom(...ALL_KEYS).map((key) => key.split(".")),
  fc.array(fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString", "compute", "network")), {
    minLength: 1,
    maxLength: 3,
  }),
);

function replaced(context: unknown, [step, ...steps]: readonly string[], value: unknown): unknown {
  if (step === undefined) {
    return value;
  }
  const here = typeof context === "object" && context !== null ? context : {};
  const inner = Object.hasOwn(here, step) ? (here as Context)[step] : undefined;
  return Object.fromEntries([
    ...Object.entries(here).filter(([key]) => key !== step),
    [step, replaced(inner, steps, value)],
  ]);
}

describe("parse", () => {
  test("makes complete settings of every good context", () => {
    fc.assert(
      fc.property(validContext, (context) => {
        expectComplete(parse(context));
      }),
      { numRuns: RUNS },
    );
  });

  test("says the same of the same, in cdk.json and on the command line", () => {
    fc.assert(
      fc.property(validContext, (context) => {
        const settings = parse(context);
        expect(parse(context)).toEqual(settings);
        expect(parse(JSON.parse(JSON.stringify(context)))).toEqual(settings);
        expect(parse(fromCommandLine(context))).toEqual(settings);
      }),
      { numRuns: RUNS },
    );
  });

  test("changes nothing that it is given", () => {
    fc.assert(
      fc.property(validContext, (context) => {
        const before = JSON.stringify(context);
        parse(context);
        expect(JSON.stringify(context)).toBe(before);
      }),
      { numRuns: 100 },
    );
  });

  test("makes settings or readable problems of any JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), anything), (context) => {
        outcome(context);
      }),
      { numRuns: RUNS },
    );
  });

  test("makes settings or readable problems of good settings with anything in them", () => {
    fc.assert(
      fc.property(
        validContext,
        fc.array(fc.tuple(path, anything), { minLength: 1, maxLength: 4 }),
        (context, changes) => {
          const result = outcome(
            changes.reduce<unknown>((sum, [steps, value]) => replaced(sum, steps, value), context),
          );
          if (!(result instanceof InvalidSettings)) {
            expectComplete(result);
          }
        },
      ),
      { numRuns: 2 * RUNS },
    );
  });

  test("never takes a key that it does not know", () => {
    fc.assert(
      fc.property(
        validContext,
        fc.string({ minLength: 1 }).filter((key) => !ALL_KEYS.includes(key) && !/[:/]/.test(key)),
        (context, key) => {
          expect(outcome(replaced(context, [key], 1))).toBeInstanceOf(InvalidSettings);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
