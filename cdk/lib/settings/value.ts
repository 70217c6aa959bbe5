import { z } from "zod";
import type { Bounds } from "./limits.js";
import { either, shown } from "./problem.js";

/** Says what is wrong and what to do about it, here or below. */
export type Refuse = (problem: string, remedy: string, below?: readonly PropertyKey[]) => never;

/** Takes anything, gives a `T` or a problem. */
export type Value<T> = z.ZodPipe<z.ZodUnknown, z.ZodTransform<T>>;

/**
 * A value that is read by our own hand: zod's messages name types, ours name what to write.
 *
 * The command line (`-c key=value`) knows nothing but text, so numbers and booleans are taken as text as well.
 */
export function value<T>(read: (given: unknown, refuse: Refuse) => T): Value<T> {
  return z.unknown().transform((given, context) =>
    read(given, (problem, remedy, below = []) => {
      const message = below.length === 0 && isPlaceholder(given) ? `${shown(given)} is a placeholder` : problem;
      context.addIssue({ code: "custom", message, path: [...below], params: { remedy } });
      return z.NEVER;
    }),
  );
}

/** What people leave in a form that they did not fill in. */
const PLACEHOLDER =
  /<[^<>]*>|\$\{[^{}]*\}|\{\{.*\}\}|^(?:change|replace)[-_ ]?me$|^(?:todo|tbd|fixme)$|^your[-_ ]|^x{3,}$/i;

export function isPlaceholder(given: unknown): boolean {
  return typeof given === "string" && PLACEHOLDER.test(given.trim());
}

/** Text of a form; `remedy` says which. */
export const text = (form: RegExp, what: string, remedy: string): Value<string> =>
  value((given, refuse): string => {
    if (typeof given !== "string") {
      return refuse(`is ${shown(given)}, not text`, remedy);
    }
    const trimmed = given.trim();
    return form.test(trimmed) && !isPlaceholder(trimmed) ? trimmed : refuse(`${shown(given)} is not ${what}`, remedy);
  });

/** A whole number. */
export const number = ({ least, most, unit }: Bounds): Value<number> =>
  value((given, refuse): number => {
    const remedy = `write a whole number from ${least} to ${most} (${unit})`;
    const read = wholeNumber(given);
    if (read === undefined) {
      return refuse(`${shown(given)} is not a whole number`, remedy);
    }
    return read >= least && read <= most ? read : refuse(`${shown(given)} is out of range`, remedy);
  });

/** `12` and `"12"`; undefined for anything else. */
export function wholeNumber(given: unknown): number | undefined {
  const read = typeof given === "string" && /^-?\d{1,15}$/.test(given.trim()) ? Number(given) : given;
  return typeof read === "number" && Number.isSafeInteger(read) ? read : undefined;
}

/**
 * Nothing but true and false: of "no" nobody would know whether it was meant to turn deletion off or was text that
 * turns it on.
 */
export const boolean = (): Value<boolean> =>
  value((given, refuse): boolean => {
    const read = typeof given === "string" ? given.trim().toLowerCase() : given;
    if (read === true || read === "true") {
      return true;
    }
    return read === false || read === "false"
      ? false
      : refuse(`${shown(given)} is neither true nor false`, "write true or false");
  });

/** One of a few words, in any case. */
export const choice = <const T extends string>(...choices: readonly T[]): Value<T> =>
  value((given, refuse): T => {
    const wanted = typeof given === "string" ? given.trim().toLowerCase() : undefined;
    const found = choices.find((one) => one.toLowerCase() === wanted);
    return (
      found ?? refuse(`${shown(given)} is not one of the choices`, `write ${either(choices.map((one) => `"${one}"`))}`)
    );
  });

/** Null, blank text and absence are one. */
export function isBlank(given: unknown): boolean {
  return given === undefined || given === null || (typeof given === "string" && given.trim() === "");
}

/** JSON of the command line, as what it says; anything else as it is. */
export function fromJson(given: unknown): unknown {
  if (typeof given !== "string" || !/^\s*[[{]/.test(given)) {
    return given;
  }
  try {
    return JSON.parse(given);
  } catch {
    return given;
  }
}

type Section<Shape extends z.core.$ZodLooseShape> = z.ZodPreprocess<z.ZodObject<Shape, z.core.$strict>>;

/** An object of settings. Blank ones are absent; unknown ones are not taken. */
export const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape): Section<Shape> =>
  z.preprocess(withoutBlanks, z.strictObject(shape));

/** The same, which may be said by one word: that of its mode. */
export const sectionOrMode = <Shape extends z.core.$ZodLooseShape>(shape: Shape): Section<Shape> =>
  z.preprocess((given) => {
    const read = fromJson(given);
    return typeof read === "string" ? { mode: read } : withoutBlanks(read);
  }, z.strictObject(shape));

function withoutBlanks(given: unknown): unknown {
  const read = fromJson(given);
  if (typeof read !== "object" || read === null || Array.isArray(read)) {
    return read;
  }
  return Object.fromEntries(Object.entries(read).filter(([, one]) => !isBlank(one)));
}

type List<Item extends z.ZodType> = z.ZodPreprocess<
  z.ZodPipe<z.ZodArray<Item>, z.ZodTransform<z.output<Item>[], z.output<Item>[]>>
>;

/** A list, as JSON or with commas, without blanks; what is said twice counts once. */
export const list = <Item extends z.ZodType>(item: Item): List<Item> =>
  z.preprocess(
    (given) => {
      const read = fromJson(given);
      const items: unknown = typeof read === "string" ? read.split(",") : read;
      return Array.isArray(items) ? items.filter((one) => !isBlank(one)) : items;
    },
    z.array(item).transform((items) => [...new Set(items)]),
  );
