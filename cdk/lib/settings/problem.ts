/** One thing that is wrong with the settings, in words for whoever edits them. */
export interface Problem {
  /** The key as it stands in `cdk.json`, with dots: `compute.rootDiskGib`. */
  readonly key: string;
  readonly problem: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** Everything that is wrong with the settings, so that nobody has to find out one deployment at a time. */
export class InvalidSettings extends Error {
  override readonly name = "InvalidSettings";

  constructor(readonly problems: readonly Problem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super(
      [
        `${count} in the settings (cdk.json and -c):`,
        ...problems.map((one) => `  ${one.key}: ${one.problem}; ${one.remedy}`),
      ].join("\n"),
    );
  }
}

/** Long enough for an ARN, short enough for a line. */
const SHOWN_CHARACTERS = 100;

/** A value in a message: what a person wrote, never what a program makes of it. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "number":
    case "boolean":
      return String(value);
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "a list" : "an object";
    default:
      return "nothing that JSON can hold";
  }
}

/** On one line, whatever is in it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

/** A path as a person writes it: `network.subnets[1].subnetId`. */
export function keyOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((key, step) => {
    if (typeof step === "number") {
      return `${key}[${step}]`;
    }
    const name = String(step);
    const plain = /^[\w.:@/-]{1,100}$/.test(name) ? name : quoted(name);
    return key === "" ? plain : `${key}.${plain}`;
  }, "");
}

/** Choices in a sentence: `a, b or c`. */
export function either(choices: readonly (string | number)[]): string {
  const last = choices.at(-1) ?? "";
  return choices.length < 2 ? String(last) : `${choices.slice(0, -1).join(", ")} or ${last}`;
}
