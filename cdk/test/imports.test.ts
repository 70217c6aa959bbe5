import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../lib/source.js";

/** Who imports whom. */
type Graph = ReadonlyMap<string, readonly string[]>;

/**
 * Files of the program, and what of each other they import: types as well.
 *
 * Golden files import nothing, and are left out.
 */
function importGraph(...folders: readonly string[]): Graph {
  const root = join(projectRoot, "cdk");
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  );
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), "utf8"));
      const relatives = importedFiles.map(({ fileName }) => fileName).filter((name) => /^\.(?!.*\.json$)/.test(name));
      return [file, relatives.map((name) => relative(root, join(root, file, "..", name)).replace(/\.js$/, ".ts"))];
    }),
  );
}

/** Each way that leads back to where it began, as it is first found: none, if there is none. */
function cycles(graph: Graph): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    } else if (!done.has(file)) {
      for (const next of graph.get(file) ?? []) {
        walk(next, [...path, file]);
      }
      done.add(file);
    }
  };
  for (const file of graph.keys()) {
    walk(file, []);
  }
  return found;
}

describe("imports", () => {
  const graph = importGraph("bin", "lib");

  test("are all found", () => {
    expect(graph.get("bin/backup-export.ts")).toContain("lib/stack.ts");
    expect(graph.get("lib/settings/complete.ts")).toContain("lib/settings/types.ts");
    for (const [file, imported] of graph) {
      for (const one of imported) {
        expect([...graph.keys()], file).toContain(one);
      }
    }
  });

  test("lead from no file back to itself", () => {
    expect(cycles(graph)).toEqual([]);
  });

  test("that led back would be told", () => {
    const circular: Graph = new Map([
      ["a", ["b", "c"]],
      ["b", ["d"]],
      ["c", ["d"]],
      ["d", ["b"]],
      ["e", ["e"]],
    ]);
    expect(cycles(circular)).toEqual(["b -> d -> b", "e -> e"]);
  });
});
