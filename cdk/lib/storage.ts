import { Duration, RemovalPolicy, Size, Validations } from "aws-cdk-lib";
import { Key, type IKey } from "aws-cdk-lib/aws-kms";
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectLockRetention,
  ObjectOwnership,
  StorageClass,
  type LifecycleRule,
  type Transition,
} from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import type { Permission } from "./permission.js";
import type { BucketSettings } from "./settings/index.js";

/**
 * Manifests, partition tables and small archives stay readable at once: what is below is not moved to an archive class.
 */
const ARCHIVE_ABOVE = Size.mebibytes(1);

/** Longer than any attempt at a volume may take (a week): an upload that is still at work must not be cut off. */
const UNFINISHED_UPLOAD_DAYS = 14;

/** The bucket of the exports, and the key that encrypts it. Both outlive the stack. */
export class Storage extends Construct {
  readonly bucket: Bucket;
  readonly key: IKey;

  constructor(scope: Construct, id: string, settings: BucketSettings) {
    super(scope, id);
    this.key = settings.kmsKey
      ? Key.fromKeyArn(this, "Key", settings.kmsKey)
      : new Key(this, "Key", {
          description: "Encrypts the exports of AWS Backup Export",
          enableKeyRotation: true,
          removalPolicy: RemovalPolicy.RETAIN,
        });
    const { objectLock, accessLogs } = settings;
    this.bucket = new Bucket(this, "Bucket", {
      encryption: BucketEncryption.KMS,
      encryptionKey: this.key,
      // One call to KMS for many objects, not one for each.
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: lifecycle(settings),
      ...(objectLock && {
        versioned: true,
        objectLockEnabled: true,
        objectLockDefaultRetention:
          objectLock.mode === "COMPLIANCE"
            ? ObjectLockRetention.compliance(Duration.days(objectLock.days))
            : ObjectLockRetention.governance(Duration.days(objectLock.days)),
      }),
      ...(accessLogs && {
        serverAccessLogsBucket: Bucket.fromBucketName(this, "AccessLogs", accessLogs.bucket),
        serverAccessLogsPrefix: accessLogs.prefix,
      }),
    });
    // Deleted with the stack, it would leave the bucket without its demand for TLS.
    this.bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN);
    Validations.of(this.bucket).acknowledge({
      id: "CloudFormation-Validate::W9003",
      reason:
        "The CDK writes the least size of objects to move as a number, which CloudFormation takes for the string that it wants",
    });
    Validations.of(this.bucket).acknowledge({
      id: "Annotation::@aws-cdk/aws-s3:accessLogsPolicyNotAdded",
      reason:
        "The bucket for access logs is the user's own, and so is its policy: docs/settings.md says what it must allow",
    });
    if (!accessLogs) {
      Validations.of(this.bucket).acknowledge({
        id: "AwsSolutions-S1",
        reason: "Server access logs go to a bucket of the user's choice: the setting s3AccessLogsBucket",
      });
    }
  }

  /** Objects whose keys match one of `patterns`. */
  objects(...patterns: readonly string[]): string[] {
    return patterns.map((pattern) => this.bucket.arnForObjects(pattern));
  }

  /**
   * Without it S3 says "denied" of an object that is not there, and nobody could tell an absent claim from a missing
   * permission.
   */
  get listing(): Permission {
    return { actions: ["s3:ListBucket"], resources: [this.bucket.bucketArn] };
  }

  get decryption(): Permission {
    return { actions: ["kms:Decrypt"], resources: [this.key.keyArn] };
  }

  /** A multipart upload decrypts its own parts. */
  get encryption(): Permission {
    return { actions: ["kms:Decrypt", "kms:GenerateDataKey"], resources: [this.key.keyArn] };
  }
}

function lifecycle(settings: BucketSettings): LifecycleRule[] {
  const { glacier, deepArchive, expiration } = settings.lifecycle;
  const transitions: Transition[] = [];
  if (glacier !== undefined) {
    transitions.push({ storageClass: StorageClass.GLACIER, transitionAfter: Duration.days(glacier) });
  }
  if (deepArchive !== undefined) {
    transitions.push({ storageClass: StorageClass.DEEP_ARCHIVE, transitionAfter: Duration.days(deepArchive) });
  }
  const rules: LifecycleRule[] = [
    { id: "abort-unfinished-uploads", abortIncompleteMultipartUploadAfter: Duration.days(UNFINISHED_UPLOAD_DAYS) },
  ];
  if (transitions.length > 0) {
    rules.push({ id: "archive-data", prefix: "data/", objectSizeGreaterThan: ARCHIVE_ABOVE.toBytes(), transitions });
  }
  if (expiration !== undefined) {
    rules.push({ id: "expire-data", prefix: "data/", expiration: Duration.days(expiration) });
  }
  rules.push({ id: "expire-query-results", prefix: "athena/", expiration: Duration.days(30) });
  if (settings.objectLock) {
    // Claims and last words of failed jobs come and go; their old versions go as soon as the lock lets them.
    rules.push({ id: "remove-old-versions", noncurrentVersionExpiration: Duration.days(1) });
    rules.push({ id: "remove-delete-markers", expiredObjectDeleteMarker: true });
  }
  return rules;
}
