/**
 * What the roles may do to export recovery points, by the kind of what is exported.
 *
 * What they may do whatever is exported (claims, the catalog, the bucket) stands where the roles are made.
 */
export { databaseGrants } from "./database.js";
export { all, type Grants } from "./grants.js";
export { tableGrants } from "./table.js";
export { volumeGrants } from "./volume.js";
