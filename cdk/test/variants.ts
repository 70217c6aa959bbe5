/** Settings that make templates differ in what they consist of, by a name that says how. */
export const VARIANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  default: {},
  nat: { network: { mode: "nat" } },
  public: { network: { mode: "public", availabilityZones: ["eu-central-1a", "eu-central-1b", "eu-central-1c"] } },
  existing: {
    network: {
      mode: "existing",
      vpcId: "vpc-0123456789abcdef0",
      subnets: [
        { subnetId: "subnet-0123456789abcdef0", availabilityZone: "eu-central-1a" },
        { subnetId: "subnet-0123456789abcdef1", availabilityZone: "eu-central-1b" },
      ],
    },
  },
  deleting: {
    "auto-delete-snapshot": "true",
    backupTag: "exported",
    minimumRecoveryPoints: 3,
    tags: { team: "backup" },
    securityTag: "team",
  },
  locked: {
    objectLock: { mode: "COMPLIANCE", days: 30 },
    lifecycleRules: { glacier: 1, deepArchive: 91, expiration: 3650 },
  },
  "own-keys": {
    account: "123456789012",
    region: "eu-central-1",
    s3KmsCmk: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    s3AccessLogsBucket: "access-logs",
    s3AccessLogsPrefix: "exports/",
    resourceTypes: ["RDS", "Aurora", "DynamoDB"],
    database: { parquet: "arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-3333-4444-555555555555" },
    restore: { snapshotKmsKeys: ["arn:aws:kms:eu-central-1:123456789012:key/66666666-7777-8888-9999-000000000000"] },
  },
  databases: { resourceTypes: ["RDS"], network: { mode: "nat" }, "auto-delete-snapshot": true },
  tables: {
    resourceTypes: ["DynamoDB"],
    dynamodb: { native: "pitr", format: "ion" },
    network: { mode: "public", availabilityZones: 1 },
  },
  everything: {
    resourceTypes: ["EBS", "EC2", "RDS", "Aurora", "DynamoDB"],
    database: { method: "parquet", parquet: true, instanceClasses: ["db.m7g.large"] },
    "auto-delete-snapshot": true,
    backupTag: "exported",
    tags: { team: "backup" },
    securityTag: "team",
  },
  spot: {
    compute: {
      architecture: "x86_64",
      spot: true,
      workerImage: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1",
    },
    reconcile: { mode: "off" },
    notifications: { emails: ["backup@example.com"], onSuccess: true },
  },
};
