import { CfnResource, Stack, Validations } from "aws-cdk-lib";
import { Effect, PolicyDocument, PolicyStatement, Role, type IPrincipal } from "aws-cdk-lib/aws-iam";
import { flattenCfnReference } from "cdk-nag/lib/utils/flatten-cfn-reference.js";
import type { Construct } from "constructs";

/** Conditions as IAM writes them: operator, key, values. */
export type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

/** What a role may do. */
export interface Permission {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Conditions;
  /** Why the resource is wider than one thing. Needed wherever it holds a `*` and no condition narrows it. */
  readonly why?: string;
}

/** The key of the reasons in a role's metadata, so that they stand in the template beside what they explain. */
export const WHY = "backup-export:why";

/**
 * A role with these permissions and no others. Refuses a wide resource without a written reason.
 *
 * Permissions are an inline policy, one statement each, in this order: reviewers see them as they are written here.
 */
export function role(
  scope: Construct,
  id: string,
  principal: IPrincipal,
  description: string,
  permissions: readonly Permission[],
): Role {
  const made = new Role(scope, id, {
    assumedBy: principal,
    description,
    inlinePolicies: { permissions: new PolicyDocument({ minimize: false, statements: permissions.map(statement) }) },
  });
  explain(
    made,
    Object.fromEntries(
      permissions.flatMap((each) => (each.why ? each.actions.map((action) => [action, each.why ?? ""]) : [])),
    ),
  );
  for (const permission of permissions) {
    for (const resource of permission.resources) {
      acknowledge(
        made,
        resource,
        permission.why ??
          (permission.conditions
            ? "narrowed by conditions on tags or keys"
            : "keys, streams or executions under one name of our own"),
      );
    }
  }
  return made;
}

/** Describing knows no resources: EC2 refuses a narrower permission. */
export function describing(...actions: readonly string[]): Permission {
  return { actions, resources: ["*"], why: "the service has no resource-level permission for this read" };
}

/** Writes down why actions of a role have wide resources, in the template. */
export function explain(scope: Construct, reasons: Readonly<Record<string, string>>): void {
  const resource = scope.node.defaultChild;
  if (!(resource instanceof CfnResource)) {
    throw new Error(`${scope.node.path} has no resource to explain`);
  }
  const known = (resource.getMetadata(WHY) ?? {}) as Readonly<Record<string, string>>;
  const all = { ...known, ...reasons };
  if (Object.keys(all).length > 0) {
    resource.addMetadata(WHY, all);
  }
}

/** Tells cdk-nag, which wants each wide resource named as it stands in the template. */
export function acknowledge(scope: Construct, resource: string, reason: string): void {
  const flat = flattenCfnReference(Stack.of(scope).resolve(resource));
  if (flat.includes("*")) {
    Validations.of(scope).acknowledge({ id: `AwsSolutions-IAM5[Resource::${flat}]`, reason });
  }
}

function statement(permission: Permission): PolicyStatement {
  const wide = permission.resources.filter(isWide);
  if (wide.length > 0 && !permission.conditions && !permission.why) {
    throw new Error(
      `${permission.actions.join(", ")} on ${wide.join(", ")}: write down why, or narrow it by a condition`,
    );
  }
  return new PolicyStatement({
    effect: Effect.ALLOW,
    actions: [...permission.actions],
    resources: [...permission.resources],
    ...(permission.conditions && { conditions: permission.conditions }),
  });
}

/**
 * Whether a resource is every one of its kind. Keys under a prefix of a bucket, and executions or log streams under one
 * name, are not.
 */
export function isWide(resource: string): boolean {
  return resource === "*" || EVERY.test(resource);
}

const EVERY =
  /:(?:(?:volume|instance|snapshot|image|job|key|cluster|container-instance|recovery-point|repository|table|table\/\*\/(?:backup|export)|parameter)\/|(?:db|cluster|snapshot|cluster-snapshot|og|pg|cluster-pg):)\*$/;
