import type { Permission } from "../permission.js";

/** What one kind asks of each role. */
export interface Grants {
  /** Its recovery points, as patterns. To IAM they are what they are made of. */
  readonly recoveryPoints: readonly string[];
  readonly plan: readonly Permission[];
  readonly startRestore: readonly Permission[];
  readonly checkRestore: readonly Permission[];
  /** The worker that exports. */
  readonly exporter: readonly Permission[];
  /** The worker that reads an export back. */
  readonly verifier: readonly Permission[];
  /** Cleanup and reaper, which remove what a plan names. */
  readonly cleanup: readonly Permission[];
  /** The reaper, which also looks for what no plan names any more. */
  readonly reaper: readonly Permission[];
  /** Deleting recovery points, where deletion is on. */
  readonly deletion: readonly Permission[];
}

/** Of all kinds together. */
export function all<Role extends keyof Grants>(grants: readonly Grants[], role: Role): Grants[Role][number][] {
  return grants.flatMap((each): Grants[Role][number][] => [...each[role]]);
}
