import { execFileSync } from "node:child_process";
import { dirname, relative } from "node:path";
import { projectRoot } from "../lib/source.js";

/** What cargo says of the workspace, as far as tests ask. */
interface Metadata {
  readonly packages: readonly {
    readonly name: string;
    readonly manifest_path: string;
    readonly dependencies: readonly { readonly kind: "dev" | "build" | null; readonly path?: string }[];
    readonly targets: readonly { readonly name: string; readonly kind: readonly string[]; readonly src_path: string }[];
  }[];
}

/** A package of ours. Paths are relative to the root. */
export interface Member {
  readonly name: string;
  readonly folder: string;
  /** Folders of ours that it is compiled from, apart from its tests. */
  readonly dependencies: readonly string[];
  /** Files with which the compiler begins, apart from tests and examples. */
  readonly roots: readonly string[];
  readonly binaries: readonly string[];
}

const COMPILED = ["lib", "bin", "proc-macro", "custom-build"];

/** Every package of the workspace, as cargo reads it. Nothing is fetched or compiled for it. */
export function members(): Member[] {
  const arguments_ = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
  const { packages } = JSON.parse(
    execFileSync("cargo", arguments_, { cwd: projectRoot, encoding: "utf8" }),
  ) as Metadata;
  return packages.map(({ name, manifest_path, dependencies, targets }) => ({
    name,
    folder: relative(projectRoot, dirname(manifest_path)),
    dependencies: dependencies.flatMap(({ kind, path }) =>
      kind === "dev" || path === undefined ? [] : [relative(projectRoot, path)],
    ),
    roots: targets
      .filter(({ kind }) => kind.some((one) => COMPILED.includes(one)))
      .map(({ src_path }) => relative(projectRoot, src_path)),
    binaries: targets.filter(({ kind }) => kind.includes("bin")).map((target) => target.name),
  }));
}

/** A package and everything of ours that it is compiled from. */
export function compiledFor(name: string, all: readonly Member[]): Member[] {
  const found = new Set<Member>();
  const add = (one: Member | undefined): void => {
    if (one === undefined || found.has(one)) {
      return;
    }
    found.add(one);
    for (const folder of one.dependencies) {
      add(all.find((other) => other.folder === folder));
    }
  };
  add(all.find((one) => one.name === name));
  return [...found];
}
