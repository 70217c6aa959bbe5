import { parseArn } from "./arn.js";
import { INSTANCE_TYPES } from "./instance.js";
import { CIDR, ZONES } from "./network.js";
import { placeOf, VAULT_RESOURCE } from "./place.js";
import type { Given } from "./schema.js";
import type {
  BucketSettings,
  ComputeSettings,
  DatabaseSettings,
  NetworkSettings,
  RestoreSettings,
  Settings,
  Vault,
} from "./types.js";

/** What `gzip` and `zstd` themselves use. */
const COMPRESSION_LEVEL = { gzip: 6, zstd: 3 } as const;

/** The settings that `given` makes, once nothing is wrong with it. */
export function settingsOf(given: Given): Settings {
  const { tags, securityTag, compression, notifications, notificationAlias } = given;
  return {
    ...placeOf(given),
    prefix: given.prefix,
    vault: vault(given),
    resourceTypes: given.resourceTypes,
    sourceAccounts: given.sourceAccounts,
    tags,
    ...(securityTag !== undefined && { securityTag: { key: securityTag, value: tags[securityTag] ?? "" } }),
    deletion: {
      enabled: given["auto-delete-snapshot"],
      onlyTagged: given.backupTag,
      minimumRecoveryPoints: given.minimumRecoveryPoints,
    },
    verification: given.verification,
    compression: { codec: compression.codec, level: compression.level ?? COMPRESSION_LEVEL[compression.codec] },
    restore: restore(given),
    database: database(given),
    dynamodb: given.dynamodb,
    nativeExportTimeoutHours: given.nativeExportTimeoutHours,
    bucket: bucket(given),
    compute: compute(given),
    network: network(given),
    notifications: {
      ...notifications,
      emails: [...new Set([...(notificationAlias === undefined ? [] : [notificationAlias]), ...notifications.emails])],
    },
    reconcile: given.reconcile,
    monitoring: given.monitoring,
  };
}

function vault({ backupVault = "" }: Given): Vault {
  const arn = parseArn(backupVault, "backup");
  return arn === undefined
    ? { name: backupVault }
    : { name: arn.resource.slice(VAULT_RESOURCE.length), arn: backupVault };
}

function restore({ restore: given }: Given): RestoreSettings {
  return given;
}

function database({ database: { parquet, ...given } }: Given): DatabaseSettings {
  return { ...given, ...(parquet !== false && { parquet: parquet === true ? {} : { kmsKey: parquet } }) };
}

function bucket({
  s3KmsCmk,
  s3AccessLogsBucket,
  s3AccessLogsPrefix = "",
  lifecycleRules,
  objectLock: { mode, days },
}: Given): BucketSettings {
  return {
    kmsKey: s3KmsCmk,
    ...(s3AccessLogsBucket !== undefined && { accessLogs: { bucket: s3AccessLogsBucket, prefix: s3AccessLogsPrefix } }),
    lifecycle: lifecycleRules,
    ...(mode !== undefined && days !== undefined && { objectLock: { mode, days } }),
  };
}

function compute({ compute: given }: Given): ComputeSettings {
  return { ...given, instanceTypes: given.instanceTypes ?? INSTANCE_TYPES[given.architecture] };
}

function network({
  network: { mode, cidr = CIDR, availabilityZones = ZONES, vpcId = "", subnets = [] },
}: Given): NetworkSettings {
  return mode === "existing"
    ? {
        mode,
        vpcId,
        subnets: subnets.map(({ subnetId = "", availabilityZone = "" }) => ({ subnetId, availabilityZone })),
      }
    : { mode, cidr, availabilityZones };
}
