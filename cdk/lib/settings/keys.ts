import { keyOf } from "./problem.js";

/**
 * What the CDK itself keeps in the context: flags, look-ups of its providers, notes of its command line. None of them
 * is a setting.
 */
const OF_THE_CDK: readonly RegExp[] = [
  /^@aws-cdk[\w-]*\//,
  /^aws:/,
  /^aws-cdk:/,
  /^(?:ami|availability-zones|cc-api-provider|endpoint-service-availability-zones|hosted-zone|key-provider|load-balancer|load-balancer-listener|plugin|security-group|ssm|vpc-provider):/,
  /^(?:acknowledged-issue-numbers|cli-telemetry)$/,
];

export function isOfTheCdk(key: string): boolean {
  return OF_THE_CDK.some((form) => form.test(key));
}

/** The setting that somebody who wrote `key` probably meant. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  const written = bare(key);
  // Somebody may have left out the section, or written one too many.
  const candidates = known.map((one) => ({
    one,
    distance: Math.min(distance(written, bare(one)), distance(written, bare(last(one)))),
  }));
  const [best] = candidates.sort((a, b) => a.distance - b.distance || a.one.length - b.one.length);
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(written.length / 3))) {
    return best.one;
  }
  // Or it begins in the same way: "verify" for "verification".
  return known.find((one) =>
    [bare(one), bare(last(one))].some(
      (candidate) => sharedBeginning(written, candidate) >= Math.max(4, written.length / 2),
    ),
  );
}

function sharedBeginning(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) {
    length++;
  }
  return length;
}

/** Why an unknown key is not taken, and what to write instead. */
export function unknownKey(
  path: readonly PropertyKey[],
  siblings: readonly string[],
  all: readonly string[],
): { readonly problem: string; readonly remedy: string } {
  const key = String(path.at(-1));
  const parent = keyOf(path.slice(0, -1));
  const [section = "", ...inner] = key.split(".");
  const problem = "is no setting";
  if (all.includes(key)) {
    return {
      problem,
      remedy: `write it as an object: "${section}": {"${inner.join(".")}": …}, on the command line -c '${section}={"${inner.join(".")}": …}'`,
    };
  }
  const sibling = nearest(key, siblings);
  const meant = sibling === undefined ? nearest(key, all) : parent === "" ? sibling : `${parent}.${sibling}`;
  return {
    problem,
    remedy: meant === undefined ? "remove it; docs/settings.md has them all" : `did you mean ${meant}?`,
  };
}

const bare = (key: string): string => key.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
const last = (key: string): string => key.slice(key.lastIndexOf(".") + 1);

/** Levenshtein's, cut off where nobody would call it a slip. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > Math.max(a.length, b.length) / 2 || a.length > 60) {
    return Infinity;
  }
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Infinity;
}
