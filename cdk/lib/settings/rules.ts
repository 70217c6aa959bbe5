import { parseArn, partitionOf } from "./arn.js";
import { ecrAddress } from "./image.js";
import { INSTANCE_TYPES, parseInstanceType } from "./instance.js";
import { IOPS_PER_THROUGHPUT_MIB, LIMITS } from "./limits.js";
import { networkRules } from "./network.js";
import { placeOf, VAULT_RESOURCE } from "./place.js";
import { quoted } from "./problem.js";
import type { Contradiction } from "./rule.js";
import type { Given } from "./schema.js";

/** Everything that does not fit together. */
export function contradictions(given: Given): Contradiction[] {
  return [
    vault,
    place,
    keys,
    deletion,
    tagging,
    names,
    accessLogs,
    lifecycle,
    objectLock,
    compression,
    volumes,
    databases,
    tables,
    hosts,
    image,
    ...networkRules,
    notifications,
  ].flatMap((rule) => [...rule(given)]);
}

/** What AWS Backup takes; its own vaults have slashes. */
const VAULT_NAME = /^[\w.-]+(?:\/[\w.-]+)*$/;
const VAULT_NAME_CHARACTERS = 50;

function* vault({ backupVault }: Given): Iterable<Contradiction> {
  const about = ["backupVault"];
  const remedy = "write its name or its ARN: aws backup list-backup-vaults";
  if (backupVault === undefined) {
    yield { about, problem: "is missing", remedy };
    return;
  }
  const arn = parseArn(backupVault, "backup");
  const isArn = backupVault.startsWith("arn:");
  if (isArn && !arn?.resource.startsWith(VAULT_RESOURCE)) {
    yield { about, problem: `${quoted(backupVault)} is not the ARN of a vault`, remedy };
    return;
  }
  const name = arn === undefined ? backupVault : arn.resource.slice(VAULT_RESOURCE.length);
  if (!VAULT_NAME.test(name) || name.length > VAULT_NAME_CHARACTERS) {
    yield { about, problem: `${quoted(name)} is no name of a vault`, remedy };
  }
}

/** The events of a vault are sent in its own account and Region. */
function* place({ account, region, backupVault = "" }: Given): Iterable<Contradiction> {
  const arn = parseArn(backupVault, "backup");
  if (arn === undefined) {
    return;
  }
  if (account !== undefined && account !== arn.account) {
    yield {
      about: ["account", "backupVault"],
      problem: `is ${account}, but the vault's ARN says ${arn.account}`,
      remedy: "install it in the account of the vault",
    };
  }
  if (region !== undefined && region !== arn.region) {
    yield {
      about: ["region", "backupVault"],
      problem: `is ${region}, but the vault's ARN says ${arn.region}`,
      remedy: "install it in the Region of the vault",
    };
  }
  if (arn.partition !== partitionOf(arn.region)) {
    yield {
      about: ["backupVault"],
      problem: `${arn.region} is not in the partition ${arn.partition}`,
      remedy: `write "arn:${partitionOf(arn.region)}:backup:…"`,
    };
  }
}

/** KMS keys are used in their own Region alone; another account's are fine. */
function* keys(given: Given): Iterable<Contradiction> {
  const { s3KmsCmk, restore, database } = given;
  const named: [string, string | undefined][] = [
    ["s3KmsCmk", s3KmsCmk],
    ["restore.volumeKmsKey", restore.volumeKmsKey],
    ["database.parquet", typeof database.parquet === "string" ? database.parquet : undefined],
    ...restore.snapshotKmsKeys.map((key): [string, string] => ["restore.snapshotKmsKeys", key]),
  ];
  const arns = named.flatMap(([key, text]) => {
    const arn = text === undefined ? undefined : parseArn(text, "kms");
    return arn === undefined ? [] : [{ key, arn }];
  });
  const { region } = placeOf(given);
  const [first] = arns;
  for (const { key, arn } of arns) {
    const expected = region ?? first?.arn.region ?? arn.region;
    if (arn.region !== expected) {
      const about = region === undefined ? [key, first?.key ?? key] : [key, "region", "backupVault"];
      yield { about, problem: `is a key of ${arn.region}, not of ${expected}`, remedy: `name a key of ${expected}` };
    } else if (arn.partition !== partitionOf(arn.region)) {
      yield {
        about: [key],
        problem: `${arn.region} is not in the partition ${arn.partition}`,
        remedy: `write "arn:${partitionOf(arn.region)}:kms:…"`,
      };
    }
  }
}

function* deletion({ verification, ...given }: Given): Iterable<Contradiction> {
  if (given["auto-delete-snapshot"] && verification === "none") {
    yield {
      about: ["auto-delete-snapshot", "verification"],
      problem: "is true, and verification is none",
      remedy:
        'a recovery point is deleted only after its export was verified: set verification to "readback" or "checksum", or auto-delete-snapshot to false',
    };
  }
}

function* tagging({ securityTag, tags }: Given): Iterable<Contradiction> {
  if (securityTag !== undefined && !Object.hasOwn(tags, securityTag)) {
    yield {
      about: ["securityTag", "tags"],
      problem: `${quoted(securityTag)} is not among the tags`,
      remedy: `add it: "tags": {${quoted(securityTag)}: "…"}`,
    };
  }
}

/** The prefix names the state machine, the dashboard, the Glue database and the Athena workgroup. */
const PREFIX_CHARACTERS = 30;

function* names({ prefix }: Given): Iterable<Contradiction> {
  if (prefix.length > PREFIX_CHARACTERS) {
    yield {
      about: ["prefix"],
      problem: `has ${prefix.length} characters`,
      remedy: `write ${PREFIX_CHARACTERS} at most: names are made of it`,
    };
  }
}

function* accessLogs({ s3AccessLogsBucket, s3AccessLogsPrefix }: Given): Iterable<Contradiction> {
  if (s3AccessLogsPrefix !== undefined && s3AccessLogsBucket === undefined) {
    yield {
      about: ["s3AccessLogsPrefix", "s3AccessLogsBucket"],
      problem: "is given without s3AccessLogsBucket",
      remedy: "name the bucket that takes the access logs, or remove the prefix",
    };
  }
}

/** S3 refuses rules that are not in ascending order. */
function* lifecycle({ lifecycleRules: { glacier, deepArchive, expiration } }: Given): Iterable<Contradiction> {
  if (glacier !== undefined && deepArchive !== undefined && glacier >= deepArchive) {
    yield {
      about: ["lifecycleRules.glacier", "lifecycleRules.deepArchive"],
      problem: `is ${glacier} days, and deepArchive ${deepArchive}: Glacier comes before Deep Archive`,
      remedy:
        "make deepArchive later (91 days later: objects in Glacier are paid for 90 days), or set one of them to 0",
    };
  }
  for (const [name, after] of [
    ["glacier", glacier],
    ["deepArchive", deepArchive],
  ] as const) {
    if (after !== undefined && expiration !== undefined && expiration <= after) {
      yield {
        about: ["lifecycleRules.expiration", `lifecycleRules.${name}`],
        problem: `is ${expiration} days, and ${name} ${after}: what is gone cannot be moved`,
        remedy: `make expiration later than ${name}, or set one of them to 0`,
      };
    }
  }
}

function* objectLock({ objectLock: { mode, days }, lifecycleRules: { expiration } }: Given): Iterable<Contradiction> {
  if (mode !== undefined && days === undefined) {
    yield {
      about: ["objectLock.days", "objectLock.mode"],
      problem: "is missing",
      remedy: "write for how many days an object is locked, or remove objectLock.mode",
    };
  }
  if (days !== undefined && mode === undefined) {
    yield {
      about: ["objectLock.mode", "objectLock.days"],
      problem: "is missing",
      remedy: 'write "GOVERNANCE" or "COMPLIANCE", or remove objectLock.days',
    };
  }
  if (days !== undefined && expiration !== undefined && days > expiration) {
    yield {
      about: ["objectLock.days", "lifecycleRules.expiration"],
      problem: `is ${days}, but lifecycleRules.expiration is ${expiration} days: what is locked cannot expire`,
      remedy: "lock for as long at most as objects are kept",
    };
  }
}

function* compression({ compression: { codec, level } }: Given): Iterable<Contradiction> {
  const { least, most } = LIMITS.compressionLevel[codec];
  if (level !== undefined && (level < least || level > most)) {
    yield {
      about: ["compression.level", "compression.codec"],
      problem: `${level} is no level of ${codec}`,
      remedy: `write a whole number from ${least} to ${most}, or choose another codec`,
    };
  }
}

/** What EBS takes for each type. The plan Lambda refuses the same. */
function* volumes({ restore: { volumeType, throughputMib, iops } }: Given): Iterable<Contradiction> {
  const about = ["restore.iops", "restore.volumeType"];
  if (throughputMib !== undefined && volumeType !== "gp3") {
    yield {
      about: ["restore.throughputMib", "restore.volumeType"],
      problem: `is for gp3 alone, and the type is ${volumeType}`,
      remedy: "remove it, or choose gp3",
    };
  }
  if (volumeType === "gp2") {
    if (iops !== undefined) {
      yield { about, problem: "gp2 has IOPS by its size alone", remedy: "remove it, or choose gp3, io1 or io2" };
    }
    return;
  }
  const { least, most } = LIMITS.iopsOfType[volumeType];
  if (iops === undefined) {
    if (volumeType !== "gp3") {
      yield {
        about,
        problem: `is missing: ${volumeType} needs it`,
        remedy: `write a whole number from ${least} to ${most}, or choose gp3`,
      };
    }
    return;
  }
  if (iops < least || iops > most) {
    yield {
      about,
      problem: `${iops} is out of range for ${volumeType}`,
      remedy: `write a whole number from ${least} to ${most}`,
    };
  } else if (volumeType === "gp3" && throughputMib !== undefined && iops < throughputMib * IOPS_PER_THROUGHPUT_MIB) {
    yield {
      about: ["restore.iops", "restore.throughputMib", "restore.volumeType"],
      problem: `${iops} IOPS carry ${Math.floor(iops / IOPS_PER_THROUGHPUT_MIB)} MiB/s, and throughputMib is ${throughputMib}`,
      remedy: `write ${throughputMib * IOPS_PER_THROUGHPUT_MIB} or more, or leave it out: then the throughput brings the IOPS that it needs`,
    };
  }
}

function* databases({ database: { method, parquet } }: Given): Iterable<Contradiction> {
  if (method === "parquet" && parquet === false) {
    yield {
      about: ["database.method", "database.parquet"],
      problem: "is parquet, and RDS is given no key to export with",
      remedy: 'set database.parquet to true, for the key of the bucket, or to the ARN of another key; or choose "dump"',
    };
  }
}

/** The backup would go although nobody ever exported it. */
function* tables({ resourceTypes, dynamodb: { native }, ...given }: Given): Iterable<Contradiction> {
  if (native === "pitr" && given["auto-delete-snapshot"] && resourceTypes.includes("DynamoDB")) {
    yield {
      about: ["dynamodb.native", "auto-delete-snapshot", "resourceTypes"],
      problem:
        "is pitr, which exports the live table, and auto-delete-snapshot is true: the backup would be deleted without ever having been exported",
      remedy: 'set it to "backup", or auto-delete-snapshot to false',
    };
  }
}

/** Hosts must be able to run the worker, and one job at least. */
function* hosts({ compute: { architecture, instanceTypes = [], jobVcpus } }: Given): Iterable<Contradiction> {
  const about = ["compute.instanceTypes", "compute.architecture"];
  const types = instanceTypes.flatMap((name) => {
    const type = parseInstanceType(name);
    return type === undefined ? [] : [{ name, type }];
  });
  const foreign = types.filter(({ type }) => type.architecture !== architecture).map(({ name }) => name);
  if (foreign.length > 0) {
    const other = architecture === "arm64" ? "x86_64" : "arm64";
    yield {
      about,
      problem: `${foreign.join(", ")}: not ${architecture}, but ${other}`,
      remedy: `set compute.architecture to "${other}", or name families as ${INSTANCE_TYPES[architecture].join(", ")}`,
    };
  }
  const old = types.filter(({ type }) => !type.nitro).map(({ name }) => name);
  if (old.length > 0) {
    yield {
      about,
      problem: `${old.join(", ")}: not of the Nitro System, on which volumes are found by their serial number`,
      remedy: `name newer families, as ${INSTANCE_TYPES[architecture].join(", ")}`,
    };
  }
  const small = types.filter(({ type }) => type.vcpus !== undefined && type.vcpus < jobVcpus).map(({ name }) => name);
  if (small.length > 0 && small.length === instanceTypes.length) {
    yield {
      about: ["compute.instanceTypes", "compute.jobVcpus"],
      problem: `none of ${small.join(", ")} has the ${jobVcpus} vCPUs of a job`,
      remedy: "name larger types, or lower compute.jobVcpus",
    };
  }
}

/** Endpoints lead to private repositories of the same Region, and nowhere else. */
function* image(given: Given): Iterable<Contradiction> {
  const { workerImage } = given.compute;
  const { region = "" } = placeOf(given);
  const ofRegion = ecrAddress(workerImage ?? "")?.region;
  if (
    workerImage !== undefined &&
    given.network.mode === "endpoints" &&
    (ofRegion === undefined || (region !== "" && ofRegion !== region))
  ) {
    yield {
      about: ["compute.workerImage", "network.mode", "region", "backupVault"],
      problem: "cannot be pulled: a network with endpoints alone reaches ECR of its own Region, and no other registry",
      remedy: `copy it into a repository of ECR ${region === "" ? "there" : `in ${region}`}, or set network.mode to "nat" or "public"`,
    };
  }
}

function* notifications({
  notificationAlias,
  notifications: { emails, onFailure, onSuccess },
}: Given): Iterable<Contradiction> {
  if ((notificationAlias !== undefined || emails.length > 0) && !onFailure && !onSuccess) {
    yield {
      about: ["notifications", "notificationAlias"],
      problem: "names whom to tell, but neither onFailure nor onSuccess is true",
      remedy: "set one of them to true, or remove the addresses",
    };
  }
}
