import { parseArn } from "./arn.js";
import type { Given } from "./schema.js";

/** What the resource of a vault's ARN begins with. */
export const VAULT_RESOURCE = "backup-vault:";

/** Where the installation will be, as far as it is said: the vault's ARN says it too. */
export function placeOf(given: Given): { readonly account?: string; readonly region?: string } {
  const arn = given.backupVault === undefined ? undefined : parseArn(given.backupVault, "backup");
  return { account: given.account ?? arn?.account, region: given.region ?? arn?.region };
}
