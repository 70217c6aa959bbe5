import { CfnNamedQuery, CfnWorkGroup } from "aws-cdk-lib/aws-athena";
import { CfnDatabase, CfnTable } from "aws-cdk-lib/aws-glue";
import { Construct } from "constructs";
import type { Installation } from "./installation.js";
import type { Storage } from "./storage.js";

export interface CatalogProps {
  readonly installation: Installation;
  readonly storage: Storage;
}

type Columns = readonly (readonly [name: string, type: string, comment: string])[];

/** A row for each finished export: `domain::conclusion::CatalogRow`. */
const EXPORTS: Columns = [
  ["schema_version", "int", "version of this row's schema"],
  ["export_id", "string", "the export"],
  ["execution", "string", "ARN of the execution that finished it"],
  ["generation", "int", "0, or what a person asked for"],
  ["recovery_point_arn", "string", "the recovery point"],
  ["vault_name", "string", "the vault in which it lay"],
  ["resource_arn", "string", "what was backed up"],
  ["resource_id", "string", "its own name"],
  ["created_at", "string", "when the backup was made, RFC 3339"],
  ["started_at", "string", "when the execution started, RFC 3339"],
  ["concluded_at", "string", "when the export was concluded, RFC 3339"],
  ["bucket", "string", "where the artifacts are"],
  ["prefix", "string", "what their keys begin with"],
  ["manifests", "array<string>", "keys of the manifests, one for each volume"],
  ["artifacts", "bigint", "how many archives and images there are"],
  ["bytes", "bigint", "their size"],
  ["uncompressed_bytes", "bigint", "size of what is in them"],
  ["entries", "bigint", "tar entries and image blocks in them"],
  ["method", "string", "how it became files: archive, dump, parquet, dynamodb"],
  ["verify", "string", "how the export was verified"],
  ["recovery_point_deleted", "boolean", "whether the recovery point was deleted afterwards"],
  ["recovery_point_kept", "string", "why it was not, where deletion was asked for"],
];

/** A row for each file: `archive::index`. */
const FILES: Columns = [
  ["path", "string", "path in the archive; not UTF-8: see path_bytes"],
  ["path_bytes", "binary", "the path's bytes when they are not UTF-8"],
  ["type", "string", "file, directory, symlink, hardlink, …"],
  ["size", "bigint", "of the file, in bytes"],
  ["stored_bytes", "bigint", "of its data in the archive: less for sparse files"],
  ["block_offset", "bigint", "images: where the block begins"],
  ["zero", "boolean", "images: whether the block is all zero"],
  ["mode", "int", "permission bits"],
  ["uid", "bigint", "owner"],
  ["gid", "bigint", "group"],
  ["mtime", "timestamp", "last change, microseconds"],
  ["mtime_seconds", "bigint", "last change, seconds since 1970"],
  ["mtime_nanoseconds", "int", "and its nanoseconds"],
  ["link_target", "string", "where a link leads"],
  ["link_target_bytes", "binary", "its bytes when they are not UTF-8"],
  ["device_major", "bigint", "of a device"],
  ["device_minor", "bigint", "of a device"],
  ["sha256", "string", "of the file's contents"],
  ["stored_sha256", "string", "of what is stored of it"],
  ["member_offset", "bigint", "where in the archive the compressed member begins"],
  ["member_end", "bigint", "where the last one ends"],
  ["skip_bytes", "bigint", "uncompressed bytes before the entry"],
  ["entry_bytes", "bigint", "uncompressed bytes of the entry"],
];

const PARTITIONS = ["account_id", "region", "resource_type", "year", "month"] as const;

/** AWS Backup's first recovery points. */
const FIRST_YEAR = "2019";

/** Athena over `catalog/`: partitions follow from the keys by rule, so that nothing is ever to be repaired. */
export class Catalog extends Construct {
  constructor(scope: Construct, id: string, props: CatalogProps) {
    super(scope, id);
    const { installation, storage } = props;
    const database = new CfnDatabase(this, "Database", {
      catalogId: installation.stack.account,
      databaseInput: {
        name: installation.databaseName,
        description: "What was exported from AWS Backup, and every file in it",
      },
    });
    const table = (name: string, description: string, columns: Columns, format: Format): CfnTable => {
      const made = new CfnTable(this, name, {
        catalogId: installation.stack.account,
        databaseName: installation.databaseName,
        tableInput: {
          name,
          description,
          tableType: "EXTERNAL_TABLE",
          parameters: { EXTERNAL: "TRUE", ...projection(props, `s3://${storage.bucket.bucketName}/catalog/${name}`) },
          partitionKeys: PARTITIONS.map((key) => ({ name: key, type: "string" })),
          storageDescriptor: {
            location: `s3://${storage.bucket.bucketName}/catalog/${name}/`,
            columns: columns.map(([column, type, comment]) => ({ name: column, type, comment })),
            ...format,
          },
        },
      });
      made.addResourceDependency(database);
      return made;
    };
    table("exports", "A row for each finished export", EXPORTS, JSON_LINES);
    table("files", "A row for each file of each export, and for each block of each image", FILES, PARQUET);
    this.workgroup(installation, storage);
  }

  private workgroup(installation: Installation, storage: Storage): void {
    const workgroup = new CfnWorkGroup(this, "Workgroup", {
      name: installation.name,
      description: "Questions about what was exported from AWS Backup",
      recursiveDeleteOption: true,
      workGroupConfiguration: {
        enforceWorkGroupConfiguration: true,
        publishCloudWatchMetricsEnabled: true,
        engineVersion: { selectedEngineVersion: "Athena engine version 3" },
        resultConfiguration: {
          outputLocation: `s3://${storage.bucket.bucketName}/athena/`,
          encryptionConfiguration: { encryptionOption: "SSE_KMS", kmsKey: storage.key.keyArn },
        },
      },
    });
    for (const { id, name, description, query } of QUERIES) {
      const made = new CfnNamedQuery(this, id, {
        database: installation.databaseName,
        workGroup: installation.name,
        name,
        description,
        queryString: query,
      });
      made.addResourceDependency(workgroup);
    }
  }
}

type Format = Pick<CfnTable.StorageDescriptorProperty, "inputFormat" | "outputFormat" | "serdeInfo">;

const JSON_LINES: Format = {
  inputFormat: "org.apache.hadoop.mapred.TextInputFormat",
  outputFormat: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
  serdeInfo: { serializationLibrary: "org.openx.data.jsonserde.JsonSerDe" },
};

const PARQUET: Format = {
  inputFormat: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
  outputFormat: "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
  serdeInfo: { serializationLibrary: "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe" },
};

function projection(props: CatalogProps, root: string): Record<string, string> {
  const { settings, stack } = props.installation;
  const accounts = [stack.account, ...settings.sourceAccounts].join(",");
  return {
    "projection.enabled": "true",
    "projection.account_id.type": "enum",
    "projection.account_id.values": accounts,
    "projection.region.type": "enum",
    "projection.region.values": stack.region,
    "projection.resource_type.type": "enum",
    "projection.resource_type.values": settings.resourceTypes.map((type) => type.toLowerCase()).join(","),
    "projection.year.type": "date",
    "projection.year.format": "yyyy",
    "projection.year.range": `${FIRST_YEAR},NOW`,
    "projection.year.interval": "1",
    "projection.year.interval.unit": "YEARS",
    "projection.month.type": "integer",
    "projection.month.range": "1,12",
    "projection.month.digits": "2",
    "storage.location.template": `${root}/${PARTITIONS.map((key) => `${key}=\${${key}}`).join("/")}`,
  };
}

const QUERIES = [
  {
    id: "FindFile",
    name: "Find a file",
    description: "Every export that holds a path: replace the path",
    query: `SELECT "$path" AS index_object, path, size, mtime, sha256
FROM files
WHERE year >= '2019' AND path LIKE '%etc/passwd'
ORDER BY mtime DESC
LIMIT 100`,
  },
  {
    id: "ByResource",
    name: "Exports of a resource",
    description: "When what was exported, newest first: replace the resource",
    query: `SELECT created_at, resource_id, artifacts, bytes, uncompressed_bytes, verify, recovery_point_deleted, prefix
FROM exports
WHERE resource_id = 'vol-0123456789abcdef0'
ORDER BY created_at DESC`,
  },
  {
    id: "ByMonth",
    name: "Exports and bytes by month",
    description: "How much was exported, by type and month",
    query: `SELECT year, month, resource_type, count(*) AS exports, sum(bytes) / 1e9 AS archive_gb, sum(uncompressed_bytes) / 1e9 AS source_gb
FROM exports
GROUP BY year, month, resource_type
ORDER BY year DESC, month DESC, resource_type`,
  },
  {
    id: "DeletedRecoveryPoints",
    name: "Deleted recovery points",
    description: "Backups that exist as exported files alone",
    query: `SELECT concluded_at, recovery_point_arn, resource_arn, verify, manifests
FROM exports
WHERE recovery_point_deleted
ORDER BY concluded_at DESC`,
  },
] as const;
