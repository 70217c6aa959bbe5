/** The binaries of the package `lambdas`: one for each function. */
export const BINARIES = [
  "plan",
  "start-restore",
  "check-restore",
  "delete-recovery-point",
  "cleanup",
  "conclude",
  "reaper",
  "reconciler",
] as const;
export type Binary = (typeof BINARIES)[number];

/** What people read beside the function. */
export const DESCRIPTIONS: Readonly<Record<Binary, string>> = {
  plan: "Decides what an export consists of and claims it",
  "start-restore": "Starts to make what the worker reads: a volume, a database, an export of AWS's own",
  "check-restore": "Looks how far that is, and takes the next step",
  "delete-recovery-point": "Deletes a recovery point whose export was verified",
  cleanup: "Removes what an execution created",
  conclude: "Enters the export in the catalog and tells how the execution ended",
  reaper: "Cleans up after executions that could not do it themselves",
  reconciler: "Starts exports of recovery points that have none",
};
