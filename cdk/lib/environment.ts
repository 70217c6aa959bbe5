import { Fn } from "aws-cdk-lib";
import type { Binary } from "./binaries.js";
import type { Compute } from "./compute.js";
import type { Databases } from "./databases.js";
import type { Installation } from "./installation.js";
import type { Settings } from "./settings/index.js";
import type { Storage } from "./storage.js";
import type { Tables } from "./tables.js";

/** What the variables tell of. */
export interface EnvironmentProps {
  readonly installation: Installation;
  readonly storage: Storage;
  readonly compute: Compute;
  /** Where databases are exported. */
  readonly databases?: Databases;
  /** Where tables are. */
  readonly tables?: Tables;
}

/**
 * What each function reads from its environment; the same names stand in `domain::settings` and in the functions' own
 * settings.
 */
export function environment(props: EnvironmentProps): Partial<Record<Binary, Record<string, string>>> {
  const { installation, storage } = props;
  const { settings, stack } = installation;
  const resourceTypes = JSON.stringify(settings.resourceTypes);
  const bucket = { EXPORT_BUCKET: storage.bucket.bucketName, EXPORT_BUCKET_OWNER: stack.account };
  return {
    plan: { ...bucket, ...planning(props, settings) },
    reaper: {
      ...bucket,
      STATE_MACHINE_ARN: installation.stateMachineArn,
      RESOURCE_TYPES: resourceTypes,
      DATABASE_PARAMETER_PATH: parameterPath(installation),
    },
    reconciler: {
      ...bucket,
      STATE_MACHINE_ARN: installation.stateMachineArn,
      BACKUP_VAULT_NAME: settings.vault.name,
      RESOURCE_TYPES: resourceTypes,
      RECONCILE_MAX_STARTS: String(settings.reconcile.maxStarts),
      RECONCILE_DRY_RUN: String(settings.reconcile.mode !== "on"),
      RECONCILE_LOOK_BACK_DAYS: text(settings.reconcile.lookBackDays),
    },
  };
}

function planning(props: EnvironmentProps, settings: Settings): Record<string, string> {
  const { compute } = props;
  const { restore, deletion, compression } = settings;
  return {
    JOB_QUEUES: queuesByZone(compute),
    EXPORT_JOB_DEFINITION: compute.exportJobDefinition.name,
    VERIFY_JOB_DEFINITION: compute.verifyJobDefinition.name,
    VERIFY: settings.verification,
    DELETE_RECOVERY_POINT: String(deletion.enabled),
    DELETE_ONLY_TAGGED: deletion.onlyTagged ?? "",
    MINIMUM_RECOVERY_POINTS: String(deletion.minimumRecoveryPoints),
    RESOURCE_TAGS: JSON.stringify(settings.tags),
    CODEC: compression.codec,
    COMPRESSION_LEVEL: String(compression.level),
    VOLUME_TYPE: restore.volumeType,
    VOLUME_THROUGHPUT_MIB: text(restore.throughputMib),
    VOLUME_IOPS: text(restore.iops),
    VOLUME_INITIALIZATION_RATE_MIB: text(restore.initializationRateMib),
    VOLUME_KMS_KEY_ID: restore.volumeKmsKey ?? "",
    RESTORE_TIMEOUT_MINUTES: String(restore.timeoutMinutes),
    EXPORT_TIMEOUT_HOURS: String(settings.compute.exportTimeoutHours),
    NATIVE_EXPORT_TIMEOUT_HOURS: String(settings.nativeExportTimeoutHours),
    ...databaseVariables(props, settings),
    DYNAMODB_NATIVE: settings.dynamodb.native,
    DYNAMODB_FORMAT: settings.dynamodb.format,
    RESTORE_JOB_ROLE_ARN: props.tables?.restoreRole.roleArn ?? "",
  };
}

function databaseVariables(
  { installation, databases }: EnvironmentProps,
  { database }: Settings,
): Record<string, string> {
  return {
    DATABASE_METHOD: database.method,
    DATABASE_INSTANCE_CLASSES: database.instanceClasses === undefined ? "" : JSON.stringify(database.instanceClasses),
    DATABASE_SUBNET_GROUP: databases?.subnetGroupName ?? "",
    DATABASE_SECURITY_GROUPS: databases ? Fn.join("", ['["', databases.securityGroup.securityGroupId, '"]']) : "",
    DATABASE_PARAMETER_PATH: parameterPath(installation),
    DATABASE_RESTORE_TIMEOUT_HOURS: String(database.restoreTimeoutHours),
    SNAPSHOT_EXPORT_ROLE_ARN: databases?.parquet?.role.roleArn ?? "",
    SNAPSHOT_EXPORT_KMS_KEY_ID: databases?.parquet?.key.keyArn ?? "",
  };
}

/** Absent where nobody may read or write there. */
function parameterPath(installation: Installation): string {
  return installation.exportsDatabases ? installation.parameterPath : "";
}

/** A JSON object of zones and queue ARNs. Zones may be known at deployment only, so it is joined from pieces. */
function queuesByZone(compute: Compute): string {
  const pairs = compute.queues.map(({ availabilityZone, arn }) =>
    Fn.join("", ['"', availabilityZone, '":"', arn, '"']),
  );
  return Fn.join("", ["{", Fn.join(",", pairs), "}"]);
}

/** The Lambdas take an empty variable for an absent one. */
function text(value: number | undefined): string {
  return value === undefined ? "" : String(value);
}
