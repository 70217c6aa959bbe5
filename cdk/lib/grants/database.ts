import { ArnFormat } from "aws-cdk-lib";
import { passwordArns, type Databases } from "../databases.js";
import type { Installation } from "../installation.js";
import { describing, type Conditions, type Permission } from "../permission.js";
import type { Grants } from "./grants.js";

/** Only AWS Backup may do it, on behalf of whoever asks it to. */
export const THROUGH_BACKUP: Conditions = { "ForAnyValue:StringEquals": { "aws:CalledVia": ["backup.amazonaws.com"] } };

/** Databases, of RDS and Aurora snapshots: restored and dumped, or exported by RDS itself. */
export function databaseGrants(installation: Installation, databases: Databases): Grants {
  const rds = (resource: string, name: string): string =>
    installation.arn("rds", resource, name, ArnFormat.COLON_RESOURCE_NAME);
  // AWS Backup's, copies too, and nobody else's.
  const ofInstances = rds("snapshot", "awsbackup:*");
  const ofClusters = rds("cluster-snapshot", "awsbackup:*");
  const snapshots = [ofInstances, ofClusters];
  const instances = [rds("db", "exp-*-db")];
  const clusters = [rds("cluster", "exp-*-cluster")];
  // Of an instance or of a cluster, and called as the instance.
  const groups = [
    { of: "DB", group: [rds("pg", "exp-*-db")] },
    { of: "DBCluster", group: [rds("cluster-pg", "exp-*-db")] },
  ];
  const { created, creating } = installation;
  const passwords = [passwordArns(installation)];
  /** Has to be permitted beside the server itself. */
  const making = (action: string, ...kinds: readonly string[]): Permission => ({
    actions: [action],
    resources: [databases.subnetGroupArn, ...kinds.map((kind) => rds(kind, "*"))],
    why: "what a database is made with, and is not changed: its options are its engine's or its snapshot's, whatever they are called, and so are its parameters, but for those of MySQL",
  });
  const keys = installation.sourceKeys("rds", [
    "kms:DescribeKey",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "kms:CreateGrant",
  ]);
  const why = "a read that finds what is there: names and states of databases, none of their contents";
  const listing = "a read that finds what was left behind: names of parameter groups";
  const looking: Permission[] = [
    { actions: ["rds:DescribeDBInstances"], resources: [rds("db", "*")], why },
    { actions: ["rds:DescribeDBClusters"], resources: [rds("cluster", "*")], why },
  ];
  const tasks: Permission = {
    actions: ["rds:DescribeExportTasks"],
    resources: ["*"],
    why: "a read that finds a task whatever its snapshot is called, and counts those of the account, of which five may be at work",
  };
  const decrypting: Permission[] = databases.parquet
    ? [{ actions: ["kms:Decrypt"], resources: [databases.parquet.key.keyArn] }]
    : [];
  // A cleanup follows its plan, which may have been made when RDS had a key to export with.
  const cleanup: Permission[] = [
    ...looking,
    { actions: ["rds:DeleteDBInstance"], resources: instances, conditions: created },
    { actions: ["rds:DeleteDBCluster"], resources: clusters, conditions: created },
    ...groups.map(({ of, group }) => ({
      actions: [`rds:Delete${of}ParameterGroup`],
      resources: group,
      conditions: created,
    })),
    tasks,
    {
      actions: ["rds:CancelExportTask"],
      resources: ["*"],
      why: "RDS has no resource-level permission for it: the function names a task of its plan, whose name no other has, and what is cancelled can be begun again",
    },
    { actions: ["ssm:DeleteParameter"], resources: passwords },
  ];
  return {
    recoveryPoints: snapshots,
    plan: [
      ...[
        { action: "rds:DescribeDBSnapshots", kinds: ["db", "snapshot"] },
        { action: "rds:DescribeDBClusterSnapshots", kinds: ["cluster", "cluster-snapshot"] },
      ].map(({ action, kinds }) => ({
        actions: [action],
        resources: kinds.map((kind) => rds(kind, "*")),
        why: "a read that RDS checks against the database too, whatever it is called",
      })),
      describing("rds:DescribeOrderableDBInstanceOptions"),
    ],
    startRestore: [
      // So that no event of the original runs in the copy.
      ...groups.flatMap(({ of, group }) => [
        { actions: [`rds:Create${of}ParameterGroup`, "rds:AddTagsToResource"], resources: group, conditions: creating },
        { actions: [`rds:Modify${of}ParameterGroup`], resources: group, conditions: created },
        { actions: [`rds:Describe${of}Parameters`], resources: group },
      ]),
      {
        actions: ["rds:RestoreDBInstanceFromDBSnapshot", "rds:AddTagsToResource"],
        resources: instances,
        conditions: creating,
      },
      {
        actions: ["rds:RestoreDBClusterFromSnapshot", "rds:AddTagsToResource"],
        resources: clusters,
        conditions: creating,
      },
      // Of a Multi-AZ cluster an instance is made.
      { actions: ["rds:RestoreDBInstanceFromDBSnapshot"], resources: snapshots },
      { actions: ["rds:RestoreDBClusterFromSnapshot"], resources: [ofClusters] },
      making("rds:RestoreDBInstanceFromDBSnapshot", "og", "pg"),
      making("rds:RestoreDBClusterFromSnapshot", "og", "cluster-pg"),
      ...keys,
    ],
    checkRestore: [
      // Of Aurora: into the cluster, once that is there.
      { actions: ["rds:CreateDBInstance", "rds:AddTagsToResource"], resources: instances, conditions: creating },
      { actions: ["rds:CreateDBInstance"], resources: clusters, conditions: creating },
      making("rds:CreateDBInstance", "og", "pg"),
      ...keys,
      { actions: ["rds:ModifyDBInstance"], resources: instances, conditions: created },
      { actions: ["rds:ModifyDBCluster"], resources: clusters, conditions: created },
      ...looking,
      { actions: ["ssm:PutParameter", "ssm:AddTagsToResource", "ssm:GetParameter"], resources: passwords },
      tasks,
      ...exporting(databases, snapshots),
    ],
    exporter: [{ actions: ["ssm:GetParameter"], resources: passwords }, ...decrypting],
    verifier: decrypting,
    cleanup,
    reaper: [
      describing("ssm:DescribeParameters"),
      { actions: ["rds:DescribeDBParameterGroups"], resources: [rds("pg", "*")], why: listing },
      { actions: ["rds:DescribeDBClusterParameterGroups"], resources: [rds("cluster-pg", "*")], why: listing },
    ],
    deletion: deletion(installation, ofInstances, ofClusters),
  };
}

function exporting({ parquet }: Databases, snapshots: readonly string[]): Permission[] {
  if (!parquet) {
    return [];
  }
  const key = [parquet.key.keyArn];
  return [
    { actions: ["rds:StartExportTask"], resources: snapshots },
    {
      actions: ["iam:PassRole"],
      resources: [parquet.role.roleArn],
      // The role trusts the former alone; which of the two RDS names when it is passed is written nowhere.
      conditions: { StringEquals: { "iam:PassedToService": ["export.rds.amazonaws.com", "rds.amazonaws.com"] } },
    },
    { actions: ["kms:DescribeKey"], resources: key },
    { actions: ["kms:CreateGrant"], resources: key, conditions: { Bool: { "kms:GrantIsForAWSResource": "true" } } },
  ];
}

function deletion({ settings }: Installation, ofInstances: string, ofClusters: string): Permission[] {
  const tag = settings.deletion.onlyTagged;
  const conditions =
    tag === undefined ? THROUGH_BACKUP : { ...THROUGH_BACKUP, StringEquals: { [`aws:ResourceTag/${tag}`]: "true" } };
  return [
    { actions: ["rds:DeleteDBSnapshot"], resources: [ofInstances], conditions },
    { actions: ["rds:DeleteDBClusterSnapshot"], resources: [ofClusters], conditions },
  ];
}
