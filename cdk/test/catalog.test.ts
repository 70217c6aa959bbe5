import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../lib/source.js";
import { resources, template } from "./template.js";

/** Athena reads what the programs write: the columns of each are held against the other. */

interface Column {
  readonly Name: string;
  readonly Type: string;
}

interface TableInput {
  readonly Name: string;
  readonly StorageDescriptor: { readonly Columns: readonly Column[] };
  readonly PartitionKeys: readonly Column[];
}

const tables = Object.values(resources(template()))
  .filter((resource) => resource.Type === "AWS::Glue::Table")
  .map((resource) => resource.Properties?.TableInput as TableInput);

function table(name: string): TableInput {
  const found = tables.find(({ Name }) => Name === name);
  if (!found) {
    throw new Error(`there is no table ${name}`);
  }
  return found;
}

/** A type of Parquet's message, as Athena calls it. */
const ATHENA: Readonly<Record<string, string>> = {
  "binary (STRING)": "string",
  binary: "binary",
  int64: "bigint",
  int32: "int",
  boolean: "boolean",
  "int64 (TIMESTAMP(MICROS,true))": "timestamp",
};

describe("the table", () => {
  test("exports has every field of a row, and its partitions are the rest", () => {
    const row = JSON.parse(readFileSync(join(projectRoot, "domain/golden/catalog-row.json"), "utf8")) as Record<
      string,
      unknown
    >;
    const { StorageDescriptor, PartitionKeys } = table("exports");
    const partitions = PartitionKeys.map(({ Name }) => Name).filter((name) => name !== "year" && name !== "month");
    expect([...StorageDescriptor.Columns.map(({ Name }) => Name), ...partitions].sort()).toEqual(
      Object.keys(row).sort(),
    );
  });

  test("exports gives each field the type of its value", () => {
    const row = JSON.parse(readFileSync(join(projectRoot, "domain/golden/catalog-row.json"), "utf8")) as Record<
      string,
      unknown
    >;
    const allowed: Readonly<Record<string, readonly string[]>> = {
      string: ["string"],
      number: ["int", "bigint"],
      boolean: ["boolean"],
      object: ["array<string>", "string"],
    };
    for (const { Name, Type } of table("exports").StorageDescriptor.Columns) {
      expect(allowed[typeof row[Name]], Name).toContain(Type);
    }
  });

  test("files has the columns of the index, in their order and type", () => {
    const source = readFileSync(join(projectRoot, "archive/src/index/schema.rs"), "utf8");
    const message = /message backup_export_index \{([^}]*)\}/.exec(source)?.[1] ?? "";
    const columns = [...message.matchAll(/(?:required|optional) (\w+) (\w+)((?: \([^;]*\))?);/g)].map(
      ([, type = "", name = "", logical = ""]) => ({
        Name: name,
        Type: ATHENA[`${type}${logical}`],
      }),
    );
    expect(columns.length).toBeGreaterThan(20);
    expect(table("files").StorageDescriptor.Columns.map(({ Name, Type }) => ({ Name, Type }))).toEqual(columns);
  });
});
