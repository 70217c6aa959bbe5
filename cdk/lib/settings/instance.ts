export type Architecture = "arm64" | "x86_64";

/** Cheap per byte on each architecture, and spread over families so that one that is short of hosts stops nothing. */
export const INSTANCE_TYPES: Readonly<Record<Architecture, readonly string[]>> = {
  arm64: ["c7g", "m7g", "c8g"],
  x86_64: ["c7i", "m7i", "c7a"],
};

/** A family (`c7g`, `m7i-flex`) or a type (`c7g.xlarge`). */
const INSTANCE_TYPE =
  /^(?<family>(?<kind>[a-z]+)(?<generation>\d+)(?<attributes>[a-z]*)(?:-[a-z0-9]+)?)(?:\.(?<size>nano|micro|small|medium|large|(?<times>\d*)xlarge|metal(?:-\d+xl)?))?$/;

/** Before Nitro: their disks have no serial number by which a volume is found. */
const WITHOUT_NITRO: ReadonlySet<string> = new Set(
  "c1 c3 c4 cc2 cr1 d2 f1 g2 g3 g3s h1 hs1 i2 i3 m1 m2 m3 m4 p2 p3 r3 r4 t1 t2 x1 x1e".split(" "),
);

export interface InstanceType {
  readonly architecture: Architecture;
  readonly nitro: boolean;
  /** Undefined for families and bare metal. Small sizes are counted generously. */
  readonly vcpus?: number;
}

/** What its name says; undefined when it is none. */
export function parseInstanceType(name: string): InstanceType | undefined {
  const parts = INSTANCE_TYPE.exec(name)?.groups;
  if (parts === undefined) {
    return undefined;
  }
  const { family = "", attributes = "", size, times } = parts;
  // The first letter after the generation names the processor: g is Graviton. a1 was the first of them.
  const graviton = attributes.startsWith("g") || family === "a1";
  return {
    architecture: graviton ? "arm64" : "x86_64",
    nitro: !WITHOUT_NITRO.has(family),
    vcpus:
      size === undefined || size.startsWith("metal") ? undefined : times === undefined ? 2 : 4 * Number(times || 1),
  };
}
