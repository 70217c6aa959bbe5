import { ArnFormat, Validations } from "aws-cdk-lib";
import { Port, SecurityGroup } from "aws-cdk-lib/aws-ec2";
import { ServicePrincipal, type Role } from "aws-cdk-lib/aws-iam";
import { Key, type IKey } from "aws-cdk-lib/aws-kms";
import { CfnDBSubnetGroup } from "aws-cdk-lib/aws-rds";
import { Construct } from "constructs";
import type { Installation } from "./installation.js";
import type { Network } from "./network.js";
import { role } from "./permission.js";
import type { Storage } from "./storage.js";

export interface DatabasesProps {
  readonly installation: Installation;
  readonly storage: Storage;
  readonly network: Network;
}

/** What RDS exports snapshots with. */
export interface Parquet {
  readonly role: Role;
  readonly key: IKey;
}

/** What every engine listens on once it is restored: plans ask for it, whatever the original had. */
const PORTS = { PostgreSQL: 5432, "MySQL and MariaDB": 3306 } as const;

/** Where databases are restored to, and what RDS exports their snapshots with. */
export class Databases extends Construct {
  /** Of restored databases: the worker may connect, nobody else, and nothing leaves. */
  readonly securityGroup: SecurityGroup;
  readonly subnetGroupName: string;
  readonly subnetGroupArn: string;
  /** Undefined where RDS is not to export. */
  readonly parquet?: Parquet;

  constructor(scope: Construct, id: string, { installation, storage, network }: DatabasesProps) {
    super(scope, id);
    const group = new CfnDBSubnetGroup(this, "Subnets", {
      dbSubnetGroupDescription: "Databases that are restored for the time of an export",
      subnetIds: network.subnets.map(({ subnetId }) => subnetId),
    });
    this.subnetGroupName = group.ref;
    this.subnetGroupArn = installation.arn("rds", "subgrp", group.ref, ArnFormat.COLON_RESOURCE_NAME);
    this.securityGroup = new SecurityGroup(this, "Restored", {
      vpc: network.vpc,
      description: "Restored databases: the export worker in, nothing out",
      allowAllOutbound: false,
    });
    for (const [engine, port] of Object.entries(PORTS)) {
      this.securityGroup.connections.allowFrom(network.securityGroup, Port.tcp(port), engine);
    }
    const { parquet } = installation.settings.database;
    if (parquet) {
      const key = parquet.kmsKey === undefined ? storage.key : Key.fromKeyArn(this, "Key", parquet.kmsKey);
      this.parquet = { key, role: this.exportRole(installation, storage, key) };
    }
  }

  private exportRole(installation: Installation, storage: Storage, key: IKey): Role {
    const principal = new ServicePrincipal("export.rds.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": installation.stack.account } },
    });
    const why = "RDS demands these actions of the role, in these words; they reach what it exports and nothing else";
    const made = role(this, "ExportRole", principal, "RDS, while it exports a snapshot", [
      {
        actions: ["s3:PutObject*", "s3:GetObject*", "s3:DeleteObject*"],
        resources: storage.objects("data/rds/*", "data/aurora/*"),
        why,
      },
      { actions: ["s3:ListBucket", "s3:GetBucketLocation"], resources: [storage.bucket.bucketArn] },
      { actions: ["kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKey"], resources: [key.keyArn] },
    ]);
    for (const action of ["s3:PutObject*", "s3:GetObject*", "s3:DeleteObject*"]) {
      Validations.of(made).acknowledge({ id: `AwsSolutions-IAM5[Action::${action}]`, reason: why });
    }
    return made;
  }
}

/** Parameters with passwords of restored databases, as a pattern. */
export function passwordArns({ stack, parameterPath }: Installation): string {
  return stack.formatArn({ service: "ssm", resource: `parameter${parameterPath}exp-*` });
}
