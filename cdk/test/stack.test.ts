import { Match, Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { MOST_INSTANCE_CLASSES } from "../lib/settings/limits.js";
import { text } from "./iam.js";
import { resources, stackOf, template } from "./template.js";
import { VARIANTS } from "./variants.js";

/** Hashes of sources and images would make every change of a program a change of the template. */
function redacted(from: unknown): string {
  return `${JSON.stringify(from, null, 2).replace(/[0-9a-f]{64}/g, "HASH")}\n`;
}

function environmentOf(context: Record<string, unknown>, binary: string): Record<string, unknown> {
  const found = Object.values(resources(template(context))).find(
    (resource) =>
      resource.Type === "AWS::Lambda::Function" &&
      String(resource.Metadata?.["aws:cdk:path"]).endsWith(`/Functions/${binary}/Resource`),
  );
  return (found?.Properties?.Environment as { readonly Variables: Record<string, unknown> }).Variables;
}

describe("the template", () => {
  test("is the golden one", async () => {
    await expect(redacted(template().toJSON())).toMatchFileSnapshot("golden/template.json");
  });

  test("is the same twice", () => {
    expect(Template.fromStack(stackOf()).toJSON()).toEqual(template().toJSON());
  });

  test.each(Object.entries(VARIANTS))(
    "holds nothing undefined, no object as text and no unfilled token: %s",
    (_, context) => {
      const text = JSON.stringify(template(context).toJSON());
      expect(text).not.toMatch(/undefined|\[object Object\]|\$\{Token\[|NaN/);
    },
  );

  test("keeps nothing but the bucket and its key when the stack is deleted", () => {
    const kept = Object.values(resources(template())).filter((resource) => resource.DeletionPolicy === "Retain");
    expect(kept.map((resource) => resource.Type).sort()).toEqual([
      "AWS::KMS::Key",
      "AWS::S3::Bucket",
      "AWS::S3::BucketPolicy",
    ]);
  });

  test("names nothing but what must have a name, and all of that begins with the prefix", () => {
    const names = Object.values(resources(template({ prefix: "two" }))).flatMap((resource) =>
      [
        "BucketName",
        "FunctionName",
        "RoleName",
        "QueueName",
        "TopicName",
        "StateMachineName",
        "LogGroupName",
        "JobQueueName",
        "JobDefinitionName",
        "ComputeEnvironmentName",
        "DashboardName",
        "LaunchTemplateName",
        "AliasName",
      ]
        .map((key) => resource.Properties?.[key])
        .filter((name) => typeof name === "string"),
    );
    expect(names.sort()).toEqual(["/aws/vendedlogs/states/two", "two", "two-export", "two-verify"]);
  });
});

describe("storage", () => {
  test("is encrypted, private, and asks for TLS", () => {
    const made = template();
    made.hasResourceProperties("AWS::S3::Bucket", {
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms" } },
        ],
      },
    });
    made.hasResourceProperties("AWS::S3::BucketPolicy", {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }),
        ]),
      },
    });
  });

  test("moves and expires data alone, and what is small stays", () => {
    template({ lifecycleRules: { glacier: 1, deepArchive: "91", expiration: 365 } }).hasResourceProperties(
      "AWS::S3::Bucket",
      {
        LifecycleConfiguration: {
          Rules: Match.arrayWith([
            Match.objectLike({
              Prefix: "data/",
              ObjectSizeGreaterThan: 1_048_576,
              Transitions: [
                { StorageClass: "GLACIER", TransitionInDays: 1 },
                { StorageClass: "DEEP_ARCHIVE", TransitionInDays: 91 },
              ],
            }),
            Match.objectLike({ Prefix: "data/", ExpirationInDays: 365 }),
          ]),
        },
      },
    );
  });

  test("aborts unfinished uploads later than any export may take", () => {
    template().hasResourceProperties("AWS::S3::Bucket", {
      LifecycleConfiguration: {
        Rules: Match.arrayWith([Match.objectLike({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 14 } })]),
      },
    });
  });

  test("has versions where Object Lock asks for them, and only there", () => {
    template().hasResourceProperties("AWS::S3::Bucket", {
      VersioningConfiguration: Match.absent(),
      ObjectLockEnabled: Match.absent(),
    });
    template({ objectLock: { mode: "COMPLIANCE", days: 30 } }).hasResourceProperties("AWS::S3::Bucket", {
      ObjectLockEnabled: true,
      VersioningConfiguration: { Status: "Enabled" },
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: "COMPLIANCE", Days: 30 } } },
    });
  });

  test("writes access logs where a bucket for them is named", () => {
    template({ s3AccessLogsBucket: "logs", s3AccessLogsPrefix: "exports/" }).hasResourceProperties("AWS::S3::Bucket", {
      LoggingConfiguration: { DestinationBucketName: "logs", LogFilePrefix: "exports/" },
    });
  });

  test("uses a key that is named", () => {
    const made = template(VARIANTS["own-keys"]);
    made.hasResourceProperties("AWS::S3::Bucket", {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          { ServerSideEncryptionByDefault: { KMSMasterKeyID: Match.stringLikeRegexp("11111111") } },
        ],
      },
    });
    made.resourceCountIs("AWS::KMS::Key", 1);
  });
});

describe("network", () => {
  test("has endpoints and no way to the Internet unless asked for", () => {
    const made = template();
    made.resourceCountIs("AWS::EC2::InternetGateway", 0);
    made.resourceCountIs("AWS::EC2::NatGateway", 0);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 8);
    made.resourceCountIs("AWS::EC2::Subnet", 2);
  });

  test("with a NAT gateway has one, and workers in private subnets", () => {
    const made = template({ network: { mode: "nat" } });
    made.resourceCountIs("AWS::EC2::NatGateway", 1);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 1);
    made.resourceCountIs("AWS::Batch::JobQueue", 2);
    made.hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { Subnets: [{ Ref: Match.stringLikeRegexp("private") }] },
    });
  });

  test("in public subnets costs nothing and lets nothing in", () => {
    const made = template(VARIANTS.public);
    made.resourceCountIs("AWS::EC2::NatGateway", 0);
    made.resourceCountIs("AWS::Batch::JobQueue", 3);
    made.resourceCountIs("AWS::EC2::SecurityGroupIngress", 0);
    made.allResourcesProperties("AWS::EC2::SecurityGroup", { SecurityGroupIngress: Match.absent() });
    made.hasResourceProperties("AWS::EC2::Subnet", { MapPublicIpOnLaunch: true, AvailabilityZone: "eu-central-1c" });
  });

  test("of somebody else is used as it is", () => {
    const made = template(VARIANTS.existing);
    made.resourceCountIs("AWS::EC2::VPC", 0);
    made.resourceCountIs("AWS::EC2::VPCEndpoint", 0);
    made.hasResourceProperties("AWS::EC2::SecurityGroup", { VpcId: "vpc-0123456789abcdef0" });
    made.hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { Subnets: ["subnet-0123456789abcdef1"] },
    });
    expect(JSON.stringify(environmentOf({ ...VARIANTS.existing }, "plan").JOB_QUEUES)).toContain("eu-central-1b");
  });
});

describe("compute", () => {
  test("has hosts with encrypted disks, version 2 of the metadata service, and no standing capacity", () => {
    const made = template();
    made.hasResourceProperties("AWS::EC2::LaunchTemplate", {
      LaunchTemplateData: {
        MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 2 },
        BlockDeviceMappings: [
          { DeviceName: "/dev/xvda", Ebs: { Encrypted: true, VolumeSize: 40, DeleteOnTermination: true } },
        ],
      },
    });
    made.allResourcesProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: { MinvCpus: 0, MaxvCpus: 32, Type: "EC2" },
    });
  });

  test("tries Spot first and falls back where that is wanted", () => {
    const made = template({ compute: { spot: true } });
    made.resourceCountIs("AWS::Batch::ComputeEnvironment", 4);
    made.hasResourceProperties("AWS::Batch::JobQueue", {
      ComputeEnvironmentOrder: [
        { Order: 1, ComputeEnvironment: { "Fn::GetAtt": [Match.stringLikeRegexp("Spot0"), Match.anyValue()] } },
        { Order: 2, ComputeEnvironment: { "Fn::GetAtt": [Match.stringLikeRegexp("OnDemand0"), Match.anyValue()] } },
      ],
    });
  });

  test("gives the exporter the host's devices, and the verifier nothing of them", () => {
    const made = template();
    made.hasResourceProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: {
        Privileged: true,
        ReadonlyRootFilesystem: true,
        Volumes: Match.arrayWith([{ Name: "dev", Host: { SourcePath: "/dev" } }]),
      },
    });
    made.hasResourceProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: {
        Privileged: false,
        ReadonlyRootFilesystem: true,
        Volumes: [{ Name: "scratch", Host: {} }],
      },
    });
  });

  test("retries what another try may mend and ends the list", () => {
    template().allResourcesProperties("AWS::Batch::JobDefinition", {
      RetryStrategy: {
        Attempts: 3,
        EvaluateOnExit: [
          { OnStatusReason: "Host EC2*", Action: "RETRY" },
          { OnExitCode: "75", Action: "RETRY" },
          { OnExitCode: "137", Action: "RETRY" },
          { OnExitCode: "143", Action: "RETRY" },
          { OnReason: "*", Action: "EXIT" },
        ],
      },
    });
  });

  test("is of one architecture throughout", () => {
    const made = template(VARIANTS.spot);
    made.allResourcesProperties("AWS::Lambda::Function", { Architectures: ["x86_64"], Runtime: "provided.al2023" });
    template().allResourcesProperties("AWS::Lambda::Function", { Architectures: ["arm64"] });
  });

  test("takes an image that is named", () => {
    template(VARIANTS.spot).allResourcesProperties("AWS::Batch::JobDefinition", {
      ContainerProperties: { Image: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1" },
    });
  });

  test.each([
    ["maxVcpus", 8, { MaxvCpus: 4 }],
    ["instanceTypes", ["m7g"], { InstanceTypes: ["m7g"] }],
  ])("follows compute.%s", (key, value, expected) => {
    template({ compute: { [key]: value } }).hasResourceProperties("AWS::Batch::ComputeEnvironment", {
      ComputeResources: expected,
    });
  });

  test.each([
    [
      { jobVcpus: 2 },
      { ContainerProperties: { ResourceRequirements: Match.arrayWith([{ Type: "VCPU", Value: "2" }]) } },
    ],
    [
      { jobMemoryMib: 2048 },
      { ContainerProperties: { ResourceRequirements: Match.arrayWith([{ Type: "MEMORY", Value: "2048" }]) } },
    ],
    [{ exportTimeoutHours: 10 }, { Timeout: { AttemptDurationSeconds: 36_000 } }],
  ])("follows %j", (compute, expected) => {
    template({ compute }).allResourcesProperties("AWS::Batch::JobDefinition", expected);
  });
});

describe("the plan function", () => {
  test.each<[Record<string, unknown>, Record<string, string>]>([
    [
      {},
      {
        DELETE_RECOVERY_POINT: "false",
        VERIFY: "readback",
        CODEC: "gzip",
        COMPRESSION_LEVEL: "6",
        MINIMUM_RECOVERY_POINTS: "0",
        VOLUME_IOPS: "",
      },
    ],
    [{ "auto-delete-snapshot": "false" }, { DELETE_RECOVERY_POINT: "false" }],
    [{ "auto-delete-snapshot": "true" }, { DELETE_RECOVERY_POINT: "true" }],
    [
      { backupTag: "exported", minimumRecoveryPoints: 2 },
      { DELETE_ONLY_TAGGED: "exported", MINIMUM_RECOVERY_POINTS: "2" },
    ],
    [{ verification: "checksum" }, { VERIFY: "checksum" }],
    [{ compression: { codec: "zstd" } }, { CODEC: "zstd", COMPRESSION_LEVEL: "3" }],
    [{ compression: { level: 9 } }, { COMPRESSION_LEVEL: "9" }],
    [
      { restore: { throughputMib: 500, iops: 4000, initializationRateMib: 200 } },
      { VOLUME_THROUGHPUT_MIB: "500", VOLUME_IOPS: "4000", VOLUME_INITIALIZATION_RATE_MIB: "200" },
    ],
    [
      { restore: { volumeType: "io2", iops: 5000, timeoutMinutes: 90 } },
      { VOLUME_TYPE: "io2", RESTORE_TIMEOUT_MINUTES: "90" },
    ],
    [{ compute: { exportTimeoutHours: 12 } }, { EXPORT_TIMEOUT_HOURS: "12" }],
    [{ tags: { team: "backup" } }, { RESOURCE_TAGS: '{"team":"backup"}' }],
  ])("is told of %j", (context, expected) => {
    expect(environmentOf(context, "plan")).toMatchObject(expected);
  });
});

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

describe("triggers", () => {
  test("listen to the vault, to its types, and nothing else", () => {
    const made = template({ backupVault: "aws/efs/automatic-backup-vault", resourceTypes: ["EBS"] });
    made.hasResourceProperties("AWS::Events::Rule", {
      EventPattern: {
        source: ["aws.backup"],
        "detail-type": ["Backup Job State Change"],
        detail: { state: ["COMPLETED"], backupVaultName: ["aws/efs/automatic-backup-vault"], resourceType: ["EBS"] },
      },
    });
    made.hasResourceProperties("AWS::Events::Rule", {
      EventPattern: {
        "detail-type": ["Copy Job State Change"],
        detail: {
          destinationBackupVaultArn: [
            { "Fn::Join": ["", Match.arrayWith([":backup-vault:aws/efs/automatic-backup-vault"])] },
          ],
        },
      },
    });
  });

  test("try for a day and leave what could not be delivered in the queue", () => {
    const made = template();
    for (const rule of Object.values(made.findResources("AWS::Events::Rule")) as {
      readonly Properties: { readonly Targets: readonly Record<string, unknown>[] };
    }[]) {
      for (const target of rule.Properties.Targets) {
        expect(target.DeadLetterConfig).toBeDefined();
      }
    }
    made.hasResourceProperties("AWS::Events::Rule", {
      Targets: [Match.objectLike({ RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 } })],
    });
  });

  test("call the reconciler daily, dry or not, or never", () => {
    const daily = { ScheduleExpression: "rate(1 day)" };
    template().hasResourceProperties("AWS::Events::Rule", daily);
    expect(environmentOf({}, "reconciler")).toMatchObject({
      RECONCILE_DRY_RUN: "false",
      RECONCILE_MAX_STARTS: "20",
      RECONCILE_LOOK_BACK_DAYS: "",
    });
    expect(
      environmentOf({ reconcile: { mode: "dry-run", maxStarts: 5, lookBackDays: 30 } }, "reconciler"),
    ).toMatchObject({
      RECONCILE_DRY_RUN: "true",
      RECONCILE_MAX_STARTS: "5",
      RECONCILE_LOOK_BACK_DAYS: "30",
    });
    expect(
      Object.keys(template({ reconcile: { mode: "off" } }).findResources("AWS::Events::Rule", { Properties: daily })),
    ).toEqual([]);
  });
});

describe("operations", () => {
  test("mail failures, and successes where wanted", () => {
    template({ notificationAlias: "backup@example.com" }).resourceCountIs("AWS::SNS::Subscription", 1);
    template(VARIANTS.spot).resourceCountIs("AWS::SNS::Subscription", 2);
    template().resourceCountIs("AWS::SNS::Subscription", 0);
    template({
      notifications: { emails: ["a@example.com", "b@example.com"], onFailure: false, onSuccess: true },
    }).allResourcesProperties("AWS::SNS::Subscription", {
      TopicArn: { Ref: Match.stringLikeRegexp("Successes") },
    });
  });

  test("alarm on failures, time-outs, stops, dead letters and exports that take too long", () => {
    const made = template({ monitoring: { alarmAfterHours: 3 } });
    for (const MetricName of [
      "ExecutionsFailed",
      "ExecutionsTimedOut",
      "ExecutionsAborted",
      "ApproximateNumberOfMessagesVisible",
    ]) {
      made.hasResourceProperties("AWS::CloudWatch::Alarm", {
        MetricName,
        Threshold: 1,
        AlarmActions: Match.anyValue(),
      });
    }
    made.hasResourceProperties("AWS::CloudWatch::Alarm", { MetricName: "OldestExecutionSeconds", Threshold: 10_800 });
  });

  test("keep logs as long as told", () => {
    template({ monitoring: { logRetentionDays: 30 } }).allResourcesProperties("AWS::Logs::LogGroup", {
      RetentionInDays: 30,
    });
  });

  test("tag everything", () => {
    template({ tags: { team: "backup" } }).hasResourceProperties("AWS::S3::Bucket", {
      Tags: Match.arrayWith([{ Key: "team", Value: "backup" }]),
    });
  });
});

describe("the state machine", () => {
  test("is the one file, with its tokens filled in and everything logged", () => {
    template().hasResourceProperties("AWS::StepFunctions::StateMachine", {
      StateMachineName: "backup-export",
      DefinitionString: Match.stringLikeRegexp('"Resource":"\\$\\{PlanFunctionArn\\}"'),
      DefinitionSubstitutions: Match.objectLike({
        PlanFunctionArn: { "Fn::GetAtt": Match.anyValue() },
        Partition: { Ref: "AWS::Partition" },
      }),
      LoggingConfiguration: { Level: "ALL", IncludeExecutionData: true },
      TracingConfiguration: { Enabled: true },
    });
  });

  test("fills in every token that the file has, and no other", () => {
    const machine = Object.values(template().findResources("AWS::StepFunctions::StateMachine"))[0] as {
      readonly Properties: { readonly DefinitionString: string; readonly DefinitionSubstitutions: object };
    };
    const tokens = new Set([...machine.Properties.DefinitionString.matchAll(/\$\{(\w+)\}/g)].map(([, token]) => token));
    expect(new Set(Object.keys(machine.Properties.DefinitionSubstitutions))).toEqual(tokens);
  });
});

describe("the catalog", () => {
  test("projects the partitions that the keys have", () => {
    const made = template({ sourceAccounts: ["111122223333"] });
    for (const Name of ["exports", "files"]) {
      made.hasResourceProperties("AWS::Glue::Table", {
        TableInput: {
          Name,
          Parameters: Match.objectLike({
            "projection.enabled": "true",
            "projection.resource_type.values": "ebs,ec2",
            "storage.location.template": {
              "Fn::Join": [
                "",
                Match.arrayWith([
                  `/catalog/${Name}/account_id=\${account_id}/region=\${region}/resource_type=\${resource_type}/year=\${year}/month=\${month}`,
                ]),
              ],
            },
          }),
        },
      });
    }
  });
});
