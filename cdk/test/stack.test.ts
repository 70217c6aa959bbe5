import { Match, Template } from "aws-cdk-lib/assertions";
import { describe, expect, test } from "vitest";
import { environmentOf, resources, stackOf, template } from "./template.js";
import { VARIANTS } from "./variants.js";

/** Hashes of sources and images would make every change of a program a change of the template. */
function redacted(from: unknown): string {
  return `${JSON.stringify(from, null, 2).replace(/[0-9a-f]{64}/g, "HASH")}\n`;
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
