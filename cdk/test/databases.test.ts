import { Match } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { MOST_INSTANCE_CLASSES } from "../lib/settings/limits.js";
import { text } from "./iam.js";
import { environmentOf, resources, template } from "./template.js";
import { VARIANTS } from "./variants.js";

/** What settings make of databases and tables. */

describe("databases", () => {
  const DATABASES = { resourceTypes: ["RDS"] };
  const JUST_TABLES = { resourceTypes: ["DynamoDB"] };

  test("are restored into a subnet group of all zones, where only workers reach them, and from where nothing leaves", () => {
    const made = template(DATABASES);
    made.hasResourceProperties("AWS::RDS::DBSubnetGroup", {
      SubnetIds: [{ Ref: Match.anyValue() }, { Ref: Match.anyValue() }],
    });
    const workers = { "Fn::GetAtt": [Match.stringLikeRegexp("Workers"), "GroupId"] };
    const restored = { "Fn::GetAtt": [Match.stringLikeRegexp("Restored"), "GroupId"] };
    made.resourceCountIs("AWS::EC2::SecurityGroupIngress", 2);
    for (const port of [5432, 3306]) {
      made.hasResourceProperties("AWS::EC2::SecurityGroupIngress", {
        GroupId: restored,
        SourceSecurityGroupId: workers,
        FromPort: port,
        ToPort: port,
        IpProtocol: "tcp",
      });
      made.hasResourceProperties("AWS::EC2::SecurityGroupEgress", {
        GroupId: workers,
        DestinationSecurityGroupId: restored,
        FromPort: port,
        ToPort: port,
      });
    }
    made.hasResourceProperties("AWS::EC2::SecurityGroup", {
      GroupDescription: Match.stringLikeRegexp("Restored databases"),
      SecurityGroupIngress: Match.absent(),
      SecurityGroupEgress: [
        {
          CidrIp: "255.255.255.255/32",
          Description: "Disallow all traffic",
          FromPort: 252,
          ToPort: 86,
          IpProtocol: "icmp",
        },
      ],
    });
  });

  test("of somebody else's network are restored into its subnets", () => {
    template({ ...VARIANTS.existing, ...DATABASES }).hasResourceProperties("AWS::RDS::DBSubnetGroup", {
      SubnetIds: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    });
  });

  test("need an endpoint for their passwords, and tables one of their own", () => {
    const services = (context: Record<string, unknown>): string[] =>
      Object.values(template(context).findResources("AWS::EC2::VPCEndpoint")).map((endpoint) =>
        JSON.stringify((endpoint as { readonly Properties: { readonly ServiceName: unknown } }).Properties.ServiceName),
      );
    const ofDatabases = services(DATABASES);
    expect(ofDatabases).toHaveLength(9);
    expect(ofDatabases.filter((service) => service.includes(".ssm"))).toHaveLength(1);
    expect(services({ ...DATABASES, network: "nat" })).toHaveLength(1);
    for (const network of ["endpoints", "nat", "public"]) {
      expect(services({ ...JUST_TABLES, network }).filter((service) => service.includes(".dynamodb"))).toHaveLength(1);
    }
    template(JUST_TABLES).hasResourceProperties("AWS::EC2::VPCEndpoint", {
      VpcEndpointType: "Gateway",
      PolicyDocument: {
        Statement: [
          Match.objectLike({
            Action: ["dynamodb:DescribeTable", "dynamodb:Scan"],
            Resource: { "Fn::Join": ["", Match.arrayWith([":table/exp-*-table"])] },
          }),
        ],
      },
    });
  });

  test("are exported by RDS with a role that it alone takes for this account, and the key that is named", () => {
    const made = template({ ...DATABASES, database: { parquet: true } });
    made.hasResourceProperties("AWS::IAM::Role", {
      AssumeRolePolicyDocument: {
        Statement: [
          {
            Action: "sts:AssumeRole",
            Effect: "Allow",
            Principal: { Service: "export.rds.amazonaws.com" },
            Condition: { StringEquals: { "aws:SourceAccount": { Ref: "AWS::AccountId" } } },
          },
        ],
      },
    });
    // That of the bucket, and that of the messages.
    made.resourceCountIs("AWS::KMS::Key", 2);
    const bucketKey = { "Fn::GetAtt": [Match.stringLikeRegexp("StorageKey"), "Arn"] };
    expect(
      Match.objectLike(bucketKey)
        .test(environmentOf({ ...DATABASES, database: { parquet: true } }, "plan").SNAPSHOT_EXPORT_KMS_KEY_ID)
        .hasFailed(),
    ).toBe(false);
    expect(environmentOf(VARIANTS["own-keys"] ?? {}, "plan").SNAPSHOT_EXPORT_KMS_KEY_ID).toMatch(/key\/99999999/);
  });

  test("and tables ask for nothing where neither is exported", () => {
    const made = template();
    for (const type of ["AWS::RDS::DBSubnetGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"]) {
      made.resourceCountIs(type, 0);
    }
    expect(Object.keys(resources(made)).filter((id) => /^(Databases|Tables)/.test(id))).toEqual([]);
  });

  test("are told to the functions that plan exports and look for what was left", () => {
    const none = [
      "DATABASE_SUBNET_GROUP",
      "DATABASE_SECURITY_GROUPS",
      "DATABASE_PARAMETER_PATH",
      "DATABASE_INSTANCE_CLASSES",
      "SNAPSHOT_EXPORT_ROLE_ARN",
      "SNAPSHOT_EXPORT_KMS_KEY_ID",
      "RESTORE_JOB_ROLE_ARN",
    ];
    expect(environmentOf({}, "plan")).toMatchObject({
      ...Object.fromEntries(none.map((name) => [name, ""])),
      DATABASE_METHOD: "auto",
      DATABASE_RESTORE_TIMEOUT_HOURS: "6",
      NATIVE_EXPORT_TIMEOUT_HOURS: "72",
      DYNAMODB_NATIVE: "backup",
      DYNAMODB_FORMAT: "json",
    });
    expect(environmentOf({}, "reaper")).toMatchObject({ RESOURCE_TYPES: '["EBS","EC2"]', DATABASE_PARAMETER_PATH: "" });
    const everything = {
      ...VARIANTS.everything,
      prefix: "two",
      "auto-delete-snapshot": false,
      database: {
        method: "dump",
        instanceClasses: ["db.m7g.large", "db.m6i.large"],
        restoreTimeoutHours: 12,
        parquet: true,
      },
      dynamodb: { native: "pitr", format: "ion" },
      nativeExportTimeoutHours: 100,
    };
    const plan = environmentOf(everything, "plan");
    expect(plan).toMatchObject({
      DATABASE_METHOD: "dump",
      DATABASE_INSTANCE_CLASSES: '["db.m7g.large","db.m6i.large"]',
      DATABASE_PARAMETER_PATH: "/two/",
      DATABASE_RESTORE_TIMEOUT_HOURS: "12",
      NATIVE_EXPORT_TIMEOUT_HOURS: "100",
      DYNAMODB_NATIVE: "pitr",
      DYNAMODB_FORMAT: "ion",
    });
    for (const [name, logicalId] of [
      ["DATABASE_SUBNET_GROUP", "DatabasesSubnets"],
      ["DATABASE_SECURITY_GROUPS", "DatabasesRestored"],
      ["SNAPSHOT_EXPORT_ROLE_ARN", "DatabasesExportRole"],
      ["RESTORE_JOB_ROLE_ARN", "TablesRestoreRole"],
    ] as const) {
      expect(JSON.stringify(plan[name])).toContain(logicalId);
    }
    const RESOURCE_TYPES = '["EBS","EC2","RDS","Aurora","DynamoDB"]';
    expect(environmentOf(everything, "reaper")).toMatchObject({ RESOURCE_TYPES, DATABASE_PARAMETER_PATH: "/two/" });
    expect(environmentOf(everything, "reconciler")).toMatchObject({ RESOURCE_TYPES });
  });

  test("leave the environment of the plan function within the 4 KiB that Lambda takes, whatever is set", () => {
    const arn = (key: number): string =>
      `arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/${key}1111111-2222-3333-4444-555555555555`;
    const plan = environmentOf(
      {
        ...VARIANTS.everything,
        prefix: "b".repeat(30),
        region: "us-gov-west-1",
        backupTag: "t".repeat(128),
        tags: {
          ...Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`k${index}`, "v".repeat(256)])),
          team: "v".repeat(55),
        },
        network: { availabilityZones: Array.from("abcdef", (letter) => `us-gov-west-1${letter}`) },
        compute: { maxVcpus: 200 },
        restore: { throughputMib: 2000, iops: 80_000, initializationRateMib: 300, volumeKmsKey: arn(1) },
        database: {
          parquet: arn(2),
          instanceClasses: Array.from({ length: MOST_INSTANCE_CLASSES }, (_, index) => `db.x2iedn.${index}2xlarge`),
        },
      },
      "plan",
    );
    // As Lambda measures it, with what CloudFormation fills in as long as it becomes.
    const filled = JSON.stringify(Object.fromEntries(Object.entries(plan).map(([name, value]) => [name, text(value)])))
      .replaceAll(/<AWS::\w+>/g, "x".repeat(14))
      .replaceAll(/<\w+(?:\.\w*Arn)>/g, "x".repeat(102))
      .replaceAll(/<\w+(?:\.\w+)?>/g, "x".repeat(63));
    expect(filled.length).toBeLessThan(4_096);
  });
});
