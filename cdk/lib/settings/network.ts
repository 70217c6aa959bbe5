import { addresses, DOCKER_BRIDGE, isPrivate, overlap, parseCidr, type Cidr } from "./cidr.js";
import { placeOf } from "./place.js";
import { quoted } from "./problem.js";
import type { Contradiction, Rule } from "./rule.js";
import type { Given } from "./schema.js";

/** 4,096 addresses: sixteen subnets of 256, more than six zones with two each. */
export const CIDR = "10.0.0.0/20";

/** One zone can be out of hosts. */
export const ZONES = 2;

/** What a VPC takes. */
const PREFIX_LENGTH = { least: 16, most: 28 };

/** Addresses that AWS keeps in every subnet. */
const RESERVED = 5;

/** Interface endpoints in every subnet, and one spare for the next. */
const ENDPOINTS = 8;

/**
 * Restored databases in a subnet at once, the endpoint of Systems Manager, and the address that RDS wants to find free.
 */
const DATABASES = 10;

/** What RDS wants of a subnet group. */
const ZONES_OF_DATABASES = 2;

function restoresDatabases({ resourceTypes }: Given): boolean {
  return resourceTypes.includes("RDS") || resourceTypes.includes("Aurora");
}

/** In how many zones hosts can be. */
function zoneCount({ network: { mode, subnets, availabilityZones = ZONES } }: Given): number {
  if (mode === "existing") {
    return subnets?.length ?? 1;
  }
  return typeof availabilityZones === "number" ? availabilityZones : availabilityZones.length;
}

function* existing(given: Given): Iterable<Contradiction> {
  const { mode, vpcId, subnets, cidr, availabilityZones } = given.network;
  const ofMode = (key: string): string[] => [`network.${key}`, "network.mode"];
  if (mode !== "existing") {
    for (const [key, one] of Object.entries({ vpcId, subnets: subnets?.length === 0 ? undefined : subnets })) {
      if (one !== undefined) {
        yield {
          about: ofMode(key),
          problem: `is of an existing network, and the mode is ${mode}`,
          remedy: 'set network.mode to "existing", or remove it',
        };
      }
    }
    return;
  }
  for (const [key, one] of Object.entries({ cidr, availabilityZones })) {
    if (one !== undefined) {
      yield {
        about: ofMode(key),
        problem: "is of a network that is made, and the mode is existing",
        remedy: "remove it: the subnets say where hosts are",
      };
    }
  }
  if (vpcId === undefined) {
    yield { about: ofMode("vpcId"), problem: "is missing", remedy: "write the id of the VPC: aws ec2 describe-vpcs" };
  }
  if (subnets === undefined || subnets.length === 0) {
    yield {
      about: ofMode("subnets"),
      problem: "is missing: hosts need one subnet at least",
      remedy: 'write [{"subnetId": "subnet-…", "availabilityZone": "eu-central-1a"}]: aws ec2 describe-subnets',
    };
  }
}

function* subnets({ network }: Given): Iterable<Contradiction> {
  const zones = new Map<string, string>();
  const ids = new Set<string>();
  for (const [index, { subnetId, availabilityZone }] of (network.subnets ?? []).entries()) {
    const key = `network.subnets[${index}]`;
    for (const [name, one] of Object.entries({ subnetId, availabilityZone })) {
      if (one === undefined) {
        yield {
          about: [`${key}.${name}`],
          problem: "is missing",
          remedy: "each subnet has a subnetId and its availabilityZone: aws ec2 describe-subnets",
        };
      }
    }
    const twin = availabilityZone === undefined ? undefined : zones.get(availabilityZone);
    if (subnetId !== undefined && ids.has(subnetId)) {
      yield { about: [key], problem: `${subnetId} is named twice`, remedy: "name each subnet once" };
    } else if (twin !== undefined && availabilityZone !== undefined) {
      yield {
        about: [key],
        problem: `is in ${availabilityZone}, as ${twin} is`,
        remedy: "name one subnet for each zone: a volume goes to the hosts of its zone",
      };
    }
    ids.add(subnetId ?? "");
    if (availabilityZone !== undefined) {
      zones.set(availabilityZone, subnetId ?? "another");
    }
  }
}

function* zonesOfRegion(given: Given): Iterable<Contradiction> {
  const { region } = placeOf(given);
  const { availabilityZones, subnets: named = [] } = given.network;
  const zones: (readonly [string, string | undefined])[] = [
    ...(Array.isArray(availabilityZones)
      ? availabilityZones.map((zone: string) => ["network.availabilityZones", zone] as const)
      : []),
    ...named.map(
      ({ availabilityZone }, index) => [`network.subnets[${index}].availabilityZone`, availabilityZone] as const,
    ),
  ];
  const expected = region ?? zones.find(([, zone]) => zone !== undefined)?.[1]?.slice(0, -1);
  for (const [key, zone] of zones) {
    if (zone !== undefined && zone.slice(0, -1) !== expected) {
      yield {
        about: [key, "region", "backupVault"],
        problem: `${quoted(zone)} is not a zone of ${expected ?? "the Region"}`,
        remedy: "name zones of the Region in which it is installed",
      };
    }
  }
}

/** How many addresses each subnet gets when `cidr` is shared among `count` alike, as the CDK does it. */
function subnetSize(cidr: Cidr, count: number): number {
  return 2 ** Math.floor(Math.log2(addresses(cidr) / count));
}

/** Hosts that one zone may have at once: as small as a job allows, on demand and Spot. */
function hostsPerZone(given: Given): number {
  const { maxVcpus, jobVcpus, spot } = given.compute;
  return Math.max(1, Math.floor(maxVcpus / zoneCount(given) / jobVcpus)) * (spot ? 2 : 1);
}

function* range(given: Given): Iterable<Contradiction> {
  const { mode, cidr: written = CIDR } = given.network;
  const cidr = parseCidr(written);
  if (mode === "existing" || cidr === undefined) {
    return;
  }
  const about = [
    "network.cidr",
    "network.mode",
    "network.availabilityZones",
    "resourceTypes",
    "compute.maxVcpus",
    "compute.jobVcpus",
    "compute.spot",
  ];
  const say = (problem: string, remedy: string): Contradiction => ({ about, problem, remedy });
  if (!isPrivate(cidr)) {
    yield say(
      `${written} is not private`,
      "choose a range in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
    );
  }
  if (overlap(cidr, DOCKER_BRIDGE)) {
    yield say(`${written} overlaps 172.17.0.0/16, which Docker uses on every host`, "choose another range");
  }
  if (cidr.prefixLength < PREFIX_LENGTH.least || cidr.prefixLength > PREFIX_LENGTH.most) {
    yield say(
      `a VPC cannot have a /${cidr.prefixLength}`,
      `choose a range from /${PREFIX_LENGTH.least} to /${PREFIX_LENGTH.most}`,
    );
    return;
  }
  const count = zoneCount(given) * (mode === "nat" ? 2 : 1);
  const size = subnetSize(cidr, count);
  const hosts = hostsPerZone(given);
  const needed = RESERVED + hosts + (mode === "endpoints" ? ENDPOINTS : 1) + (restoresDatabases(given) ? DATABASES : 0);
  if (size < needed) {
    yield say(
      `${written} gives each of ${count} subnets ${size < 1 ? "no" : size} addresses, and ${needed} are needed for up to ${hosts} hosts${restoresDatabases(given) ? " and for databases" : ""}`,
      `choose a larger range, as ${CIDR}, fewer zones, or a lower compute.maxVcpus`,
    );
  }
}

/** Each zone has its share of the vCPUs, and a job takes its own from one zone. */
function* share(given: Given): Iterable<Contradiction> {
  const { maxVcpus, jobVcpus } = given.compute;
  const zones = zoneCount(given);
  if (maxVcpus < jobVcpus * zones) {
    yield {
      about: ["compute.maxVcpus", "compute.jobVcpus", "network.mode", "network.availabilityZones", "network.subnets"],
      problem: `${maxVcpus} vCPUs are not enough for one job of ${jobVcpus} in each of ${zones} zones`,
      remedy: `write ${jobVcpus * zones} or more, lower compute.jobVcpus, or use fewer zones`,
    };
  }
}

/** RDS makes no subnet group of one zone, although an instance of ours is in one alone. */
function* zonesOfDatabases(given: Given): Iterable<Contradiction> {
  const zones = zoneCount(given);
  if (restoresDatabases(given) && zones > 0 && zones < ZONES_OF_DATABASES) {
    const key = given.network.mode === "existing" ? "network.subnets" : "network.availabilityZones";
    yield {
      about: [key, "resourceTypes", "network.mode"],
      problem: "is of one zone, and RDS wants two for the subnet group of restored databases",
      remedy:
        given.network.mode === "existing"
          ? "name a subnet of another zone too, or take RDS and Aurora out of resourceTypes"
          : "write 2 or more, or take RDS and Aurora out of resourceTypes",
    };
  }
}

/** What must be right about where the hosts are. */
export const networkRules: readonly Rule[] = [existing, subnets, zonesOfRegion, zonesOfDatabases, range, share];
