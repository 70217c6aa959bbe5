import type { Given } from "./schema.js";

/** Values that are good by themselves and cannot be together. */
export interface Contradiction {
  /** All keys that take part; it is told under the first. */
  readonly about: readonly string[];
  readonly problem: string;
  readonly remedy: string;
}

/** A rule looks at one matter and yields what is wrong with it. */
export type Rule = (given: Given) => Iterable<Contradiction>;
