import type { Installation } from "../installation.js";
import { describing, type Permission } from "../permission.js";
import type { Storage } from "../storage.js";
import { readingAndWriting, temporaryTables, USING, type Tables } from "../tables.js";
import { THROUGH_BACKUP } from "./database.js";
import type { Grants } from "./grants.js";

/**
 * Tables, of DynamoDB backups: restored to tables of our own, which DynamoDB exports and the cleanup deletes. Or live
 * ones, where that is wanted.
 */
export function tableGrants(installation: Installation, tables: Tables, storage: Storage): Grants {
  const table = (name: string): string => installation.arn("dynamodb", "table", name);
  const temporary = temporaryTables(installation);
  const backups = table("*/backup/*");
  const inVault = installation.arn("backup", "recovery-point", "*");
  const whichOne = "recovery points have no name in common: which one is read, the event or the person says";
  const isLive = installation.settings.dynamodb.native === "pitr";
  const live = "the live table is exported, because dynamodb.native is pitr: which one, the recovery point says";
  const keys = installation.sourceKeys("dynamodb", USING);
  // DynamoDB writes with the permissions of whoever asks for the export.
  const writing: Permission[] = [
    {
      actions: ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"],
      resources: storage.objects("data/dynamodb/*"),
    },
    storage.encryption,
  ];
  return {
    recoveryPoints: [backups],
    plan: [
      { actions: ["dynamodb:DescribeBackup"], resources: [backups], why: whichOne },
      { actions: ["backup:ListTags"], resources: [inVault], why: whichOne },
    ],
    startRestore: [
      {
        actions: ["dynamodb:RestoreTableFromBackup"],
        resources: [backups],
        why: "a backup that is only read: which one, the recovery point says",
      },
      // DynamoDB asks whoever restores for reading and writing the table that is made.
      { actions: ["dynamodb:RestoreTableFromBackup", ...readingAndWriting], resources: [temporary] },
      {
        actions: ["backup:GetRecoveryPointRestoreMetadata", "backup:StartRestoreJob"],
        resources: [inVault],
        why: "recovery points have no name in common; the role that is passed restores to tables of our own alone",
      },
      {
        actions: ["iam:PassRole"],
        resources: [tables.restoreRole.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "backup.amazonaws.com" } },
      },
      ...keys,
      ...(isLive
        ? [{ actions: ["dynamodb:ExportTableToPointInTime"], resources: [table("*")], why: live }, ...writing]
        : []),
    ],
    checkRestore: [
      {
        actions: [
          "DescribeTable",
          "TagResource",
          "UpdateContinuousBackups",
          "DescribeContinuousBackups",
          "ExportTableToPointInTime",
        ].map((name) => `dynamodb:${name}`),
        resources: [temporary],
      },
      {
        actions: ["dynamodb:DescribeExport"],
        ...(isLive ? { resources: [table("*/export/*")], why: live } : { resources: [`${temporary}/export/*`] }),
      },
      describing("backup:DescribeRestoreJob"),
      ...keys,
      ...writing,
    ],
    exporter: [
      { actions: ["dynamodb:DescribeTable", "dynamodb:Scan"], resources: [temporary] },
      ...installation.sourceKeys("dynamodb", ["kms:DescribeKey", "kms:Decrypt"]),
    ],
    verifier: [],
    cleanup: [
      { actions: ["dynamodb:DescribeTable", "dynamodb:DeleteTable"], resources: [temporary] },
      describing("dynamodb:ListExports"),
      {
        actions: ["dynamodb:DescribeExport"],
        resources: [table("*/export/*")],
        why: "a read that tells whether DynamoDB still writes: a cleanup follows its plan, which may have been made for live tables",
      },
    ],
    reaper: [describing("dynamodb:ListTables")],
    deletion: [{ actions: ["dynamodb:DeleteBackup"], resources: [backups], conditions: THROUGH_BACKUP }],
  };
}
