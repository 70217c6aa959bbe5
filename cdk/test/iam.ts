import type { Template } from "aws-cdk-lib/assertions";
import { WHY } from "../lib/permission.js";
import { resources, type Resource } from "./template.js";

/** One thing that one role may do. */
export interface Row {
  readonly role: string;
  readonly action: string;
  readonly resource: string;
  readonly condition: string;
  readonly why: string;
}

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Every permission of every role of a template, sorted. */
export function rows(from: Template): Row[] {
  const all = resources(from);
  const found = Object.entries(all).flatMap(([id, resource]) => {
    if (resource.Type === "AWS::IAM::Role") {
      const policies = (resource.Properties?.Policies ?? []) as readonly {
        readonly PolicyDocument: { readonly Statement: readonly Statement[] };
      }[];
      return policies.flatMap((policy) =>
        policy.PolicyDocument.Statement.flatMap((statement) => rowsOf(id, resource, statement)),
      );
    }
    if (resource.Type === "AWS::IAM::Policy") {
      const roles = resource.Properties?.Roles as readonly { readonly Ref: string }[];
      const { Statement } = resource.Properties?.PolicyDocument as { readonly Statement: readonly Statement[] };
      return roles.flatMap(({ Ref }) => Statement.flatMap((statement) => rowsOf(Ref, all[Ref], statement)));
    }
    return [];
  });
  const key = (row: Row): string => [row.role, row.action, row.resource, row.condition].join("\n");
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Managed policies of roles: there should be none. */
export function managedPolicies(from: Template): string[] {
  return Object.entries(resources(from))
    .filter(([, resource]) => resource.Type === "AWS::IAM::Role")
    .flatMap(([id, resource]) =>
      ((resource.Properties?.ManagedPolicyArns ?? []) as readonly unknown[]).map((arn) => `${id}: ${text(arn)}`),
    );
}

/** The table as people read it. */
export function markdown(table: readonly Row[]): string {
  const cell = (value: string): string => value.replaceAll("|", "\\|");
  const lines = [
    "# What each role may do",
    "",
    "Compared with the synthesized template by a test. A change here is a change of permissions: review it as one.",
    "",
  ];
  for (const role of [...new Set(table.map((row) => row.role))]) {
    lines.push(`## ${role}`, "", "| action | resource | condition | why so wide |", "|---|---|---|---|");
    for (const row of table.filter((each) => each.role === role)) {
      lines.push(`| ${[row.action, row.resource, row.condition, row.why].map(cell).join(" | ")} |`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

function rowsOf(id: string, role: Resource | undefined, statement: Statement): Row[] {
  const path = role?.Metadata?.["aws:cdk:path"];
  const name = typeof path === "string" ? path.split("/").slice(1, -1).join("/") : id;
  const why = (role?.Metadata?.[WHY] ?? {}) as Readonly<Record<string, string>>;
  const condition = Object.entries(statement.Condition ?? {})
    .flatMap(([operator, keys]) => Object.entries(keys).map(([key, value]) => `${operator} ${key} ${text(value)}`))
    .join(" and ");
  const effect = statement.Effect === "Allow" ? "" : `${statement.Effect} `;
  return list(statement.Action).flatMap((action) =>
    list(statement.Resource).map((resource) => ({
      role: name,
      action: `${effect}${String(action)}`,
      resource: text(resource),
      condition,
      why: why[String(action)] ?? "",
    })),
  );
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

/**
 * An intrinsic as a person would write it. Logical ids lose their hash, so that a renamed neighbour changes nothing
 * here.
 */
export function text(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(text).join(", ");
  }
  if (typeof value !== "object" || value === null) {
    return String(value);
  }
  const [[name, argument] = ["", ""]] = Object.entries(value);
  switch (name) {
    case "Ref":
      return `<${plain(String(argument))}>`;
    case "Fn::GetAtt":
      return `<${plain(String((argument as readonly unknown[])[0]))}.${String((argument as readonly unknown[])[1])}>`;
    case "Fn::Join": {
      const [separator, parts] = argument as readonly [string, readonly unknown[]];
      return parts.map(text).join(separator);
    }
    default:
      return JSON.stringify(value);
  }
}

function plain(logicalId: string): string {
  return logicalId.replace(/[0-9A-F]{8}$/, "");
}
