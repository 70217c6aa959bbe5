import { ServicePrincipal, type Role } from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import type { Installation } from "./installation.js";
import { role } from "./permission.js";

/** What using a table asks of a customer's key, through DynamoDB alone. */
export const USING = [
  "DescribeKey",
  "Decrypt",
  "Encrypt",
  "ReEncryptFrom",
  "ReEncryptTo",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "CreateGrant",
].map((name) => `kms:${name}`);

/** What DynamoDB asks of whoever restores, on the table that is made. */
export const readingAndWriting = [
  "BatchWriteItem",
  "DeleteItem",
  "GetItem",
  "PutItem",
  "Query",
  "Scan",
  "UpdateItem",
].map((name) => `dynamodb:${name}`);

/** With what AWS Backup restores DynamoDB tables that lie in its own storage. */
export class Tables extends Construct {
  readonly restoreRole: Role;

  constructor(scope: Construct, id: string, installation: Installation) {
    super(scope, id);
    this.restoreRole = role(
      this,
      "RestoreRole",
      new ServicePrincipal("backup.amazonaws.com"),
      "AWS Backup, while it restores a DynamoDB table",
      [
        {
          actions: ["dynamodb:RestoreTableFromAwsBackup", "dynamodb:DescribeTable", ...readingAndWriting],
          resources: [temporaryTables(installation)],
        },
        ...installation.sourceKeys("dynamodb", USING),
      ],
    );
  }
}

/** Tables that exports make and delete again, as a pattern. */
export function temporaryTables(installation: Installation): string {
  return installation.arn("dynamodb", "table", "exp-*-table");
}
