import ofLambdas from "../../../domain/golden/limits.json" with { type: "json" };

/** Bounds of numbers, both included. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly unit: string;
}

const bounds = (least: number, most: number, unit: string): Bounds => ({ least, most, unit });

/** What a Lambda checks as well has the bounds of `domain::limit`. */
const shared = (limit: Omit<Bounds, "unit">, unit: string): Bounds => ({ ...limit, unit });

/** S3 counts days in 32 bits. */
const S3_DAYS = 2_147_483_647;

export const LIMITS = {
  /** 0 is off, as an absent number. */
  lifecycleDays: bounds(0, S3_DAYS, "days"),
  /** A hundred years, as S3 has it. */
  objectLockDays: bounds(1, 36_500, "days"),
  minimumRecoveryPoints: shared(ofLambdas.minimumRecoveryPoints, "recovery points"),
  compressionLevel: {
    gzip: shared(ofLambdas.compressionLevel.gzip, "level"),
    zstd: shared(ofLambdas.compressionLevel.zstd, "level"),
  },
  throughputMib: shared(ofLambdas.throughputMib, "MiB/s"),
  iops: shared(ofLambdas.iops, "IOPS"),
  iopsOfType: {
    gp3: shared(ofLambdas.iopsOfType.gp3, "IOPS"),
    io1: shared(ofLambdas.iopsOfType.io1, "IOPS"),
    io2: shared(ofLambdas.iopsOfType.io2, "IOPS"),
  },
  initializationRateMib: shared(ofLambdas.initializationRateMib, "MiB/s"),
  restoreTimeoutMinutes: shared(ofLambdas.restoreTimeoutMinutes, "minutes"),
  exportTimeoutHours: shared(ofLambdas.exportTimeoutHours, "hours"),
  databaseRestoreTimeoutHours: shared(ofLambdas.databaseRestoreTimeoutHours, "hours"),
  nativeExportTimeoutHours: shared(ofLambdas.nativeExportTimeoutHours, "hours"),
  maxVcpus: bounds(1, 100_000, "vCPUs"),
  jobVcpus: bounds(1, 192, "vCPUs"),
  /** The worker stays below 512 MiB; the page cache and the runtime want some as well. */
  jobMemoryMib: bounds(1_024, 1_048_576, "MiB"),
  /** The ECS image takes 30 GiB. */
  rootDiskGib: bounds(30, 16_384, "GiB"),
  availabilityZones: bounds(1, 6, "zones"),
  maxStarts: shared(ofLambdas.maxStarts, "executions a day"),
  lookBackDays: shared(ofLambdas.lookBackDays, "days"),
  /** The state machine itself ends an execution after 30 days. */
  alarmAfterHours: bounds(1, 720, "hours"),
} as const;

/** What CloudWatch Logs offers. */
export const LOG_RETENTION_DAYS: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

export const MOST_TAG_KEY_CHARACTERS = ofLambdas.tagKeyCharacters.most;
export const MOST_TAG_VALUE_CHARACTERS = ofLambdas.tagValueCharacters.most;

/** AWS takes 50 tags; ours and those of CloudFormation want room. */
export const MOST_TAGS = 40;

/** As JSON. They travel in the environment of the plan Lambda, which holds 4 KiB of everything. */
export const MOST_TAG_BYTES = 1_400;

/** They travel in the same environment. */
export const MOST_INSTANCE_CLASSES = 10;

/** gp3 carries a quarter of a MiB/s for each of its IOPS. */
export const IOPS_PER_THROUGHPUT_MIB = 4;
