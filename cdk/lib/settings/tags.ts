import ofLambdas from "../../../domain/golden/tags.json" with { type: "json" };
import { MOST_TAG_BYTES, MOST_TAG_KEY_CHARACTERS, MOST_TAG_VALUE_CHARACTERS, MOST_TAGS } from "./limits.js";
import { quoted, shown } from "./problem.js";
import { fromJson, isPlaceholder, value, type Value } from "./value.js";

/** What every service takes. */
const CHARACTERS = /^[\p{L}\p{N}\p{Zs}_.:/=+\-@]*$/u;

/** Why `key` cannot be a tag that a person puts on something. */
function tagKeyProblem(key: string): string | undefined {
  const reserved = ofLambdas.reserved.find((prefix) => key.toLowerCase().startsWith(prefix));
  if (reserved !== undefined) {
    return `${shown(key)} begins with ${shown(reserved)}, which is reserved`;
  }
  if (key !== key.trim() || key === "" || key.length > MOST_TAG_KEY_CHARACTERS || !CHARACTERS.test(key)) {
    return `${shown(key)} is no tag key`;
  }
  return undefined;
}

const TAG_KEY_REMEDY =
  `tag keys have 1 to ${MOST_TAG_KEY_CHARACTERS} letters, digits, spaces and _ . : / = + - @, ` +
  `and begin neither with ${ofLambdas.reserved.map(quoted).join(" nor with ")}`;

/** A tag key of the user's. */
export const tagKey = (): Value<string> =>
  value((given, refuse): string => {
    const key = typeof given === "string" ? given.trim() : undefined;
    const problem = key === undefined ? `is ${shown(given)}, not text` : tagKeyProblem(key);
    return key === undefined || problem !== undefined ? refuse(problem ?? "", TAG_KEY_REMEDY) : key;
  });

/** An object of tags. Spaces in their values count. */
export const tags = (): Value<Record<string, string>> =>
  value((given, refuse): Record<string, string> => {
    const read = fromJson(given);
    if (typeof read !== "object" || read === null || Array.isArray(read)) {
      return refuse(`is ${shown(given)}, not an object`, 'write {"key": "value"}');
    }
    const entries: [string, unknown][] = Object.entries(read);
    if (entries.length > MOST_TAGS) {
      refuse(`has ${entries.length} tags`, `name ${MOST_TAGS} at most: AWS takes 50, and some are added`);
    }
    const seen = new Map<string, string>();
    const taken = entries.flatMap(([key, one]): [string, string][] => {
      const problem = tagKeyProblem(key);
      if (problem !== undefined) {
        refuse(problem, TAG_KEY_REMEDY, [key]);
      }
      // Roles do not tell them apart.
      const twin = seen.get(key.toLowerCase());
      if (twin !== undefined) {
        refuse(`differs from ${shown(twin)} in case alone`, "keep one of them: IAM takes them for the same", [key]);
      }
      seen.set(key.toLowerCase(), key);
      const plain = typeof one === "boolean" || (typeof one === "number" && Number.isInteger(one)) ? String(one) : one;
      if (typeof plain !== "string") {
        refuse(`is ${shown(one)}, not text`, "write it in quotes", [key]);
        return [];
      }
      // CloudFormation refuses empty values on alarms and dashboards.
      if (plain.trim() === "" || plain.length > MOST_TAG_VALUE_CHARACTERS || !CHARACTERS.test(plain)) {
        refuse(
          `${shown(plain)} is ${isPlaceholder(plain) ? "a placeholder" : "no tag value"}`,
          `tag values have 1 to ${MOST_TAG_VALUE_CHARACTERS} letters, digits, spaces and _ . : / = + - @`,
          [key],
        );
      }
      return [[key, plain]];
    });
    const bytes = Buffer.byteLength(JSON.stringify(Object.fromEntries(taken)));
    if (bytes > MOST_TAG_BYTES) {
      refuse(
        `are ${bytes} bytes long as JSON`,
        `use fewer or shorter ones: ${MOST_TAG_BYTES} bytes is the most that the Lambda which plans exports can be given`,
      );
    }
    return Object.fromEntries(taken);
  });
